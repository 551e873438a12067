"""Performance, nodes, devices, volumes and clients: who does the work, who asks for it, and who is slow?"""

from grafana import bars, column, lines, row, stat, table, top

POOL = ("system", "protection_domain", "storage_pool")
POOL_LEGEND = "{{system}} {{storage_pool}}"
DEVICE = ["system", "protection_domain", "sds", "storage_pool", "device"]

# The objective: 99.9 % of I/O within 5 ms, over 30 days.
BURN = ["ScaleioLatencySloFastBurn", "ScaleioLatencySloSlowBurn"]

PERFORMANCE = ("scaleio-performance", "ScaleIO / Performance", "Are users served well, and who is the noisy neighbour?", (*POOL, "top"), [
    row("Objective: 99.9 % of I/O within 5 ms",
        stat("I/O within 5 ms", 'sum(rate(scaleio_storage_pool_io_latency_seconds_bucket{<P>,le="0.005"}[$__range])) / sum(rate(scaleio_storage_pool_io_latency_seconds_count{<P>}[$__range]))', "percentunit",
             "Share of users' I/O in the time shown that took at most 5 ms.", max=1, decimals=2, graph=False, size=(6, 8)),
        lines("How fast the budget burns", [
            ("storage_pool:scaleio_slow_io:ratio1h{<P>} / 0.001", POOL_LEGEND + " 1 h"),
            ("storage_pool:scaleio_slow_io:ratio6h{<P>} / 0.001", POOL_LEGEND + " 6 h")], "none",
              "Share of slow I/O over the 0.1 % that is allowed: at 1 the month's budget lasts the month.",
              "compare the devices of the pool, then its busiest volumes.", BURN, warning=6, bad=14.4, size=(9, 8)),
        lines("Latency: median and 99th percentile", [
            ("histogram_quantile(0.5, sum by (le) (rate(scaleio_storage_pool_io_latency_seconds_bucket{<P>}[$__rate_interval])))", "median"),
            ("histogram_quantile(0.99, sum by (le) (rate(scaleio_storage_pool_io_latency_seconds_bucket{<P>}[$__rate_interval])))", "99th percentile")], "s",
              "Half of the I/O is quicker than the lower line, 99 of 100 quicker than the upper.", size=(9, 8))),
    row("Pools",
        lines("Operations", [('sum by (system, storage_pool) (scaleio_storage_pool_operations_per_second{<P>,layer="user"})', POOL_LEGEND)], "iops", "Operations of users in a second.", size=(8, 8)),
        lines("Throughput", [('sum by (system, storage_pool) (scaleio_storage_pool_throughput_bytes_per_second{<P>,layer="user"})', POOL_LEGEND)], "Bps", "Bytes of users in a second.", size=(8, 8)),
        lines("Latency and its usual range", [
            ("storage_pool:scaleio_latency:mean10m{<P>}", POOL_LEGEND),
            ("storage_pool:scaleio_latency:mean10m_avg7d{<P>} + 4 * storage_pool:scaleio_latency:mean10m_stddev7d{<P>}", POOL_LEGEND + " unusual from here")], "s",
              "Mean of ten minutes, and the edge of what the last week saw.", "nothing may be wrong: look for a new workload.", ["ScaleioLatencyUnusual"], size=(8, 8))),
    row("Who asks for most",
        bars("Volumes by operations", [("topk($top, sum by (system, volume) (scaleio_volume_operations_per_second{<P>}))", "{{volume}}")], "iops",
             "The busiest volumes now.", size=(8, 9), objects=("system", "volume")),
        bars("Volumes by latency", [("topk($top, max by (system, volume) (scaleio_volume_latency_seconds{<P>} and scaleio_volume_operations_per_second{<P>} > 10))", "{{volume}}")], "s",
             "The slowest volumes that do more than 10 operations a second.", "compare with the pool: slow alone means its client, a limit, or its load.",
             ["ScaleioVolumeLatencyHigh"], bad=0.05, size=(8, 9), objects=("system", "volume")),
        bars("Clients by throughput", [("topk($top, sum by (system, sdc) (scaleio_sdc_throughput_bytes_per_second{<S>}))", "{{sdc}}")], "Bps",
             "The clients that move most bytes.", size=(8, 9), objects=("system", "sdc"))),
])

