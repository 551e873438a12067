"""All that PyPowerFlex can do, from 3.0 on; pyscaleio reads it back at the
other gateway."""

from PyPowerFlex.objects.gen1.sds import SdsIp
from PyPowerFlex.objects.common.sdt import SdtIp
from PyPowerFlex.objects.common.system import SnapshotDef

import by_hand
from clients import agree, done, powerflex, refused, scaleio, until


class Judge:
    def __init__(self, release, first, second):
        self.release = release
        self.pf = powerflex(first)
        self.ps = scaleio(second)
        self.system = self.ps.system["id"]

    def read(self, kind, of):
        return self.ps.get_instance_of(kind, of)

    def named(self, kind, name):
        return self.ps.perform_action_on_type(kind, "queryIdByKey", {"name": name})

    def seen(self, kind, of, **fields):
        """What the other client sees of an object."""
        body = self.read(kind, of)
        # The client leaves out what is null.
        agree("%s seen by the other" % kind, {name: body.get(name) for name in fields}, fields)

    def act(self, kind, of, action, **params):
        """An action that the client has no method for, sent by it all the same."""
        system = self.pf.system
        return done(system.send_post_request(
            system.base_action_url, entity=kind, entity_id=of, action=action, params=params))

    def create(self, kind, **params):
        """An object that the client has no method for, or not with all of this."""
        system = self.pf.system
        return done(system.send_post_request("/types/{entity}/instances", entity=kind, params=params))

    def order(self, action, **params):
        system = self.pf.system
        return done(system.send_post_request(
            system.base_object_url, entity="System", action=action, params=params))


def judge(release, first, second):
    j = Judge(release, first, second)
    by_hand.devices_with_errors(j)
    domain = domains(j)
    pool = pools(j, domain)
    by_hand.pool(j, pool)
    sds = nodes(j, domain, pool)
    devices(j, sds, pool)
    by_hand.tested_devices(j, sds, pool)
    taken_apart(j, domain, pool, sds)
    by_hand.removals_given_up(j)
    volumes(j)
    by_hand.volumes(j)
    policies(j)
    clients(j)
    by_hand.system(j)
    by_hand.acceleration(j)
    by_hand.users(j)
    by_hand.parts_of_pools(j)
    statistics(j)
    maintenance(j)
    upgrade(j)
    cluster(j)
    by_hand.cluster(j)
    if release >= "3.5":
        replication(j)
        by_hand.peers(j)
    if release >= "4.0":
        nvme(j)
        by_hand.systems(j)
        manager(j)


def domains(j):
    pd = j.pf.protection_domain
    made = pd.create("judged")
    agree("by name", j.named("ProtectionDomain", "judged"), made["id"])
    refused(141, pd.create, "judged")
    pd.rename(made["id"], "judged-domain")
    j.seen("ProtectionDomain", made["id"], name="judged-domain")
    pd.network_limits(made["id"], rebuild_limit=10240, overall_limit=20480)
    j.seen("ProtectionDomain", made["id"], rebuildNetworkThrottlingInKbps=10240,
           overallIoNetworkThrottlingEnabled=True)
    refused(203, pd.network_limits, made["id"], rebuild_limit=30720)
    pd.set_rfcache_enabled(made["id"], True)
    j.seen("ProtectionDomain", made["id"], rfcacheEnabled=True)
    pd.set_rfcache_enabled(made["id"], False)
    pd.rfcache_parameters(made["id"], page_size=32, pass_through_mode="Read")
    j.seen("ProtectionDomain", made["id"], rfcachePageSizeKb=32, rfcacheOpertionalMode="Read", rfcacheEnabled=False)
    pd.inactivate(made["id"])
    until("inactive", lambda: j.read("ProtectionDomain", made["id"])["protectionDomainState"] == "Inactive")
    refused(213, pd.inactivate, made["id"])
    pd.activate(made["id"])
    until("active", lambda: j.read("ProtectionDomain", made["id"])["protectionDomainState"] == "Active")
    agree("no SDSs yet", pd.get_sdss(made["id"]), [])
    agree("no pools yet", pd.get_storage_pools(made["id"]), [])
    return made["id"]


