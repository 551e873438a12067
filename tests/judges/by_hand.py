"""Actions that PyPowerFlex has no methods for, sent by its own transport;
pyscaleio reads them back at the other gateway."""

from clients import PASSWORD, agree, done, refused, time_held, until


def devices_with_errors(j):
    """Before the judges came, two devices of one SDS failed and were mended."""
    broken = [one for one in j.ps.get_instances_of("Device") if one["errorState"] != "None"]
    agree("devices with errors", len(broken), 2)
    one, other = (device["id"] for device in broken)
    error = lambda of: j.read("Device", of)["errorState"]
    j.act("Device", one, "clearDeviceError")
    agree("the first", error(one), "None")
    agree("still", error(other) != "None", True)
    j.act("Sds", broken[1]["sdsId"], "clearDevicesError")
    agree("the other", error(other), "None")
    whole = lambda: j.pf.system.query_selected_statistics(["degradedFailedCapacityInKb", "failedCapacityInKb"])
    until("protected again", lambda: not any(whole().values()), 120)


def pool(j, pool):
    see = lambda **fields: j.seen("StoragePool", pool, **fields)
    policy = {"policy": "limitNumOfConcurrentIos", "numOfConcurrentIosPerDevice": 7, "bwLimitPerDeviceInKbps": 4096}
    j.act("StoragePool", pool, "setRebuildIoPriorityPolicy", **policy)
    see(rebuildIoPriorityPolicy="limitNumOfConcurrentIos", rebuildIoPriorityNumOfConcurrentIosPerDevice=7)
    refused(64, j.act, "StoragePool", pool, "setRebuildIoPriorityPolicy", **dict(policy, numOfConcurrentIosPerDevice=21))
    refused(0, j.act, "StoragePool", pool, "setRebuildIoPriorityPolicy", policy="sometimes")
    j.act("StoragePool", pool, "enableBackgroundDeviceScanner", bandwidthLimitInKbpsPerDevice="2048")
    see(backgroundScannerMode="DeviceOnly", backgroundScannerBWLimitKBps=2048)
    j.act("StoragePool", pool, "disableBackgroundDeviceScanner")
    see(backgroundScannerMode="Disabled")


def tested_devices(j, sds, pool):
    """Devices that were only tested wait to be activated."""
    make = lambda at, name: j.create("Device", deviceCurrentPathname="/dev/sdr", sdsId=sds[at], storagePoolId=pool,
                                     name=name, testMode="testOnly")["id"]
    with time_held():
        one, other = make(0, "judged-tested-1"), make(1, "judged-tested-2")
        refused(163, j.act, "Device", one, "activateDevice")
    state = lambda of: j.read("Device", of)["deviceState"]
    until("tested", lambda: {state(one), state(other)} == {"InitialTestDone"})
    j.act("Device", one, "activateDevice")
    agree("activated", state(one), "Normal")
    refused(160, j.act, "Device", one, "activateDevice")
    j.act("Sds", sds[1], "activateDevices")
    agree("activated with its SDS", state(other), "Normal")
    j.act("Device", one, "setDeviceLedOn")
    agree("lit", j.read("Device", one)["ledSetting"], "On")
    j.act("Device", one, "setDeviceLedOff")
    agree("dark", j.read("Device", one)["ledSetting"], "Off")
    j.act("Device", one, "updateDeviceOriginalPathname")
    refused(137, j.act, "Device", one, "abortRemoveDevice")
    j.act("Sds", sds[0], "setDrlMode", drlMode="NonVolatile")
    agree("hardened", j.read("Sds", sds[0])["drlMode"], "NonVolatile")


def removals_given_up(j):
    """Removals take time where there is data, and can be given up."""
    device = j.pf.sds.get_devices(j.named("Sds", "sds-1-2"))[0]
    state = lambda: j.read("Device", device["id"])["deviceState"]
    with time_held():
        j.pf.device.delete(device["id"])
        agree("leaving", state(), "RemovePending")
        refused(135, j.pf.device.delete, device["id"])
        j.act("Device", device["id"], "abortRemoveDevice")
    agree("stays", state(), "Normal")
    sds = j.named("Sds", "sds-1-3")
    state = lambda: j.read("Sds", sds)["sdsState"]
    with time_held():
        j.pf.sds.delete(sds)
        agree("leaving", state(), "RemovePending")
        refused(103, j.pf.sds.delete, sds)
        j.act("Sds", sds, "abortRemoveSds")
    agree("stays", state(), "Normal")