NODES = ("scaleio-sds", "ScaleIO / Nodes", "Which SDS is down, slow, unbalanced, or on another version?", ("system", "protection_domain", "sds"), [
    row("Highlights",
        stat("Connected", "sum(scaleio_sds_mdm_connected{<D>}) / count(scaleio_sds_mdm_connected{<D>})", "percentunit", "Share of the SDSs that are connected to the MDM.",
             "is the host up, and does the service run? Take no other SDS down.", ["ScaleioSdsDisconnected", "ScaleioMultipleSdsDown"], bad=1, below=True, max=1, min=0, size=(3, 6)),
        stat("Decoupled", 'count(scaleio_sds_membership{<D>,state="decoupled"} == 1) or vector(0)', "short", "SDSs that take no part in their domain.",
             "the network between the SDSs, then the log of the SDS.", ["ScaleioSdsDecoupled"], bad=1, size=(3, 6)),
        stat("In maintenance", "count(count by (system, protection_domain, sds) (scaleio_sds_maintenance{<D>})) or vector(0)", "short", "SDSs in maintenance, or on their way into or out of it.", size=(3, 6)),
        stat("Versions", 'count(count by (version) (scaleio_sds_info{<D>,version!=""}))', "short", "How many versions the SDSs run; more than one is for the hours of an upgrade only.",
             graph=False, size=(3, 6)),
        table("Fault sets", ["system", "protection_domain", "fault_set"], [
            ("scaleio_fault_set_sds{<D>}", column("SDSs")),
            ("scaleio_fault_set_sds_connected{<D>}", column("Connected")),
            ("scaleio_fault_set_sds{<D>} - scaleio_fault_set_sds_connected{<D>}", column("Away", bad=1)),
            ("scaleio_fault_set_capacity_max_bytes{<D>}", column("Raw", "bytes"))],
              "SDSs of each fault set; two fault sets with one away put data at risk.", "power and switch of the fault set with most SDSs missing.", ["ScaleioFaultSetPartlyDown"], size=(12, 6))),
    row("Compare",
        lines("Operations of each SDS", [(top(20, "system, sds", "sum", 'scaleio_sds_operations_per_second{<D>,layer="total"}'), "{{sds}}")], "iops",
              "The 20 busiest SDSs, all copies and background work; one far from the others is unbalanced or slow.", many=True, size=(12, 9)),
        bars("Used by SDS", [("topk(20, scaleio_sds_capacity_in_use_bytes{<D>} / scaleio_sds_capacity_max_bytes{<D>})", "{{sds}}")], "percentunit",
             "The 20 fullest SDSs, of their raw capacity.", max=1, size=(12, 9), objects=("system", "protection_domain", "sds")),
        lines("Disconnections in an hour", [("increase(scaleio_sds_disconnections_total{<D>}[1h]) > 0", "{{sds}}")], "short",
              "How often the MDM lost an SDS; each time a rebuild begins.", "cable, network card and memory of the host.", ["ScaleioSdsFlapping"], bad=3, size=(12, 7), none="none was lost"),
        lines("Not connected", [("1 - scaleio_sds_mdm_connected{<D>} > 0", "{{sds}}")], "short", "A line at 1 for each SDS while it is away.",
              stepped=True, size=(12, 7), none="every SDS is connected")),
    row("The chosen SDSs",
        lines("Operations by layer", [('sum by (layer) (scaleio_sds_operations_per_second{<D>,sds=~"$sds"})', "{{layer}}")], "iops", "First and second copies, and all that the devices do.", size=(8, 8)),
        lines("Throughput by layer", [('sum by (layer) (scaleio_sds_throughput_bytes_per_second{<D>,sds=~"$sds"})', "{{layer}}")], "Bps", "Bytes a second by layer.", size=(8, 8)),
        lines("Slowest devices", [(top(10, "sds, device", "max", 'scaleio_device_latency_seconds{<D>,sds=~"$sds"}'), "{{sds}} {{device}}")], "s",
              "The ten slowest devices of these SDSs.", "compare with the others of the pool.", ["ScaleioDeviceSlow"], warning=0.02, many=True, size=(8, 8)),
        table("Facts", ["system", "protection_domain", "sds", "fault_set", "address", "version"], [('scaleio_sds_info{<D>,sds=~"$sds"}', column(None))],
              "Address, version and fault set of each SDS.", "mixed versions: resume the upgrade, or fix the stray node.", ["ScaleioSdsVersionMismatch"])),
])

