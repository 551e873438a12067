"""Volumes as pyscaleio and siolib know them, on every release: what one
client writes at one gateway the other reads at the other."""

from siolib import exceptions as gone

import pyscaleio
from clients import agree, openstack, raises, refused, scaleio


def judge(release, first, second):
    ps, sio = scaleio(first), openstack(second)
    agree("version", ps.get_version(), sio.get_scaleio_api_version())
    ps_reads_what_is_there(ps, sio, release)
    siolib_writes(ps, sio)
    if release < "3.0":
        # Its model of a mapped volume refuses the fields that came with 3.0.
        pyscaleio_writes(ps, sio)
    refusals(ps, sio)
    ps.session.logout()


def ps_reads_what_is_there(ps, sio, release):
    everything = ps.get_all_instances()
    domains = pyscaleio.ProtectionDomain.all(client=ps)
    agree("domains", [d.name for d in domains], [d["name"] for d in sio.list_protection_domain_infos()])
    pools = pyscaleio.StoragePool.all(client=ps)
    agree("pools", [p.name for p in pools], [p["name"] for p in sio.list_storage_pool_infos("domain-1")])
    pool = pyscaleio.StoragePool.one_by_name("pool-1", "domain-1", client=ps)
    agree("pool by name", pool["id"], sio.get_pool_id("domain-1", "pool-1"))
    agree("domain by name", domains[0]["id"], sio.get_domain_id("domain-1"))
    agree("pool body", sio.get_storage_pool_properties("domain-1", "pool-1")["name"], "pool-1")
    agree("domain body", sio.get_protection_domain_properties("domain-1")["name"], "domain-1")
    used, total, free = sio.storagepool_size("domain-1", "pool-1")
    agree("pool size adds up", used + free, total)
    used, total, free = sio.systempool_size()
    agree("system size adds up", used + free, total)
    agree("trees", len(pyscaleio.VTree.all(client=ps)), len(everything["vTreeList"]))
    agree("system", ps.system["id"], everything["System"]["id"])
    clients = [sdc for sdc in pyscaleio.Sdc.all(client=ps)]
    agree("clients", len(clients), len(everything["sdcList"]))
    agree("approved", len(pyscaleio.Sdc.all_approved(client=ps)), len(clients))
    agree("client by address", pyscaleio.Sdc.one_by_ip(clients[0].ip, client=ps)["id"], clients[0]["id"])
    two = [clients[0]["id"], clients[1]["id"]]
    agree("clients by id", [c["id"] for c in pyscaleio.Sdc.all(two, client=ps)], two)
    for kind, key in (("Sds", "sdsList"), ("Device", "deviceList"), ("FaultSet", "faultSetList")):
        agree(kind, [one["id"] for one in ps.get_instances_of(kind)], [one["id"] for one in everything[key]])
    parents = {"ProtectionDomain": ["systemId"], "StoragePool": ["protectionDomainId"], "Sdc": ["systemId"],
               "Sds": ["protectionDomainId", "faultSetId"], "Device": ["sdsId", "storagePoolId"],
               "Volume": ["vtreeId", "storagePoolId"], "VTree": ["baseVolumeId", "storagePoolId"],
               "FaultSet": ["protectionDomainId"]}
    for kind, fields in parents.items():
        for body in ps.get_instances_of(kind):
            links = {link["rel"]: link["href"] for link in body["links"]}
            for field in fields:
                href = links["/api/parent/relationship/" + field]
                agree("%s of %s" % (field, kind), href.split("::")[1], body[field])


class Seen:
    """A volume as pyscaleio gets it, on whatever release."""

    def __init__(self, ps, of):
        self.body = ps.get_instance_of("Volume", of)
        self.name, self.type = self.body["name"], self.body["volumeType"]
        self.size = self.body["sizeInKb"] << 10
        self.exports = [one["sdcId"] for one in self.body.get("mappedSdcInfo", [])]


def siolib_writes(ps, sio):
    read = lambda vid: Seen(ps, vid)
    sdc = pyscaleio.Sdc.all(client=ps)[0]
    vid, name = sio.create_volume("from-siolib", "domain-1", "pool-1", "thin", 16)
    agree("created", (read(vid).name, read(vid).size, read(vid).type), (name, 16 << 30, "ThinProvisioned"))
    agree("id by name", sio.get_volumeid(name), vid)
    sio.rename_volume(vid, "siolib/renamed ,1")
    agree("renamed", read(vid).name, "siolib/renamed ,1")
    agree("named so", (sio.get_volumeid("siolib/renamed ,1"), sio.get_volumename(vid)), (vid, read(vid).name))
    sio.extend_volume(vid, 24)
    agree("grown", (read(vid).size, sio.get_volumesize(vid)), (24 << 30, 24 << 20))
    raises(gone.SizeTooSmall, sio.extend_volume, vid, 8)
    sio.attach_volume(vid, sdc.guid)
    agree("mapped", (read(vid).exports == [sdc["id"]], sio.is_volume_attached(vid, sdc.guid)), (True, True))
    raises(gone.VolumeAlreadyMapped, sio.attach_volume, vid, sdc.guid)
    raises(gone.Error, sio.delete_volume, vid)
    sio.detach_volume(vid, sdc.guid)
    agree("unmapped", len(read(vid).exports), 0)
    raises(gone.VolumeNotMapped, sio.detach_volume, vid, sdc.guid)
    _group, (snapshot,) = sio.snapshot_volume(vid, "siolib-snap")
    agree("snapshot", (read(snapshot).type, read(snapshot).body["ancestorVolumeId"]), ("Snapshot", vid))
    raises(gone.VolumeExists, sio.create_volume, "siolib-snap", "domain-1", "pool-1")
    both = sio.snapshot_volume_from_defs([{"volumeId": vid, "snapshotName": "a"}, {"volumeId": vid, "snapshotName": "b"}])
    agree("snapshots", [read(one).name for one in both["volumeIdList"]], ["a", "b"])
    sio.delete_volume(vid, only_descendents=True)
    refused(79, ps.get_instance_of, "Volume", snapshot)
    sio.delete_volume(vid, include_descendents=True, unmap_on_delete=True)
    refused(79, ps.get_instance_of, "Volume", vid)
    raises(gone.VolumeNotFound, sio.delete_volume, vid, force_delete=False)
    raises(gone.VolumeNotFound, sio.get_volumename, vid)
    raises(gone.VolumeNotFound, sio.get_volumeid, "nobody")