def pools(j, domain):
    sp = j.pf.storage_pool
    pool = sp.create("SSD", domain, name="judged", spare_percentage=20)["id"]
    see = lambda **fields: j.seen("StoragePool", pool, **fields)
    see(name="judged", sparePercentage=20, protectionDomainId=domain)
    refused(173, sp.create, "SSD", domain, name="judged")
    refused(176, j.pf.protection_domain.delete, domain)
    sp.rename(pool, "judged-pool")
    see(name="judged-pool")
    sp.set_zero_padding_policy(pool, False)
    see(zeroPaddingEnabled=False)
    sp.set_spare_percentage(pool, 10)
    see(sparePercentage=10)
    refused(327, sp.set_spare_percentage, pool, 99)
    sp.set_rebuild_enabled(pool, False)
    see(rebuildEnabled=False)
    sp.set_rebuild_enabled(pool, True)
    sp.set_rebalance_enabled(pool, False)
    see(rebuildEnabled=True, rebalanceEnabled=False)
    sp.set_cap_alert_thresholds(pool, 70, 85)
    see(capacityAlertHighThreshold=70, capacityAlertCriticalThreshold=85)
    refused(195, sp.set_cap_alert_thresholds, pool, 85, 70)
    sp.rebalance_io_priority_policy(pool, "limitNumOfConcurrentIos", 4, 2048)
    see(rebalanceIoPriorityPolicy="limitNumOfConcurrentIos", rebalanceIoPriorityNumOfConcurrentIosPerDevice=4)
    refused(64, sp.rebalance_io_priority_policy, pool, "limitNumOfConcurrentIos", 21, 2048)
    refused(0, sp.rebalance_io_priority_policy, pool, "sometimes", 1, 2048)
    sp.set_vtree_migration_io_priority_policy(pool, "favorAppIos", 2, 4096)
    see(vtreeMigrationIoPriorityPolicy="favorAppIos")
    sp.set_rebuild_rebalance_parallelism_limit(pool, 5)
    see(numOfParallelRebuildRebalanceJobsPerDevice=5)
    sp.set_use_rmcache(pool, True)
    see(useRmcache=True)
    sp.set_use_rfcache(pool, True)
    sp.set_checksum_enabled(pool, True)
    sp.set_rmcache_write_handling_mode(pool, "Passthrough")
    see(useRmcache=True, useRfcache=True, checksumEnabled=True, rmcacheWriteHandlingMode="Passthrough")
    sp.set_use_rfcache(pool, False)
    sp.set_fragmentation_enabled(pool, False)
    see(fragmentationEnabled=False, useRfcache=False)
    sp.set_fragmentation_enabled(pool, True)
    see(fragmentationEnabled=True)
    sp.set_compression_method(pool, "Normal")
    sp.set_external_acceleration_type(pool, "Read")
    sp.set_media_type(pool, "HDD")
    see(compressionMethod="Normal", externalAccelerationType="Read", mediaType="HDD")
    if j.release >= "3.5":
        sp.set_protected_maintenance_mode_io_priority_policy(pool, "favorAppIos", 3, 2048)
        sp.set_persistent_checksum(pool, True, True, 2048)
        see(protectedMaintenanceModeIoPriorityPolicy="favorAppIos", persistentChecksumValidateOnRead=True)
        sp.modify_persistent_checksum(pool, False, 4096)
        see(persistentChecksumBuilderLimitKb=4096, persistentChecksumValidateOnRead=False)
        sp.set_persistent_checksum(pool, False, None, None)
        sp.set_rep_cap_max_ratio(pool, 30)
        see(persistentChecksumEnabled=False, replicationCapacityMaxRatio=30)
    return pool