DEVICES = ("scaleio-devices", "ScaleIO / Devices", "Which disks have failed, are failing, or are slow?", (*POOL, "sds"), [
    row("Highlights",
        stat("With an error", "sum(scaleio_storage_pool_devices_with_error{<P>})", "short", "Devices of which the MDM reports an error.",
             "wait for the rebuild, then replace the disk.", ["ScaleioDeviceError"], bad=1, size=(4, 6)),
        stat("SMART fails", "count(count by (system, protection_domain, sds, storage_pool, device) (scaleio_device_smart_failed{<P>} == 1)) or vector(0)", "short",
             "Devices that say themselves that they fail.", "plan a replacement; at a temperature look at the fans.", ["ScaleioDeviceSmartFailing"], bad=1, size=(4, 6)),
        lines("By state", [("sum by (state) (scaleio_storage_pool_devices{<P>})", "{{state}}")], "short", "How many devices are in each state.", stacked=True, size=(8, 6)),
        table("By model and firmware", ["vendor", "model", "firmware"], [('count by (vendor, model, firmware) (scaleio_device_info{<P>,sds=~"$sds"})', column("Devices"))],
              "What is built in: faults often come by model or firmware.", size=(8, 6), sort="Devices")),
    row("Latency",
        table("Slowest against the median of their pool", DEVICE, [
            ('topk(20, max by (system, protection_domain, sds, storage_pool, device) (scaleio_device_latency_seconds{<P>,sds=~"$sds"}))', column("Latency", "s", warning=0.02)),
            ('max by (system, protection_domain, sds, storage_pool, device) (scaleio_device_latency_seconds{<P>,sds=~"$sds"} / on (system, protection_domain, storage_pool, direction) group_left () quantile by (system, protection_domain, storage_pool, direction) (0.5, scaleio_device_latency_seconds{<P>}))', column("× median", "none", warning=4, decimals=1))],
              "The 20 slowest devices, and how many times the median of their pool that is.", "cache and battery of the controller; plan a replacement.", ["ScaleioDeviceSlow"], size=(12, 10), sort="Latency"),
        lines("Latency of the slowest", [(top(10, "sds, device", "max", 'scaleio_device_latency_seconds{<P>,sds=~"$sds"}'), "{{sds}} {{device}}")], "s",
              "The ten devices that are slowest now.", "cache and battery of the controller; plan a replacement.", ["ScaleioDeviceSlow"], warning=0.02, many=True, size=(12, 10)),
        lines("Read errors mended in a day", [('topk(10, increase(scaleio_device_read_errors_fixed_total{<P>,sds=~"$sds"}[1d]))', "{{sds}} {{device}}")], "short",
              "Errors that the scanner or an access mended: a disk that decays.", "plan a replacement.", ["ScaleioDeviceReadErrorsGrow"], warning=10, many=True, size=(12, 8), none="none was mended"),
        table("Too many long operations", DEVICE, [('max by (system, protection_domain, sds, storage_pool, device) (scaleio_device_long_operations{<P>,sds=~"$sds"}) > 0.5', column("Of its threshold", "percentunit", bad=1))],
              "Operations that ended well but late, as a share of what the MDM allows; shown from half of that on.", "plan a replacement.", ["ScaleioDeviceLongOperations"], size=(12, 8), none="no device is near its threshold")),
])