def pyscaleio_writes(ps, sio):
    domain = pyscaleio.ProtectionDomain.all(client=ps)[0]
    made = pyscaleio.StoragePool.create(domain["id"], name="from-pyscaleio", checksum=True, client=ps)
    agree("pool", sio.get_storage_pool_properties_from_id(made["id"])["checksumEnabled"], True)
    made.delete()
    agree("pools", [p["name"] for p in sio.list_storage_pool_infos("domain-1")], ["pool-1", "pool-2"])
    second = pyscaleio.ProtectionDomain(
        ps.create_instance_of("ProtectionDomain", {"name": "from-pyscaleio"}), client=ps)
    agree("domain", sio.get_domain_id("from-pyscaleio"), second["id"])
    second.perform("setProtectionDomainName", {"name": "renamed"})
    agree("renamed", sio.get_protection_domain_properties_from_id(second["id"])["name"], "renamed")
    second.delete()
    pool = pyscaleio.StoragePool.one_by_name("pool-2", "domain-1", client=ps)
    sdcs = pyscaleio.Sdc.all(client=ps)
    volume = pool.create_volume(8, name="from-pyscaleio", thin=False)
    agree("thick", sio._volume(volume["id"]).volumeType, "ThickProvisioned")
    volume.rename("renamed")
    agree("renamed", sio.get_volumename(volume["id"]), "renamed")
    agree("by name", pyscaleio.Volume.one_by_name("renamed", client=ps)["id"], volume["id"])
    volume.resize(16)
    agree("grown", sio.get_volumesize(volume["id"]), 16 << 20)
    volume.export(sdc_id=sdcs[0]["id"])
    refused(306, volume.export, sdc_id=sdcs[1]["id"])
    volume.export(sdc_guid=sdcs[1].guid, multiple=True)
    agree("mapped", [sio.is_volume_attached(volume["id"], sdc.guid) for sdc in sdcs[:3]], [True, True, False])
    volume.throttle(sdc_id=sdcs[0]["id"], iops=500, mbps=10)
    limits = {one["sdcId"]: (one["limitIops"], one["limitBwInMbps"]) for one in sio._volume(volume["id"]).mappedSdcInfo}
    agree("limits", limits, {sdcs[0]["id"]: (500, 10), sdcs[1]["id"]: (0, 0)})
    refused(180, sdcs[0].delete)
    volume.unexport(sdc_id=sdcs[0]["id"])
    agree("unmapped one", sio.is_volume_attached(volume["id"], sdcs[0].guid), False)
    volume.unexport()
    agree("unmapped all", sio._volume(volume["id"]).mappedSdcInfo, None)
    sdcs[0].perform("setSdcName", {"sdcName": "named-by-pyscaleio"})
    agree("client", sio._get("/api/instances/Sdc::" + sdcs[0]["id"]).json()["name"], "named-by-pyscaleio")
    made = ps.system.perform("snapshotVolumes", {"snapshotDefs": [{"volumeId": volume["id"], "snapshotName": "ps"}]})
    agree("snapshot", sio.get_volumename(made["volumeIdList"][0]), "ps")
    ps.system.perform("removeConsistencyGroupSnapshots", {"snapGroupId": made["snapshotGroupId"]})
    agree("volumes", [v for v in sio.list_volume_infos() if v["name"] == "ps"], [])
    volume.delete("WHOLE_VTREE")
    raises(gone.VolumeNotFound, sio.get_volumename, volume["id"])
    sds = ps.get_instances_of("Sds")[0]
    ps.perform_action_on("Sds", sds["id"], "setSdsName", {"name": "sds-renamed"})
    agree("SDS", sio._get("/api/instances/Sds::" + sds["id"]).json()["name"], "sds-renamed")
    ps.perform_action_on("Sds", sds["id"], "setSdsName", {"name": sds["name"]})


def refusals(ps, sio):
    pool = pyscaleio.StoragePool.one_by_name("pool-1", "domain-1", client=ps)
    volume = pool.create_volume(8, name="refusals")
    sdc = pyscaleio.Sdc.all(client=ps)[3]
    refused(99, pool.create_volume, 8, name="refusals")
    refused(226, pool.create_volume, 8, name="a-name-that-is-longer-than-31-characters")
    refused(190, pool.create_volume, 2 << 20, name="too-large")
    refused(84, volume.unexport)
    volume.export(sdc_id=sdc["id"])
    refused(81, volume.export, sdc_id=sdc["id"])
    refused(104, volume.delete)
    refused(133, volume.resize, 8)
    volume.unexport()
    volume.delete()
    refused(79, volume.delete)
    refused(78, ps.get_instance_of, "Sds", "1234")
    refused(80, ps.get_instance_of, "Sdc", "1234")
    refused(3, pyscaleio.Volume.one_by_name, "refusals", client=ps)
    # The gateway's own refusals come without a code of the MDM.
    refused(0, ps.get_instance_of, "Volume", "no-hex")
    refused(0, ps.get_instances_of, "Nonsense")
    refused(0, sio._post, "/api/types/Volume/instances", {"name": "nowhere"})