def nodes(j, domain, pool):
    sets = j.pf.fault_set
    fault_set = sets.create(domain, "judged")["id"]
    j.seen("FaultSet", fault_set, name="judged", protectionDomainId=domain)
    sets.rename(fault_set, "judged-set")
    j.seen("FaultSet", fault_set, name="judged-set")
    nodes = j.pf.sds
    all_of_it = []
    for at in (1, 2, 3):
        made = nodes.create(domain, [SdsIp("10.77.0.%d" % at, "all")], name="judged-%d" % at,
                            fault_set_id=fault_set if at == 1 else None)
        all_of_it.append(made["id"])
    sds = all_of_it[0]
    j.seen("Sds", sds, name="judged-1", protectionDomainId=domain, faultSetId=fault_set)
    agree("in the set", [one["id"] for one in sets.get_sdss(fault_set)], [sds])
    refused(268, sets.delete, fault_set)
    refused(98, nodes.create, domain, [SdsIp("10.77.0.9", "all")], name="judged-1")
    refused(93, nodes.create, domain, [SdsIp("10.77.0.1", "all")], name="another")
    nodes.rename(sds, "judged-sds")
    j.seen("Sds", sds, name="judged-sds")
    nodes.add_ip(sds, SdsIp("10.78.0.1", "sdcOnly"))
    nodes.set_ip_role(sds, "10.78.0.1", "sdsOnly")
    j.seen("Sds", sds, ipList=[{"ip": "10.77.0.1", "role": "all"}, {"ip": "10.78.0.1", "role": "sdsOnly"}])
    refused(201, nodes.set_ip_role, sds, "10.78.0.1", "sdsOnly")
    refused(200, nodes.add_ip, sds, SdsIp("10.78.0.1", "all"))
    nodes.remove_ip(sds, "10.78.0.1")
    j.seen("Sds", sds, ipList=[{"ip": "10.77.0.1", "role": "all"}])
    refused(187, nodes.remove_ip, sds, "10.77.0.1")
    refused(193, nodes.remove_ip, sds, "10.78.0.1")
    nodes.set_port(sds, 7073)
    nodes.set_rfcache_enabled(sds, True)
    j.seen("Sds", sds, port=7073, rfcacheEnabled=True)
    nodes.set_rmcache_enabled(sds, False)
    nodes.set_rmcache_size(sds, 256)
    nodes.set_performance_parameters(sds, "Compact")
    j.seen("Sds", sds, rmcacheEnabled=False, rmcacheSizeInKb=256 << 10,
           perfProfile="Compact")
    nodes.set_rfcache_enabled(sds, False)
    refused(143, j.pf.protection_domain.delete, domain)
    j.seen("Sds", sds, rfcacheEnabled=False)
    until("joined", lambda: all(j.read("Sds", one)["membershipState"] == "Joined" for one in all_of_it))
    return all_of_it


def devices(j, sds, pool):
    made = [j.pf.device.create("/dev/sdq", one, storage_pool_id=pool, name="judged-%d" % at)["id"]
            for at, one in enumerate(sds)]
    refused(637, j.pf.device.create, "/dev/sdq", sds[0], storage_pool_id=pool)
    j.seen("Device", made[0], name="judged-0", sdsId=sds[0], storagePoolId=pool)
    until("tested", lambda: all(j.read("Device", one)["deviceState"] == "Normal" for one in made))
    agree("of the SDS", [one["id"] for one in j.pf.sds.get_devices(sds[0])], [made[0]])
    agree("of the pool", [one["id"] for one in j.pf.storage_pool.get_devices(pool)], made)
    j.pf.device.rename(made[0], "judged-device")
    j.pf.device.set_media_type(made[0], "HDD")
    j.seen("Device", made[0], name="judged-device", mediaType="HDD")
    agree("raw", j.act("Device", made[0], "setDeviceCapacityLimit", capacityLimitInGB="24"), {})
    j.seen("Device", made[0], capacityLimitInKb=24 << 20)
    refused(1013, j.act, "Device", made[0], "clearDeviceError")
    refused(262, j.pf.storage_pool.set_zero_padding_policy, pool, True)
    volume = j.pf.volume.create(pool, 8, name="judged-on-new")
    j.seen("Volume", volume["id"], storagePoolId=pool)
    refused(196, j.pf.storage_pool.delete, pool)
    j.pf.volume.delete(volume["id"], "ONLY_ME")
    refused(172, j.pf.storage_pool.delete, pool)