def volumes(j):
    vol = j.pf.volume
    pool, other = j.named("StoragePool", "pool-1"), j.named("StoragePool", "pool-2")
    sdcs = [one["id"] for one in j.ps.get_instances_of("Sdc")][:2]
    made = vol.create(pool, 8, name="by-hand", volume_type="ThickProvisioned")["id"]
    for sdc in sdcs:
        vol.add_mapped_sdc(made, sdc_id=sdc, allow_multiple_mappings=True)
    j.act("Volume", made, "setAllVolumeMappingsAccessMode", accessMode="ReadOnly")
    agree("all", {row["accessMode"] for row in j.read("Volume", made)["mappedSdcInfo"]}, {"ReadOnly"})
    source = vol.create(pool, 8, name="by-hand-source")["id"]
    refused(104, j.act, "Volume", made, "overwriteVolumeContent", srcVolumeId=source)
    vol.remove_mapped_sdc(made, all_sdcs=True)
    j.act("Volume", made, "overwriteVolumeContent", srcVolumeId=source)
    vol.delete(source, "ONLY_ME")
    tree = j.read("Volume", made)["vtreeId"]
    moving = lambda: j.read("VTree", tree)["vtreeMigrationInfo"]["migrationStatus"]
    refused(754, j.act, "Volume", made, "pauseVTreeMigration")
    with time_held():
        j.act("Volume", made, "migrateVTree", destSPId=other)
        j.act("Volume", made, "pauseVTreeMigration")
        agree("waits", moving(), "Paused")
        refused(717, j.act, "Volume", made, "migrateVTree", destSPId=other)
        refused(717, vol.delete, made, "ONLY_ME")
        j.act("Volume", made, "resumeVTreeMigration")
        agree("goes on", moving(), "MigrationNormal")
        refused(838, j.act, "Volume", made, "resumeVTreeMigration")
    until("moved", lambda: j.read("Volume", made)["storagePoolId"] == other)
    vol.delete(made, "ONLY_ME")


def system(j):
    see = lambda **fields: j.seen("System", j.system, **fields)
    name = j.read("System", j.system).get("name")
    j.act("System", j.system, "setSystemName", newName="judged-system")
    see(name="judged-system")
    refused(226, j.act, "System", j.system, "setSystemName", newName="a-name-that-is-longer-than-31-characters")
    j.act("System", j.system, "setSystemName", newName=name or "simulated")
    j.act("System", j.system, "setCliPasswordAcceptance", cliPasswordAllowed="FALSE")
    see(cliPasswordAllowed=False)
    j.act("System", j.system, "setCliPasswordAcceptance", cliPasswordAllowed="TRUE")
    j.act("System", j.system, "disableDefragmentation")
    see(defragmentationEnabled=False, cliPasswordAllowed=True)
    j.act("System", j.system, "enableDefragmentation")
    see(defragmentationEnabled=True)
    j.order("refreshMdmClusterCapabilities")
    sdc = j.ps.get_instances_of("Sdc")[0]["id"]
    j.act("System", j.system, "setApprovedSdcIps", sdcId=sdc, sdcApprovedIps=["10.81.0.1", "10.81.0.2"])
    j.seen("Sdc", sdc, sdcApprovedIps="10.81.0.1,10.81.0.2")


def cluster(j):
    """Addresses, and a member for another. The MDMs that stand by are gone again after it."""
    mdms = lambda: j.ps.session.post("instances/System/queryMdmCluster", data="{}")
    names = lambda of: [one["name"] for one in mdms()[of]]
    master = mdms()["master"]["id"]
    j.order("setManagementIps", id=master, mdmManagementIpList=["10.82.0.1"])
    agree("managed at", mdms()["master"]["managementIPs"], ["10.82.0.1"])
    virtual = mdms().get("virtualIps", [])
    j.order("modifyClusterVirtualIPs", virtIPs=["10.83.0.1"])
    agree("virtual", mdms()["virtualIps"], ["10.83.0.1"])
    j.order("modifyClusterVirtualIPs", virtIPs=virtual, **({} if virtual else {"clear": "TRUE"}))
    spare = j.pf.system.add_standby_mdm(["10.79.0.7"], "TieBreaker", mdm_name="spare")["id"]
    leaves = mdms()["tieBreakers"][0]
    refused(448, j.order, "replaceClusterMdm", addTBIdList=[spare])
    refused(449, j.order, "replaceClusterMdm", addSlaveMdmIdList=[spare], removeSlaveMdmIdList=[mdms()["slaves"][0]["id"]])
    j.order("replaceClusterMdm", addTBIdList=[spare], removeTBIdList=[leaves["id"]])
    agree("in its place", ("spare" in names("tieBreakers"), leaves["name"] in names("standbyMDMs")), (True, True))
    j.order("replaceClusterMdm", addTBIdList=[leaves["id"]], removeTBIdList=[spare])
    agree("back", leaves["name"] in names("tieBreakers"), True)
    j.pf.system.remove_standby_mdm(spare)
    agree("gone", "spare" in [one["name"] for one in mdms().get("standbyMDMs", [])], False)


