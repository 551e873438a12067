"""Versions, maintenance and upgrade: what is being changed, and how far is it?"""

from grafana import column, lines, row, stat, table

NODE = ["system", "protection_domain", "sds"]

LIFECYCLE = ("scaleio-lifecycle", "ScaleIO / Lifecycle", "What is being changed in the systems, and how far is it?", ("system", "protection_domain"), [
    row("Now",
        stat("In maintenance", "count(count by (system, protection_domain, sds) (scaleio_sds_maintenance{<D>})) or vector(0)", "short",
             "SDSs in maintenance, or on their way into or out of it.", size=(6, 4)),
        stat("Longest maintenance", "max(time() - scaleio_sds_maintenance_start_timestamp_seconds{<D>})", "s",
             "Since when the first SDS is in maintenance; absent while none is.", "exit maintenance, or remove the SDS if it will not return.",
             ["ScaleioMaintenanceTooLong", "ScaleioInstantMaintenanceTooLong"], warning=1800, bad=4 * 3600, graph=False, size=(6, 4)),
        stat("Versions of SDSs", 'count(count by (version) (scaleio_sds_info{<D>,version!=""}))', "short",
             "More than one is for the hours of an upgrade only; see the alert for when it is not.", graph=False, size=(6, 4)),
        stat("Versions of MDMs", 'count(count by (version) (scaleio_mdm_info{<S>,version!=""}))', "short",
             "More than one is for the time of an upgrade only.", graph=False, size=(6, 4))),
    row("Upgrade",
        lines("State that the MDM tells", [("scaleio_system_upgrade_state{<S>}", "{{system}} {{state}}")], "short",
              "A line at 1 for the state of each system.", stepped=True),
        lines("SDSs by version", [('count by (system, version) (scaleio_sds_info{<D>,version!=""})', "{{system}} {{version}}")], "short",
              "How far an upgrade is.", "resume the upgrade, or fix the stray node.", ["ScaleioSdsVersionMismatch"], stacked=True, stepped=True),
        lines("Clients by version", [('count by (system, version) (scaleio_sdc_info{<S>,version!=""})', "{{system}} {{version}}")], "short",
              "How many clients run each version.", stacked=True, stepped=True),
        lines("MDMs by version", [('count by (system, version) (max by (system, mdm, version) (scaleio_mdm_info{<S>,version!=""}))', "{{system}} {{version}}")], "short",
              "How many members of the MDM cluster run each version.", "finish the upgrade, or bring the stray member to the version of the others.",
              ["ScaleioMdmVersionSkew"], stacked=True, stepped=True)),
    row("Maintenance",
        lines("SDSs in maintenance", [("count by (system, sds, state) (scaleio_sds_maintenance{<D>})", "{{system}} {{sds}} {{state}}")], "short",
              "A line at 1 for each SDS while it is in maintenance.", stepped=True),
        lines("Data in maintenance", [('sum by (system, protection_domain) (scaleio_protection_domain_data_bytes{<D>,state="in_maintenance"})', "{{system}} {{protection_domain}}")], "bytes",
              "Raw data whose copy is on an SDS in maintenance: it lives on the other one meanwhile."),
        table("SDSs in maintenance now", NODE, [("time() - scaleio_sds_maintenance_start_timestamp_seconds{<D>}", column("For", "s", warning=1800, bad=4 * 3600))],
              "How long each is in maintenance already.", "exit maintenance, or remove the SDS if it will not return.",
              ["ScaleioMaintenanceTooLong", "ScaleioInstantMaintenanceTooLong"], size=(24, 6))),
])

BOARDS = [LIFECYCLE]