def taken_apart(j, domain, pool, sds):
    fault_set = j.read("Sds", sds[0])["faultSetId"]
    device = j.pf.sds.get_devices(sds[2])[0]["id"]
    j.pf.device.delete(device)
    until("device gone", lambda: device not in [one["id"] for one in j.ps.get_instances_of("Device")])
    refused(126, j.pf.device.get, device)
    j.pf.sds.delete(sds[0])
    until("SDS gone", lambda: sds[0] not in [one["id"] for one in j.ps.get_instances_of("Sds")])
    refused(102, j.act, "Sds", sds[1], "abortRemoveSds")
    for one in sds[1:]:
        j.pf.sds.delete(one, force=True)
    until("SDSs gone", lambda: not set(sds) & {one["id"] for one in j.ps.get_instances_of("Sds")})
    j.pf.fault_set.clear(fault_set)
    agree("empty", [one for one in j.ps.get_instances_of("Sds") if one.get("faultSetId") == fault_set], [])
    j.pf.fault_set.delete(fault_set)
    refused(265, j.ps.get_instance_of, "FaultSet", fault_set)
    j.pf.storage_pool.delete(pool)
    refused(171, j.ps.get_instance_of, "StoragePool", pool)
    j.pf.protection_domain.delete(domain)
    refused(142, j.ps.get_instance_of, "ProtectionDomain", domain)


def volumes(j):
    vol = j.pf.volume
    pool, other = j.named("StoragePool", "pool-1"), j.named("StoragePool", "pool-2")
    sdcs = [one["id"] for one in j.ps.get_instances_of("Sdc")][:2]
    made = vol.create(pool, 8, name="judged", volume_type="ThinProvisioned")["id"]
    see = lambda **fields: j.seen("Volume", made, **fields)
    see(name="judged", sizeInKb=8 << 20, volumeType="ThinProvisioned")
    agree("of the pool", made in [one["id"] for one in j.pf.storage_pool.get_volumes(pool)], True)
    refused(99, vol.create, pool, 8, name="judged")
    refused(0, vol.create, pool, 8, name="other", volume_type="Fat")
    vol.rename(made, "judged-volume")
    vol.extend(made, 16)
    vol.set_use_rmcache(made, True)
    vol.set_compression_method(made, "None")
    vol.set_volume_access_mode_limit(made, "ReadOnly")
    see(name="judged-volume", sizeInKb=16 << 20, useRmcache=True, accessModeLimit="ReadOnly")
    refused(133, vol.extend, made, 8)
    vol.add_mapped_sdc(made, sdc_id=sdcs[0])
    refused(81, vol.add_mapped_sdc, made, sdc_id=sdcs[0])
    refused(306, vol.add_mapped_sdc, made, sdc_id=sdcs[1])
    vol.add_mapped_sdc(made, sdc_id=sdcs[1], allow_multiple_mappings=True, access_mode="ReadOnly")
    vol.set_mapped_sdc_limits(made, sdcs[0], bandwidth_limit=2048, iops_limit=100)
    refused(203, vol.set_mapped_sdc_limits, made, sdcs[0], bandwidth_limit=1000, iops_limit=100)
    vol.set_access_mode_for_sdc(made, sdcs[0], "NoAccess")
    rows = {row["sdcId"]: (row["limitIops"], row["limitBwInMbps"], row["accessMode"])
            for row in j.read("Volume", made)["mappedSdcInfo"]}
    agree("mapped", rows, {sdcs[0]: (100, 2, "NoAccess"), sdcs[1]: (0, 0, "ReadOnly")})
    agree("of the client", made in [one["id"] for one in j.pf.sdc.get_mapped_volumes(sdcs[0])], True)
    refused(104, vol.delete, made, "ONLY_ME")
    vol.remove_mapped_sdc(made, sdc_id=sdcs[0])
    refused(84, vol.remove_mapped_sdc, made, sdc_id=sdcs[0])
    vol.remove_mapped_sdc(made, all_sdcs=True)
    see(mappedSdcInfo=None)
    taken = j.pf.system.snapshot_volumes(j.system, [SnapshotDef(made, "judged-1"), SnapshotDef(made, "judged-2")])
    snapshot = taken["volumeIdList"][0]
    j.seen("Volume", snapshot, name="judged-1", ancestorVolumeId=made, consistencyGroupId=taken["snapshotGroupId"])
    refused(99, j.act, "System", j.system, "snapshotVolumes",
            snapshotDefs=[{"volumeId": made, "snapshotName": "judged-1"}])
    vol.set_retention_period(snapshot, 60)
    agree("kept", j.read("Volume", snapshot)["secureSnapshotExpTime"] > 0, True)
    refused(888, vol.lock_auto_snapshot, snapshot)
    refused(888, vol.unlock_auto_snapshot, snapshot)
    j.pf.system.remove_cg_snapshots(j.system, taken["snapshotGroupId"])
    refused(79, j.ps.get_instance_of, "Volume", snapshot)
    refused(185, j.pf.system.remove_cg_snapshots, j.system, taken["snapshotGroupId"])
    refused(718, j.act, "Volume", made, "migrateVTree", destSPId=pool)
    j.act("Volume", made, "migrateVTree", destSPId=other)
    until("moved", lambda: j.read("Volume", made)["storagePoolId"] == other)
    agree("statistics", vol.get_statistics(made)["numOfMappedSdcs"], 0)
    vol.delete(made, "WHOLE_VTREE")
    refused(79, vol.get, made)


