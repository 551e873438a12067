"""Capacity, pools, rebuild and replication: is there room, and is every block where it should be?"""

from grafana import YES, bars, column, lines, row, stat, table

DOMAIN = ("system", "protection_domain")
POOL = ("system", "protection_domain", "storage_pool")
POOL_LEGEND = "{{system}} {{storage_pool}}"
USED = ["ScaleioPoolHigh", "ScaleioPoolCritical"]
FULL = ["ScaleioPoolFullIn4Days", "ScaleioPoolFullIn30Days"]

# What lies ahead is dashed.
AHEAD = {"matcher": {"id": "byRegexp", "options": "/ in 30 days$/"}, "properties": [
    {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}}, {"id": "custom.fillOpacity", "value": 0}]}

CAPACITY = ("scaleio-capacity", "ScaleIO / Capacity and forecast", "When is each pool full, what grows, and is the spare enough?", (*POOL, "horizon"), [
    row("Now",
        bars("Used by pool", [("storage_pool:scaleio_used:ratio{<P>}", POOL_LEGEND)], "percentunit",
             "What is in use of what may be used: the spare is not for data. A pool with thresholds of its own is judged by those.",
             "delete snapshots, move volumes, add devices.", USED, warning=0.8, bad=0.9, max=1, size=(8, 8)),
        lines("Used by kind", [("sum by (kind) (scaleio_storage_pool_capacity_used_by_bytes{<P>})", "{{kind}}")], "bytes",
              "Raw capacity in use by thick and thin volumes and by snapshots.", stacked=True, size=(16, 8)),
        table("Pools", list(POOL), [
            ("scaleio_storage_pool_capacity_max_bytes{<P>}", column("Raw", "bytes")),
            ("scaleio_storage_pool_capacity_spare_bytes{<P>}", column("Spare", "bytes")),
            ("scaleio_storage_pool_capacity_in_use_bytes{<P>}", column("In use", "bytes")),
            ("scaleio_storage_pool_capacity_available_bytes{<P>}", column("Allocatable (net)", "bytes")),
            ("scaleio_storage_pool_provisioned_bytes{<P>}", column("Provisioned (net)", "bytes")),
            ("storage_pool:scaleio_used:ratio{<P>}", column("Used", "percentunit", warning=0.8, bad=0.9, bar=True)),
            ("storage_pool:scaleio_full:days{<P>}", column("Full in", "suffix: days", decimals=0, warning=30, bad=4, below=True))],
            "Figures of each pool; raw counts all copies, net counts one.", "order devices, or agree with the owners on what to delete.", [*USED, *FULL], size=(24, 6), sort="Used")),
    row("Forecast",
        lines("Used, and where it goes", [
            ("storage_pool:scaleio_used:ratio{<P>}", POOL_LEGEND),
            ("predict_linear(storage_pool:scaleio_used:ratio{<P>}[$horizon], 30 * 86400)", POOL_LEGEND + " in 30 days")], "percentunit",
              "Use of each pool, and at each moment what it would be 30 days later at the growth chosen above.",
              "find the volumes that grow, and stop or move them.", [*USED, *FULL], warning=0.8, bad=0.9, overrides=[AHEAD]),
        lines("Growth in a day", [("deriv(scaleio_storage_pool_capacity_in_use_bytes{<P>}[$horizon]) * 86400", POOL_LEGEND)], "bytes",
              "Raw bytes that a pool grows in a day, by the growth chosen above.", min=None),
        bars("Full in", [("sort(storage_pool:scaleio_full:days{<P>})", POOL_LEGEND)], "suffix: days",
             "Days until the pool is full at the growth of two weeks; absent while it does not grow.",
             "order devices now.", FULL, warning=30, bad=4, below=True, size=(12, 6)),
        table("Largest volumes", [*POOL, "volume"], [("topk(20, scaleio_volume_size_bytes{<P>})", column("Size", "bytes"))],
              "The 20 largest volumes and snapshots, provisioned size.", size=(12, 6), sort="Size")),
    row("Resilience",
        table("Spare against the largest unit that may fail", list(DOMAIN), [
            ("protection_domain:scaleio_largest_fault_unit:bytes{<D>}", column("Largest unit", "bytes")),
            ("scaleio_protection_domain_capacity_spare_bytes{<D>}", column("Spare", "bytes")),
            ("scaleio_protection_domain_capacity_spare_bytes{<D>} / on (system, protection_domain) protection_domain:scaleio_largest_fault_unit:bytes{<D>}",
             column("Covered", "percentunit", bad=0.99, below=True))],
              "The largest fault set (or SDS) of each domain, and what is reserved for its loss.",
              "raise the spare percentage of the pools, or add capacity.", ["ScaleioSpareTooSmall", "ScaleioCannotRebuildAfterLoss"], size=(12, 6)),
        lines("Overcommitted", [("scaleio_storage_pool_data_copies{<P>} * scaleio_storage_pool_provisioned_bytes{<P>} / scaleio_storage_pool_capacity_max_bytes{<P>}", POOL_LEGEND)], "percentunit",
              "What is promised to users of what there is; above 100 % a pool can run full while its users have room.", size=(12, 6)),
        bars("Fault sets", [("scaleio_fault_set_capacity_max_bytes{<D>}", "{{protection_domain}} {{fault_set}}")], "bytes",
             "Raw capacity of each fault set; the largest decides on the spare.", size=(24, 5))),
], "now-30d", "")