def upgrading(j):
    """Called while an upgrade runs: commands to the cluster were let through."""
    made = j.pf.system.add_standby_mdm(["10.79.0.8"], "TieBreaker", mdm_name="meanwhile")["id"]
    other = j.ps.session.post("instances/System/queryMdmCluster", data="{}")
    agree("stands by", made in [one["id"] for one in other["standbyMDMs"]], True)
    j.pf.system.remove_standby_mdm(made)


def hosts(j, host):
    """NVMe hosts are clients, too."""
    j.act("Host", host, "renameHost", newName="judged-host")
    agree("renamed", j.read("Host", host)["name"], "judged-host")
    volume = j.pf.volume.create(j.named("StoragePool", "pool-1"), 8, name="by-hand-nvme")["id"]
    j.act("Volume", volume, "addMappedHost", hostId=host)
    (row,) = j.read("Volume", volume)["mappedSdcInfo"]
    agree("mapped", (row["sdcId"], row["hostType"], row["nqn"]), (host, "NVMeHost", "nqn.2014-08.org.nvmexpress:uuid:judged"))
    agree("of the host", [one["id"] for one in j.pf.sdc.get_mapped_volumes(host)], [volume])
    refused(81, j.act, "Volume", volume, "addMappedHost", hostId=host)
    refused(180, j.pf.sdc.delete, host)
    j.act("Volume", volume, "removeMappedHost", nqn="nqn.2014-08.org.nvmexpress:uuid:judged")
    j.seen("Volume", volume, mappedSdcInfo=None)
    j.pf.volume.delete(volume, "ONLY_ME")
    j.pf.sdc.delete(host)
    agree("gone", host in [one["id"] for one in j.ps.get_instances_of("Sdc")], False)


def targets(j, sdt):
    """The same under the names of the vendor's description."""
    j.act("Sdt", sdt, "addSdtIp", ip="10.80.0.9", role="HostOnly")
    agree("added", [one["ip"] for one in j.read("Sdt", sdt)["ipList"]][-1], "10.80.0.9")
    j.act("Sdt", sdt, "modifyDiscoveryRole", newDiscoveryPort="8011")
    j.seen("Sdt", sdt, discoveryPort=8011)
    j.pf.sdt.remove_ip(sdt, "10.80.0.9")


def users(j):
    """Of users the clients know nothing; one makes them by its transport, another sees them."""
    make = lambda **fields: j.create("User", **dict(dict(
        name="judged-user", userRole="Monitor", password="Some-word-1"), **fields))["id"]
    made = make(passwordChangeRequired="TRUE")
    see = lambda **fields: j.seen("User", made, **fields)
    see(name="judged-user", userRole="Monitor", passwordChangeRequired=True, systemId=j.system)
    agree("by name", j.named("User", "judged-user"), made)
    refused(250, make)
    refused(226, make, name="a-name-that-is-longer-than-31-characters")
    refused(233, make, name="other", password="Wo-1")
    refused(255, make, name="other", password="somewords")
    refused(0, make, name="other", userRole="Superuser")
    j.act("User", made, "setUserRole", userRole="BackendConfig")
    see(userRole="BackendConfig")
    j.act("User", made, "resetPassword", password="Another-word-2")
    see(userRole="BackendConfig", passwordChangeRequired=True)
    refused(255, j.act, "User", made, "resetPassword", password="somewords")
    himself = j.named("User", "pypowerflex")
    refused(254, j.act, "User", himself, "setUserRole", userRole="Monitor")
    refused(654 + 36, j.act, "User", himself, "removeUser")

    def change(old, new):
        done(j.pf.system.send_post_request(
            "/instances/User/action/setPassword", params={"oldPassword": old, "newPassword": new}))
        # It logs in again before long, from 4.0 on before each call.
        j.pf.system.configuration.password = new

    refused(253, change, "not-it", "Another-word-2")
    refused(66, change, PASSWORD, PASSWORD)
    change(PASSWORD, "Another-word-2")
    change("Another-word-2", PASSWORD)
    j.seen("User", himself, passwordChangeRequired=False)
    j.act("User", made, "removeUser")
    refused(234, j.ps.get_instance_of, "User", made)