def policies(j):
    policy = j.pf.snapshot_policy
    made = policy.create(60, [3, 2], name="judged")["id"]
    see = lambda **fields: j.seen("SnapshotPolicy", made, **fields)
    see(name="judged", autoSnapshotCreationCadenceInMin=60, numOfRetainedSnapshotsPerLevel=[3, 2])
    refused(877, policy.create, 60, [3], name="judged")
    refused(899, policy.create, 1, [3], name="other")
    policy.modify(made, 120, [4])
    policy.rename(made, "judged-policy")
    policy.pause(made)
    see(name="judged-policy", autoSnapshotCreationCadenceInMin=120, snapshotPolicyState="Paused")
    policy.resume(made)
    see(snapshotPolicyState="Active")
    volume = j.pf.volume.create(j.named("StoragePool", "pool-1"), 8, name="judged-source")["id"]
    policy.add_source_volume(made, volume)
    see(snapshotPolicyState="Active", numOfSourceVolumes=1)
    refused(882, policy.add_source_volume, made, volume)
    refused(885, policy.delete, made)
    refused(897, j.pf.volume.delete, volume, "ONLY_ME")
    # Of a cadence of five minutes, which are ten seconds here.
    policy.modify(made, 5, [2])
    until("a snapshot", lambda: j.read("SnapshotPolicy", made)["numOfAutoSnapshots"] > 0)
    (snapshot,) = [one["id"] for one in j.ps.get_instances_of("Volume") if one.get("snplIdOfAutoSnapshot") == made]
    j.pf.volume.lock_auto_snapshot(snapshot)
    j.seen("Volume", snapshot, lockedAutoSnapshot=True, ancestorVolumeId=volume, volumeType="Snapshot")
    see(numOfLockedSnapshots=1)
    j.pf.volume.unlock_auto_snapshot(snapshot)
    j.seen("Volume", snapshot, lockedAutoSnapshot=False)
    policy.remove_source_volume(made, volume, "Remove")
    refused(79, j.ps.get_instance_of, "Volume", snapshot)
    refused(886, policy.remove_source_volume, made, volume, "Detach")
    see(numOfSourceVolumes=0)
    policy.get_statistics(made)
    policy.delete(made)
    j.pf.volume.delete(volume, "ONLY_ME")
    refused(881, j.ps.get_instance_of, "SnapshotPolicy", made)


def clients(j):
    sdc = j.pf.sdc.get()[0]["id"]
    j.pf.sdc.rename(sdc, "judged-client")
    j.pf.sdc.set_performance_profile(sdc, "Compact")
    j.seen("Sdc", sdc, name="judged-client", perfProfile="Compact")
    refused(180, j.pf.sdc.delete, sdc)
    guid = "11111111-2222-3333-4444-555555555555"
    made = j.act("System", j.system, "approveSdc", sdcGuid=guid, name="judged-new")["id"]
    j.seen("Sdc", made, name="judged-new", sdcGuid=guid)
    refused(635, j.act, "System", j.system, "approveSdc", sdcGuid=guid)
    refused(0, j.act, "System", j.system, "approveSdc")
    j.pf.sdc.delete(made)
    refused(80, j.ps.get_instance_of, "Sdc", made)
    j.act("System", j.system, "setRestrictedSdcMode", restrictedSdcMode="Guid")
    j.seen("System", j.system, restrictedSdcMode="Guid")
    j.act("System", j.system, "setRestrictedSdcMode", restrictedSdcMode="None")


