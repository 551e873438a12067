#!/usr/bin/env bash
# How many instructions does the encoder need for a series? Counted by
# valgrind (apt-get install valgrind) as the difference of two runs, so that
# building the system to encode does not count. Fails above 400.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --quiet --release --example warm_encoder
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/warm_encoder "$1" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
series=$(target/release/examples/warm_encoder 4)
few=$(count 4)
many=$(count 14)
per_series=$(((many - few) / 10 / series))
echo "$series series, $per_series instructions a series (asked: at most 400)"
((per_series <= 400))