ONE_COPY = ["ScaleioDataDegraded", "ScaleioDataDegradedLong"]

POOLS = ("scaleio-pool", "ScaleIO / Pool", "One storage pool in depth.", POOL, [
    row("Highlights",
        stat("Used", "max(storage_pool:scaleio_used:ratio{<P>})", "percentunit", "Use of the fullest of the chosen pools, without the spare.",
             "delete snapshots, move volumes, add devices.", USED, warning=0.8, bad=0.9, max=1, min=0, size=(6, 4)),
        stat("Full in", "min(storage_pool:scaleio_full:days{<P>})", "suffix: days", "Days until the first of the chosen pools is full; absent while none grows.",
             "order devices, or find what grows.", FULL, warning=30, bad=4, below=True, graph=False, decimals=0, size=(6, 4)),
        stat("One copy only", 'sum(scaleio_storage_pool_data_bytes{<P>,state="degraded_failed"})', "bytes", "Raw data whose other copy is lost or away.",
             "take nothing else down; see that the rebuild runs.", ONE_COPY, bad=1, size=(6, 4)),
        stat("Latency", [("max(scaleio_storage_pool_latency_seconds{<P>})", "")], "s", "Mean latency that clients see now, the worse of reading and writing.",
             size=(6, 4))),
    row("I/O",
        lines("Operations by layer", [("sum by (layer) (scaleio_storage_pool_operations_per_second{<P>})", "{{layer}}")], "iops",
              "Users' operations, and what they become on the devices with all copies and background work."),
        lines("Throughput of users", [('sum by (direction) (scaleio_storage_pool_throughput_bytes_per_second{<P>,layer="user"})', "{{direction}}")], "Bps",
              "Bytes that users read and write in a second."),
        lines("Latency of its devices", [
            ("quantile by (direction) (0.5, scaleio_device_latency_seconds{<P>})", "median {{direction}}"),
            ("max by (direction) (scaleio_device_latency_seconds{<P>})", "worst {{direction}}")], "s",
              "Median and worst device. Wide apart: one device slows the pool.", "see the slowest devices below; plan a replacement.", ["ScaleioDeviceSlow"], warning=0.02),
        table("Slowest devices", ["system", "protection_domain", "sds", "storage_pool", "device"], [
            ("topk(10, max by (system, protection_domain, sds, storage_pool, device) (scaleio_device_latency_seconds{<P>}))", column("Latency", "s", warning=0.02))],
              "The ten slowest devices.", "compare with the others of the pool.", ["ScaleioDeviceSlow"], size=(12, 8), sort="Latency")),
    row("Protection",
        lines("Data by state", [("sum by (state) (scaleio_storage_pool_data_bytes{<P>}) > 0", "{{state}}")], "bytes",
              "Raw data by how it is protected; degraded has one copy, failed has none that can be read.",
              "bring SDSs or devices back; take nothing else down.", ["ScaleioDataFailed", *ONE_COPY], stacked=True),
        lines("Findings of the scanner", [("sum by (system, storage_pool, kind) (increase(scaleio_storage_pool_scan_errors_total{<P>}[1d]))", POOL_LEGEND + " {{kind}}")], "short",
              "What the background scanner found and mended in a day: disks that decay.", "see Devices for which.", ["ScaleioDeviceReadErrorsGrow"])),
])

REBUILD_MATCH = '<P>,operation=~".+_rebuild"'