def statistics(j):
    ask = {"properties": ["capacityInUseInKb"]}
    used = j.pf.system.query_selected_statistics(ask["properties"])["capacityInUseInKb"]
    agree("use", used > 0, True)
    names = ["capacityInUseInKb"]
    for entity in (j.pf.protection_domain, j.pf.storage_pool, j.pf.sds, j.pf.device, j.pf.fault_set):
        rows = entity.query_selected_statistics(names)
        agree("all have some", all(row["capacityInUseInKb"] > 0 for row in rows.values()), True)
    agree("volumes", len(j.pf.volume.query_selected_statistics(["numOfMappedSdcs"])), len(j.pf.volume.get()))
    j.pf.sdc.query_selected_statistics(["numOfMappedVolumes"])
    j.pf.snapshot_policy.query_selected_statistics(["numOfSrcVols"])
    j.pf.storage_pool.get_statistics(j.named("StoragePool", "pool-1"))
    refused(0, j.pf.storage_pool.query_selected_statistics, ["nonsense"])
    # Its own list of a volume's statistics is that of 3.5.
    if j.release >= "3.5":
        j.pf.utility.get_statistics_for_all_volumes()
    j.pf.utility.get_statistics_for_all_storagepools(properties=names)
    j.pf.utility.get_statistics_for_all_snapshot_policies(properties=["numOfSrcVols"])


def verdict(answer):
    rows = answer["sdsMMResults"] if isinstance(answer, dict) else answer
    (row,) = rows
    return row["message"], row["resultCode"]


def maintenance(j):
    one, other = j.named("Sds", "sds-1-1"), j.named("Sds", "sds-2-1")
    state = lambda sds: j.read("Sds", sds)["maintenanceState"]
    agree("entered", verdict(j.order("enterMaintenanceMode", sdsId=one)), ("SUCCESS", "65"))
    until("in maintenance", lambda: state(one) == "InMaintenance")
    agree("twice", verdict(j.order("enterMaintenanceMode", sdsId=one)), ("TGT_ALREADY_IN_MM", "425"))
    agree("another", verdict(j.order("enterMaintenanceMode", sdsId=other))[0], "TGT_MM_CONFILICT")
    refused(521, j.act, "Sds", one, "removeSds", force="TRUE")
    refused(520, j.act, "Sds", other, "removeSds", force="TRUE")
    refused(216, j.pf.protection_domain.inactivate, j.named("ProtectionDomain", "domain-1"))
    refused(0, j.order, "enterMaintenanceMode")
    agree("left", verdict(j.order("exitMaintenanceMode", sdsId=one)), ("SUCCESS", "65"))
    until("out of maintenance", lambda: state(one) == "NoMaintenance")
    agree("left twice", verdict(j.order("exitMaintenanceMode", sdsId=one))[0], "TGT_NOT_IN_MM")
    whole = lambda: j.pf.system.query_selected_statistics(["degradedFailedCapacityInKb"])
    until("caught up", lambda: whole()["degradedFailedCapacityInKb"] == 0)
    protected = lambda way, sds: j.act("System", j.system, way + "ProtectedMaintenanceMode", sdsId=sds)
    if j.release < "3.5":
        refused(0, protected, "enter", one)
        return
    agree("entering", verdict(protected("enter", one)), ("SUCCESS", "65"))
    agree("copies first", state(one), "SetMaintenanceInProgress")
    agree("left again", verdict(protected("exit", one)), ("SUCCESS", "65"))
    until("out of it", lambda: state(one) == "NoMaintenance")


def upgrade(j):
    state = lambda: j.read("System", j.system)["upgradeState"]
    refused(526, j.order, "finalizeUpgrade")
    j.order("startUpgrade")
    agree("upgrading", state(), "UpgradeInProgress")
    refused(368, j.order, "startUpgrade")
    refused(638, j.order, "addStandbyMdm", ips=["10.79.0.1"], role="Manager")
    j.order("allowCommandsDuringUpgrade")
    by_hand.upgrading(j)
    j.order("abortUpgrade")
    agree("given up", state(), "NoUpgrade")
    # Everything runs one version already: the MDM finds it done, and works on for a while.
    j.order("startUpgrade")
    j.order("finalizeUpgrade")
    agree("finishing", state(), "UpgradePostProcessingInProgress")
    until("finished", lambda: state() != "UpgradePostProcessingInProgress")


