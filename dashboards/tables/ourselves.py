"""The controller itself: can I trust the numbers and the alerts?"""

from grafana import BAD, GOOD, column, lines, row, stat, table, words

WORKED = words({0: ("failed", BAD), 1: ("worked", GOOD)})

EXPORTER = ("scaleio-exporter", "ScaleIO / Controller", "Can I trust the numbers and the alerts? The controller watches itself.", ("job", "instance", "system"), [
    row("Highlights",
        stat("Scraped", 'min(up{job=~"$job",instance=~"$instance"})', "short", "Whether Prometheus reaches the controller.",
             "is the process up, and does its port answer from here?", ["ScaleioExporterDown", "ScaleioExporterAbsent"], mappings=words({0: ("no", BAD), 1: ("yes", GOOD)}), graph=False),
        stat("Systems read", "sum(scaleio_up{<S>}) / count(scaleio_up{<S>})", "percentunit", "Share of the systems whose last poll succeeded.",
             "see the error in `sio status`: network, certificate, login or time.", ["ScaleioSystemUnreachable"], bad=1, below=True, max=1, min=0),
        stat("Oldest snapshot", "max(time() - scaleio_snapshot_timestamp_seconds{<S>})", "s", "Age of what is shown of the system that was read longest ago.",
             graph=False),
        stat("Rules that fail", 'sum(increase(scaleio_alert_rule_failures_total{job=~"$job",instance=~"$instance"}[1h])) or vector(0)', "short", "Evaluations of alert rules by the controller that failed in the last hour.",
             "the log names the rule and why."),
        stat("Series", 'sum(scaleio_exporter_series{<S>})', "short", "Series that are exported now."),
        stat("Series withheld", "sum(scaleio_exporter_series_dropped{<S>})", "short", "Series above the limit of the configuration: alerts on them cannot fire.",
             "raise the limit if Prometheus can bear it, or export fewer volumes.", ["ScaleioSeriesDropped"], warning=1)),
    row("Reading",
        table("Collectors", ["system", "collector"], [
            ("scaleio_collector_success{<S>}", column("Last run", mappings=WORKED)),
            ("time() - scaleio_collector_last_success_timestamp_seconds{<S>}", column("Age", "s")),
            ("scaleio_collector_interval_seconds{<S>}", column("Interval", "s")),
            ("(time() - scaleio_collector_last_success_timestamp_seconds{<S>}) / scaleio_collector_interval_seconds{<S>}", column("Intervals", "none", warning=4, decimals=1)),
            ("scaleio_collector_last_duration_seconds{<S>}", column("Took", "s")),
            ("scaleio_collector_last_duration_seconds{<S>} / scaleio_collector_interval_seconds{<S>}", column("Of its interval", "percentunit", warning=0.8)),
            ("scaleio_collector_objects{<S>}", column("Objects")),
            ("scaleio_exporter_series{<S>}", column("Series"))],
              "Each question that is asked of each system.", "what is stale tells nothing true: see `sio status`.", ["ScaleioDataStale", "ScaleioCollectorSlow"], size=(24, 10), sort="Of its interval"),
        lines("Time of its interval", [("topk(10, scaleio_collector_last_duration_seconds{<S>} / scaleio_collector_interval_seconds{<S>})", "{{system}} {{collector}}")], "percentunit",
              "The ten collectors that need most of their interval.", "the load of the gateway, then a longer interval.", ["ScaleioCollectorSlow"], warning=0.8, many=True),
        lines("Failures by reason", [("sum by (system, reason) (increase(scaleio_collector_errors_total{<S>}[$__rate_interval]))", "{{system}} {{reason}}")], "short", "Runs of collectors that failed."),
        lines("Requests to the gateways", [("topk(10, histogram_quantile(0.99, sum by (le, endpoint) (rate(scaleio_mdm_request_duration_seconds_bucket{<S>}[$__rate_interval]))))", "{{endpoint}}")], "s",
              "Time that 99 of 100 requests stay below; the ten slowest paths.", many=True),
        lines("Answers of the gateways", [("sum by (system, code) (rate(scaleio_mdm_requests_total{<S>}[$__rate_interval]))", "{{system}} {{code}}")], "reqps", "Requests in a second by HTTP status, or why there was none.")),
    row("Serving",
        lines("Scrapes", [('histogram_quantile(0.99, sum by (le) (rate(scaleio_exporter_scrape_duration_seconds_bucket{job=~"$job",instance=~"$instance"}[$__rate_interval])))', "99 of 100"),
                          ('sum(rate(scaleio_exporter_scrape_duration_seconds_sum{job=~"$job",instance=~"$instance"}[$__rate_interval])) / sum(rate(scaleio_exporter_scrape_duration_seconds_count{job=~"$job",instance=~"$instance"}[$__rate_interval]))', "mean")], "s",
              "Time to make the body of a scrape.", size=(8, 8)),
        lines("Size of a scrape", [('scaleio_exporter_scrape_size_bytes{job=~"$job",instance=~"$instance"}', "{{handler}}")], "bytes", "Before compression.", size=(8, 8)),
        lines("Memory", [('process_resident_memory_bytes{job=~"$job",instance=~"$instance"}', "all"),
                         ('scaleio_alert_history_size_bytes{job=~"$job",instance=~"$instance"}', "past of the alert rules")], "bytes", "Resident memory, and what of it alert rules look back on.", size=(8, 8)),
        lines("Processor", [('rate(process_cpu_seconds_total{job=~"$job",instance=~"$instance"}[$__rate_interval])', "{{instance}}")], "percentunit", "Share of one processor.", size=(8, 8)),
        lines("Evaluation of the alert rules", [('scaleio_alert_last_evaluation_duration_seconds{job=~"$job",instance=~"$instance"}', "{{instance}}")], "s", "Time that one evaluation of all rules takes.", size=(8, 8)),
        table("Alerts of the controller", ["system", "alertname", "severity", "state"], [('scaleio_alert_state{<S>,severity!="none"}', column("Alerts"))],
              "What the built-in engine has; the e-mails follow it, not Prometheus.", size=(8, 8))),
])

BOARDS = [EXPORTER]