REBUILD = ("scaleio-rebuild", "ScaleIO / Rebuild and rebalance", "How much is to move, how fast, until when, and does it hurt users?", POOL, [
    row("Now",
        stat("Still to rebuild", f"sum(scaleio_storage_pool_moving_bytes{{{REBUILD_MATCH}}})", "bytes", "Raw data that waits for its second copy.",
             "take no other SDS or device down until it has ended.", ["ScaleioRebuildStuck"], bad=1, size=(6, 4)),
        stat("Time left", f'sum(scaleio_storage_pool_moving_bytes{{{REBUILD_MATCH}}}) / (sum(avg_over_time(scaleio_storage_pool_background_bytes_per_second{{{REBUILD_MATCH},direction="write"}}[15m])) > 0)', "s",
             "At the mean speed of the last 15 minutes; absent while nothing is rebuilt.",
             "raise the limits of the rebuild if clients can bear it; look for one slow device.", ["ScaleioRebuildEtaLong"], bad=12 * 3600, graph=False, size=(6, 4)),
        stat("One copy only", 'sum(scaleio_storage_pool_data_bytes{<P>,state="degraded_failed"})', "bytes", "Raw data that one more failure would take away.",
             "take nothing else down; see that the rebuild runs.", ONE_COPY, bad=1, size=(6, 4)),
        stat("Waiting to be sent", [("sum by (operation) (scaleio_protection_domain_rebuild_queue_length{<D>})", "{{operation}}")], "short",
             "Length of the queues of background work.", graph=False, size=(6, 4))),
    row("Progress",
        lines("To move", [("sum by (operation) (scaleio_storage_pool_moving_bytes{<P>})", "{{operation}}")], "bytes",
              "Raw data still to move, by operation.", "a rebuild that does not shrink is stuck: space, limits, network of the SDSs.", ["ScaleioRebuildStuck"], stacked=True),
        lines("Speed", [('sum by (operation) (scaleio_storage_pool_background_bytes_per_second{<P>,direction="write"})', "{{operation}}")], "Bps",
              "Bytes a second that each operation writes.", stacked=True),
        lines("Latency of users meanwhile", [("storage_pool:scaleio_latency:mean10m{<P>}", POOL_LEGEND)], "s",
              "Mean latency of the last ten minutes: what the background work costs users."),
        lines("Jobs", [("sum by (operation) (scaleio_storage_pool_background_jobs{<P>})", "{{operation}}")], "short", "Jobs that run and that wait."),
        table("Jobs by SDS", ["system", "protection_domain", "sds", "operation", "phase"], [("scaleio_sds_background_jobs{<D>} > 0", column("Jobs"))],
              "Which SDSs move data; one that has most is the bottleneck.", size=(24, 8), sort="Jobs")),
])

REPLICATION = ("scaleio-replication", "ScaleIO / Replication and snapshots", "Is the recovery point kept?", ("system", "consistency_group"), [
    row("Replication",
        bars("Lag of what was agreed", [('scaleio_replication_group_lag_seconds{<S>,consistency_group=~"$consistency_group"} / scaleio_replication_group_rpo_seconds', "{{system}} {{consistency_group}}")], "percentunit",
             "Age of the newest point that the other site holds, as a share of the agreed recovery point objective.",
             "the link between the sites, then the journal, then the load of the other system.", ["ScaleioReplicationRpoMissed"], bad=1, size=(12, 7)),
        lines("Lag", [('scaleio_replication_group_lag_seconds{<S>,consistency_group=~"$consistency_group"}', "{{system}} {{consistency_group}}")], "s",
              "Age of the newest point that the other site holds.", size=(12, 7)),
        lines("Journal used", [("scaleio_replication_journal_used_bytes{<S>} / (scaleio_replication_journal_max_bytes{<S>} > 0)", POOL_LEGEND)], "percentunit",
              "Use of the replication journal; when it is full, replication stops and copies all again.",
              "repair the link, or enlarge the journal.", ["ScaleioReplicationJournalFull"], bad=0.8, size=(12, 7)),
        lines("Speed by stage", [("sum by (system, stage) (scaleio_replication_transfer_bytes_per_second{<S>})", "{{system}} {{stage}}")], "Bps",
              "Bytes a second that are sent, received and applied.", size=(12, 7)),
        table("Groups", ["system", "consistency_group", "state"], [('scaleio_replication_group_state{<S>,consistency_group=~"$consistency_group"}', column("Groups"))],
              "State of each group.", size=(12, 6)),
        table("Pairs", ["system", "consistency_group", "state"], [('scaleio_replication_pairs{<S>,consistency_group=~"$consistency_group"}', column("Pairs")),],
              "Pairs of volumes by state.", size=(12, 6))),
    row("Snapshots",
        table("Policies", ["system", "policy"], [
            ("time() - scaleio_snapshot_policy_last_success_timestamp_seconds{<S>}", column("Last", "s")),
            ("scaleio_snapshot_policy_interval_seconds{<S>}", column("Every", "s")),
            ("(time() - scaleio_snapshot_policy_last_success_timestamp_seconds{<S>}) / (scaleio_snapshot_policy_interval_seconds{<S>} > 0)", column("Intervals", "none", bad=2, decimals=1)),
            ("scaleio_snapshot_policy_paused{<S>}", column("Paused", mappings=YES))],
              "How long ago each policy took its last snapshot.", "state of the policy, room in the pool, limit of snapshots of a volume.", ["ScaleioSnapshotOverdue"], size=(12, 7)),
        lines("Snapshots by pool", [('sum by (system, storage_pool) (scaleio_storage_pool_capacity_used_by_bytes{<S>,kind="snapshot"})', POOL_LEGEND)], "bytes",
              "Raw capacity that snapshots hold.", size=(12, 7))),
])

BOARDS = [CAPACITY, POOLS, REBUILD, REPLICATION]