def cluster(j):
    system = j.pf.system
    mdms = lambda: j.read("System", j.system)["mdmCluster"]
    agree("cluster", system.get_mdm_cluster_details()["clusterMode"], "FiveNodes")
    agree("gateway", system.get_gateway_configuration_details()["systemId"], j.system)
    made = system.add_standby_mdm(["10.79.0.1"], "TieBreaker", mdm_name="judged")["id"]
    agree("stands by", "judged" in [one["name"] for one in mdms()["standbyMDMs"]], True)
    refused(445, system.add_standby_mdm, ["10.79.0.2"], "Manager", mdm_name="judged")
    refused(435, system.add_standby_mdm, ["10.79.0.1"], "Manager", mdm_name="other")
    system.rename_mdm(made, "judged-mdm")
    agree("renamed", "judged-mdm" in [one["name"] for one in mdms()["standbyMDMs"]], True)
    slave, tie = mdms()["slaves"][-1]["id"], mdms()["tieBreakers"][-1]["id"]
    refused(446, lambda: system.send_mdm_cluster_post_request(
        system.base_object_url, action="switchClusterMode", entity="System", params={"mode": "FiveNodes"}))
    refused(442, lambda: system.send_mdm_cluster_post_request(
        system.base_object_url, action="removeStandbyMdm", entity="System", params={"id": slave}))
    system.switch_cluster_mode("ThreeNodes", remove_secondary=[slave], remove_tb=[tie])
    agree("three", mdms()["clusterMode"], "ThreeNodes")
    system.switch_cluster_mode("FiveNodes", add_secondary=[slave], add_tb=[made])
    until("five, in sync", lambda: mdms()["clusterMode"] == "FiveNodes" and mdms()["goodReplicasNum"] == 3)
    system.remove_standby_mdm(tie)
    agree("gone", tie in [one["id"] for one in mdms().get("standbyMDMs", [])], False)
    heir = mdms()["slaves"][0]["id"]
    refused(452, system.change_mdm_ownership, mdms()["tieBreakers"][0]["id"])
    system.change_mdm_ownership(heir)
    until("changed hands", lambda: mdms()["master"]["id"] == heir)
    refused(453, system.change_mdm_ownership, heir)
    system.modify_virtual_ip_interface(heir, virtual_ip_interfaces=["eth0"])
    agree("interfaces", mdms()["master"]["virtualInterfaces"], ["eth0"])
    system.modify_virtual_ip_interface(heir, clear_interfaces=True)
    system.set_cluster_mdm_performance_profile("Compact")
    other = j.ps.session.post("instances/System/queryMdmCluster", data="{}")
    agree("profile", (other["perfProfile"], other["master"]["id"]), ("Compact", heir))


