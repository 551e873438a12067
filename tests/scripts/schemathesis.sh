#!/usr/bin/env bash
# Judges a running controller by its own OpenAPI document: schemathesis.sh URL-OF-THE-DOCUMENT
# The stream of events is left out: it does not end.
set -euo pipefail
exec python3 -m schemathesis.cli run "$1" \
    --exclude-path /live \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method \
    --phases examples,coverage,fuzzing \
    --max-examples "${SCHEMATHESIS_EXAMPLES:-15}" --seed 1 --workers 1 --no-color
