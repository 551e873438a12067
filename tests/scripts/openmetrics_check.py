"""Reads OpenMetrics from standard input with the strict parser of the
Prometheus project and prints how many families and samples it found."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.buffer.read().decode("utf-8")))
print(len(families), sum(len(family.samples) for family in families))