def replication(j):
    rcg = j.pf.replication_consistency_group
    domain, peer = j.named("ProtectionDomain", "domain-1"), j.ps.get_instances_of("PeerMdm")[0]["id"]
    made = rcg.create(60, domain, remote_protection_domain_id=domain, peer_mdm_id=peer, name="judged")["id"]
    see = lambda **fields: j.seen("ReplicationConsistencyGroup", made, **fields)
    see(name="judged", rpoInSeconds=60)
    rcg.rename_rcg(made, "judged-group")
    rcg.modify_rpo(made, 120)
    rcg.freeze(made)
    rcg.pause(made, "StopDataTransfer")
    see(name="judged-group", rpoInSeconds=120, freezeState="Frozen", pauseMode="StopDataTransfer")
    rcg.unfreeze(made)
    rcg.resume(made)
    rcg.set_as_inconsistent(made)
    rcg.modify_target_volume_access_mode(made, "ReadOnly")
    see(freezeState="Unfrozen", pauseMode="None", currConsistMode="Inconsistent", targetVolumeAccessMode="ReadOnly")
    rcg.set_as_consistent(made)
    rcg.sync(made)
    rcg.failover(made)
    see(failoverType="Failover", currConsistMode="Consistent")
    rcg.restore(made)
    rcg.switchover(made)
    rcg.reverse(made)
    see(replicationDirection="RemoteToLocal")
    rcg.inactivate(made)
    see(localActivityState="Inactive")
    rcg.activate(made)
    see(localActivityState="Active")
    rcg.create_snapshot(made)
    volume = j.pf.volume.create(j.named("StoragePool", "pool-1"), 8, name="judged-pair")["id"]
    pair = j.pf.replication_pair.add(volume, volume, made, "OnlineCopy", name="judged")["id"]
    j.seen("ReplicationPair", pair, name="judged", replicationConsistencyGroupId=made)
    agree("pairs", [one["id"] for one in rcg.get_replication_pairs(made)], [pair])
    j.seen("Volume", volume, volumeReplicationState="MarkedForReplication")
    refused(297, j.pf.volume.delete, volume, "ONLY_ME")
    j.pf.replication_pair.pause(pair)
    j.seen("ReplicationPair", pair, userRequestedPauseTransmitInitCopy=True)
    j.pf.replication_pair.resume(pair)
    j.seen("ReplicationPair", pair, userRequestedPauseTransmitInitCopy=False)
    j.pf.replication_pair.get_statistics(pair)
    rcg.get_statistics(made)
    rcg.query_selected_statistics(["numOfRplPairs"])
    j.pf.replication_pair.remove(pair)
    refused(3, j.ps.get_instance_of, "ReplicationPair", pair)
    rcg.delete(made)
    refused(3, j.ps.get_instance_of, "ReplicationConsistencyGroup", made)
    j.pf.volume.delete(volume, "ONLY_ME")
    sdr = j.ps.get_instances_of("Sdr")[0]["id"]
    j.act("Sdr", sdr, "enterSdrMaintenanceMode")
    j.seen("Sdr", sdr, maintenanceState="InMaintenance")
    refused(425, j.act, "Sdr", sdr, "enterSdrMaintenanceMode")
    j.act("Sdr", sdr, "exitSdrMaintenanceMode")
    j.seen("Sdr", sdr, maintenanceState="NoMaintenance")


def nvme(j):
    sdt = j.pf.sdt
    domain = j.named("ProtectionDomain", "domain-1")
    made = sdt.create([SdtIp("10.80.0.1", "StorageAndHost")], "judged", domain)["id"]
    see = lambda **fields: j.seen("Sdt", made, **fields)
    see(name="judged", storagePort=12200)
    refused(200, sdt.create, [SdtIp("10.80.0.1", "StorageAndHost")], "other", domain)
    sdt.rename(made, "judged-sdt")
    see(name="judged-sdt")
    sdt.set_storage_port(made, 12201)
    sdt.set_nvme_port(made, 4421)
    sdt.set_discovery_port(made, 8010)
    see(name="judged-sdt", storagePort=12201, nvmePort=4421, discoveryPort=8010)
    sdt.add_ip(made, "10.80.0.2", "HostOnly")
    sdt.set_ip_role(made, "10.80.0.2", "StorageOnly")
    agree("roles", [one["role"] for one in j.read("Sdt", made)["ipList"]], ["StorageAndHost", "StorageOnly"])
    sdt.remove_ip(made, "10.80.0.2")
    refused(187, sdt.remove_ip, made, "10.80.0.1")
    by_hand.targets(j, made)
    sdt.enter_maintenance_mode(made)
    see(maintenanceState="InMaintenance")
    refused(425, sdt.enter_maintenance_mode, made)
    sdt.exit_maintenance_mode(made)
    refused(426, sdt.exit_maintenance_mode, made)
    sdt.delete(made)
    refused(3, j.ps.get_instance_of, "Sdt", made)
    host = j.pf.host.create("nqn.2014-08.org.nvmexpress:uuid:judged", name="judged")["id"]
    j.pf.host.modify_max_num_paths(host, 6)
    j.pf.host.modify_max_num_sys_ports(host, 8)
    j.seen("Host", host, name="judged", maxNumPaths=6, maxNumSysPorts=8)
    by_hand.hosts(j, host)


def manager(j):
    agree("manager", j.pf.system.pfmp_version().split(".")[0], "4")
    agree("nodes", len(j.pf.managed_device.get()), len(j.ps.get_instances_of("Sds")))
    agree("deployments", j.pf.deployment.get(), [])
    agree("firmware", j.pf.firmware_repository.get(), [])
    agree("templates", j.pf.service_template.get(), [])