def parts_of_pools(j):
    """What an SDS gives to a pool."""
    devices = {one["id"]: one for one in j.pf.device.get()}
    rows = j.ps.get_instances_of("SpSds")
    pairs = {(one["sdsId"], one["storagePoolId"]) for one in devices.values()}
    agree("a row each", len(rows), len(pairs))
    row = rows[0]
    mine = {of for of, one in devices.items() if one["spSdsId"] == row["id"]}
    pool = devices[next(iter(mine))]["storagePoolId"]
    agree("its devices", mine, {of for of, one in devices.items()
                                if (one["sdsId"], one["storagePoolId"]) == (row["sdsId"], pool)})


def systems(j):
    """Others that snapshots are copied to."""
    make = lambda **fields: j.create("RemoteSystem", type="POWERFLEX", transport="TCP", **fields)["id"]
    made = make(name="judged", discoveryIps="10.91.0.1", discoveryPort="4420", description="far")
    see = lambda **fields: j.seen("RemoteSystem", made, **fields)
    see(name="judged", type="POWERFLEX", transport="TCP", discoveryIps="10.91.0.1", discoveryPort=4420, description="far")
    refused(62, make, name="other", discoveryIps="10.91.0.1")
    refused(62, make, name="judged", discoveryIps="10.91.0.9")
    refused(0, j.create, "RemoteSystem", name="other", discoveryIps="10.91.0.9")
    act = lambda action, **params: j.act("RemoteSystem", made, action, remoteSystemId=made, **params)
    act("renameRemoteSystem", newName="judged-system")
    act("modifyRemoteSystemDescription", newDescription="further")
    act("modifyRemoteSystemConnectivity", Ips="10.91.0.2", discoveryPort="4421")
    see(name="judged-system", description="further", discoveryIps="10.91.0.2", discoveryPort=4421)
    limit = lambda of: done(j.pf.system.send_post_request(
        "/instances/RemoteSystem/action/modifyRemoteSystemBwLimit",
        params={"remoteSystemId": of, "newBwLimitInMbps": "800"}))
    limit(made)
    see(bwLimitInMbps=800)
    refused(226, act, "renameRemoteSystem", newName="a-name-that-is-longer-than-31-characters")
    act("removeRemoteSystem")
    refused(3, j.ps.get_instance_of, "RemoteSystem", made)
    refused(3, limit, made)


def acceleration(j):
    pools = j.pf.acceleration_pool
    domain = j.named("ProtectionDomain", "domain-1")
    made = pools.create("SSD", domain, name="judged", is_rfcache=True)["id"]
    see = lambda **fields: j.seen("AccelerationPool", made, **fields)
    see(name="judged", mediaType="SSD", isRfcache=True, protectionDomainId=domain)
    refused(713, pools.create, "NVDIMM", domain, name="judged")
    j.act("AccelerationPool", made, "setAccelerationPoolName", newName="judged-pool")
    see(name="judged-pool")
    pools.delete(made)
    refused(706, j.ps.get_instance_of, "AccelerationPool", made)


def peers(j):
    made = j.create("PeerMdm", peerSystemId="00aa00bb00cc00dd", peerSystemIps=["10.90.0.1"], name="judged")["id"]
    see = lambda **fields: j.seen("PeerMdm", made, **fields)
    see(name="judged", peerSystemId="00aa00bb00cc00dd", ipList=[{"ip": "10.90.0.1"}])
    refused(417, j.create, "PeerMdm", peerSystemId="00aa00bb00cc00dd", peerSystemIps=["10.90.0.2"])
    j.act("PeerMdm", made, "modifyPeerMdmName", newName="judged-peer")
    j.act("PeerMdm", made, "modifyPeerMdmIp", newPeerSystemIps=["10.90.0.2", "10.90.0.3"])
    j.act("PeerMdm", made, "modifyPeerMdmPort", newPort="7612")
    j.act("PeerMdm", made, "setPeerMdmPerformanceParameters", perfProfile="Compact")
    see(name="judged-peer", ipList=[{"ip": "10.90.0.2"}, {"ip": "10.90.0.3"}], port=7612, perfProfile="Compact")
    j.act("PeerMdm", made, "removePeerMdm")
    refused(3, j.ps.get_instance_of, "PeerMdm", made)
    used = j.ps.get_instances_of("ReplicationConsistencyGroup")[0]["peerMdmId"]
    refused(297, j.act, "PeerMdm", used, "removePeerMdm")