VOLUMES = ("scaleio-volumes", "ScaleIO / Volumes", "Find a volume; see its I/O, its limits and who has it mapped.", (*POOL, "volume"), [
    row("List",
        table("Volumes", [*POOL, "volume"], [
            ('scaleio_volume_size_bytes{<P>,volume=~"$volume"}', column("Size", "bytes")),
            ('sum by (system, protection_domain, storage_pool, volume) (scaleio_volume_operations_per_second{<P>,volume=~"$volume"})', column("I/O", "iops", decimals=0)),
            ('sum by (system, protection_domain, storage_pool, volume) (scaleio_volume_throughput_bytes_per_second{<P>,volume=~"$volume"})', column("Throughput", "Bps")),
            ('max by (system, protection_domain, storage_pool, volume) (scaleio_volume_latency_seconds{<P>,volume=~"$volume"})', column("Latency", "s", bad=0.05)),
            ('scaleio_volume_mapped_sdcs{<P>,volume=~"$volume"}', column("Clients"))],
              "Volumes and snapshots; filter a column to find one.", "compare with the pool: slow alone means its client, a limit, or its load.", ["ScaleioVolumeLatencyHigh"], size=(24, 10), sort="I/O"),
        table("Largest that nobody has mapped", [*POOL, "volume"], [("topk(20, scaleio_volume_size_bytes{<P>} and scaleio_volume_mapped_sdcs{<P>} == 0)", column("Size", "bytes"))],
              "Volumes and snapshots without a client: perhaps nobody needs them.", size=(12, 8), sort="Size"),
        lines("Mapped and not", [("sum by (mapped) (scaleio_storage_pool_volumes{<P>})", "mapped: {{mapped}}")], "short", "How many volumes have a client and how many have none.", stacked=True)),
    row("The chosen volumes",
        lines("Operations", [(top(10, "system, volume", "sum", 'scaleio_volume_operations_per_second{<P>,volume=~"$volume"}'), "{{volume}}")], "iops", "The ten busiest of the chosen volumes.", many=True),
        lines("Throughput", [(top(10, "system, volume", "sum", 'scaleio_volume_throughput_bytes_per_second{<P>,volume=~"$volume"}'), "{{volume}}")], "Bps", "The ten of the chosen volumes that move most.", many=True),
        lines("Latency against the pool", [
            (top(10, "system, volume", "max", 'scaleio_volume_latency_seconds{<P>,volume=~"$volume"}'), "{{volume}}"),
            ("max by (system, storage_pool) (scaleio_storage_pool_latency_seconds{<P>})", "pool {{storage_pool}}")], "s",
              "The ten slowest of the chosen volumes, and their pools.", "slow with its pool: look at devices and rebuild; slow alone: at its client.", ["ScaleioVolumeLatencyHigh"], bad=0.05, many=True),
        lines("I/O of its limit", [('sum by (system, volume) (scaleio_volume_operations_per_second{<P>,volume=~"$volume"}) / sum by (system, volume) (scaleio_volume_limit_operations_per_second{<P>,volume=~"$volume"})', "{{volume}}")], "percentunit",
              "Use of the limit on operations, for volumes that have one at their clients; at 100 % users wait for the limit.", many=True, none="no chosen volume has a limit")),
])

CLIENTS = ("scaleio-sdc", "ScaleIO / Clients", "Which hosts lost the storage, load it most, or run an old client?", ("system", "sdc"), [
    row("Highlights",
        stat("Connected", 'sum(scaleio_system_sdcs{<S>,connected="true"}) / sum(scaleio_system_sdcs{<S>})', "percentunit", "Share of the clients that are connected to the MDM.",
             "many at once: the network, or the virtual IP of the MDM.", ["ScaleioManySdcsDisconnected"], warning=1, bad=0.9, below=True, max=1, min=0, size=(4, 6)),
        stat("Broken paths", "count(scaleio_system_connectivity_ok{<S>} == 0) or vector(0)", "short", "Kinds of paths of which some are broken, such as sdc_sds.",
             "all are connected to the MDM, yet not to each other: the network between them.", ["ScaleioPathsBroken"], bad=1, size=(4, 6)),
        table("Versions and operating systems", ["system", "version", "os"], [("count by (system, version, os) (scaleio_sdc_info{<S>})", column("Clients"))], "What clients run.", size=(8, 6), sort="Clients"),
        table("Not connected, with volumes", ["system", "sdc"], [("scaleio_sdc_mapped_volumes{<S>} > 0 and on (system, sdc) scaleio_sdc_mdm_connected{<S>} == 0", column("Volumes", bad=1))],
              "Clients that may have lost their volumes.", "is the host up? If it is gone for good, unmap its volumes and remove it.", ["ScaleioSdcDisconnected"], size=(8, 6), none="every client with volumes is connected")),
    row("Load",
        lines("Operations", [(top(10, "system, sdc", "sum", 'scaleio_sdc_operations_per_second{<S>,sdc=~"$sdc"}'), "{{sdc}}")], "iops", "The ten clients that ask for most.", many=True, size=(12, 9)),
        lines("Latency", [(top(10, "system, sdc", "max", 'scaleio_sdc_latency_seconds{<S>,sdc=~"$sdc"}'), "{{sdc}}")], "s", "The ten clients that wait longest.", many=True, size=(12, 9)),
        lines("Disconnections in an hour", [('increase(scaleio_sdc_disconnections_total{<S>,sdc=~"$sdc"}[1h]) > 0', "{{sdc}}")], "short", "How often the MDM lost a client.", size=(12, 7)),
        table("Failures that come and go", ["system", "sdc", "counter"], [('scaleio_sdc_oscillating_failures{<S>,sdc=~"$sdc"} > 0.5', column("Of its threshold", "percentunit", bad=1))],
              "Failures in a window of the MDM, as a share of what it allows; shown from half of that on.", "network card, cable and memory of the host.", size=(12, 7), none="none near the threshold of the MDM")),
])

BOARDS = [PERFORMANCE, NODES, DEVICES, VOLUMES, CLIENTS]
