//! Whether a disk is known again under another name, and none is taken for another.

use super::*;
use crate::model::unit::Timestamp;

fn disk(path: &str, serial: &str, is_free: bool) -> findings::Disk {
    let links = if serial.is_empty() { Vec::new() } else { vec![format!("/dev/disk/by-id/scsi-{serial}")] };
    findings::Disk {
        path: path.to_owned(),
        size: Some(500 << 30),
        rotational: Some(true),
        model: "M".to_owned(),
        serial: serial.to_owned(),
        wwn: String::new(),
        links,
        not_free: if is_free { Vec::new() } else { vec!["something on the node has it open".to_owned()] },
    }
}

fn device(id: &str, path: &str) -> Device {
    Device { path: Some(path.into()), ..Device::unknown(DeviceId::new(id)) }
}

fn judged(disks: &[findings::Disk]) -> Judged {
    Judged { at: Timestamp::UNIX_EPOCH, disks: disks.into(), boot_id: "b".into() }
}

/// Each disk as it is meant: name, whether it is a device, other names, why it is held.
fn told(disks: &[findings::Disk], known: &Known, own: &[&Device], names: DeviceNames) -> Vec<String> {
    let all = meant(&judged(disks), known, own, names);
    let one = |disk: &Disk| {
        let aliases: Vec<&str> =
            disk.aliases.iter().map(|name| &**name).filter(|name| name.starts_with("/dev/sd")).collect();
        let is = if disk.is_device { "device" } else { "free" };
        let held = disk.held.map(|why| format!(" {why:?}")).unwrap_or_default();
        format!("{} {is} [{}]{held}", disk.path, aliases.join(" "))
    };
    all.iter().map(one).collect()
}

/// Before: A at sdb was added, B at sdc is free.
fn added() -> Known {
    let before = [disk("/dev/sdb", "A", true), disk("/dev/sdc", "B", true)];
    let known = seen(&Known::new(), &before);
    let known = adding(&known, &before, &["/dev/sdb"]);
    claimed(&known, &before, &[&device("d1", "/dev/sdb")])
}

const KERNEL: DeviceNames = DeviceNames::Kernel;

#[test]
fn a_device_is_the_same_disk_after_names_have_changed_places_whatever_the_mdm_calls_it() {
    let known = added();
    let now = [disk("/dev/sdb", "B", true), disk("/dev/sdc", "A", false)];
    let known = seen(&known, &now);
    for shown in ["/dev/sdb", "/dev/sdc"] {
        let own = device("d1", shown);
        let known = claimed(&known, &now, &[&own]);
        let told = told(&now, &known, &[&own], KERNEL);
        assert_eq!(told[0], format!("{shown} device [/dev/sdb]"), "the one that was meant by sdb");
        // B is not sdb, though it is called so now: it gets a name that stays.
        assert_eq!(told[1..], ["/dev/disk/by-id/scsi-B free [/dev/sdc]"]);
        assert_eq!(devices(&judged(&now), &known, &[&own]), ["/dev/sdc".into()].into());
    }
}

#[test]
fn a_boot_between_the_order_and_the_answer_changes_nothing() {
    let before = [disk("/dev/sdb", "A", true), disk("/dev/sdc", "B", true)];
    let known = adding(&seen(&Known::new(), &before), &before, &["/dev/sdb"]);
    // The MDM has it under its old name, and both names have changed places.
    let now = [disk("/dev/sdb", "B", true), disk("/dev/sdc", "A", false)];
    let known = claimed(&seen(&known, &now), &now, &[&device("d1", "/dev/sdb")]);
    assert_eq!(known["serial M A"].device, Some(DeviceId::new("d1")));
    assert_eq!(known["serial M B"].device, None);
}

#[test]
fn what_was_added_by_a_name_that_stays_is_known_by_the_kernel_s_name_too() {
    let before = [disk("/dev/sdb", "A", true)];
    let known = adding(&seen(&Known::new(), &before), &before, &["/dev/disk/by-id/scsi-A"]);
    for shown in ["/dev/disk/by-id/scsi-A", "/dev/sdb"] {
        let own = device("d1", shown);
        let known = claimed(&known, &before, &[&own]);
        assert_eq!(known["serial M A"].device, Some(DeviceId::new("d1")), "{shown}");
        assert_eq!(told(&before, &known, &[&own], DeviceNames::ById), [format!("{shown} device [/dev/sdb]")]);
    }
}

#[test]
fn a_server_that_was_there_before_is_learned_by_serial_or_name_and_never_guessed() {
    let now = [disk("/dev/sdb", "B", true), disk("/dev/sdc", "A", false)];
    let known = seen(&Known::new(), &now);
    let by_serial = Device { serial: Some("A".into()), ..device("d1", "/dev/sdb") };
    assert_eq!(claimed(&known, &now, &[&by_serial])["serial M A"].device, Some(DeviceId::new("d1")));
    let by_name = claimed(&known, &now, &[&device("d1", "/dev/sdc")]);
    assert_eq!(by_name["serial M A"].device, Some(DeviceId::new("d1")));
    // A free disk of that name is not what the MDM has; it is left alone all the same.
    let unclear = device("d1", "/dev/sdb");
    let known = claimed(&known, &now, &[&unclear]);
    assert!(known.values().all(|one| one.device.is_none()), "{known:?}");
    assert_eq!(told(&now, &known, &[&unclear], KERNEL), ["/dev/sdb device [/dev/sdb]"]);
    // A device that was taken out is none any more.
    let known = added();
    let gone = claimed(&known, &now, &[&device("d2", "/dev/sdz")]);
    assert_eq!(gone["serial M A"].device, None);
    assert_eq!(claimed(&known, &now, &[])["serial M A"].device, Some(DeviceId::new("d1")), "no news is no news");
}

#[test]
fn a_free_disk_under_another_one_s_name_is_taken_by_a_name_that_stays_or_not_at_all() {
    let known = added();
    let own = device("d1", "/dev/sdb");
    let without_links =
        |path: &str, serial: &str, is_free: bool| findings::Disk { links: Vec::new(), ..disk(path, serial, is_free) };
    // A new one where A was, which is away: its device is still the MDM's.
    let now = [without_links("/dev/sdb", "N", true), disk("/dev/sdc", "B", true)];
    let known_now = claimed(&seen(&known, &now), &now, &[&own]);
    assert_eq!(
        told(&now, &known_now, &[&own], KERNEL),
        ["/dev/sdb device []", "/dev/sdb free [] Moved", "/dev/sdc free [/dev/sdc]"]
    );
    // Once A's device was taken out, its place is free.
    let known_now = seen(&claimed(&known_now, &now, &[&device("d2", "/dev/sdz")]), &now);
    assert_eq!(told(&now, &known_now, &[], KERNEL)[0], "/dev/sdb free [/dev/sdb]");
    // One that tells nothing of its own goes by its name, where that is nobody else's.
    let nameless = [without_links("/dev/sdb", "", true), without_links("/dev/sdd", "", true)];
    let known_now = seen(&known, &nameless);
    let told = told(&nameless, &known_now, &[&own], KERNEL);
    assert!(told.contains(&"/dev/sdd free [/dev/sdd]".to_owned()), "{told:?}");
    assert!(!told.contains(&"/dev/sdb free [/dev/sdb]".to_owned()), "{told:?}");
}

#[test]
fn by_id_leaves_alone_what_has_no_such_name_and_two_ways_to_one_disk_are_none() {
    let bare = findings::Disk { links: Vec::new(), ..disk("/dev/sdd", "D", true) };
    let way = |path: &str, serial: &str| findings::Disk { wwn: "0x5".to_owned(), ..disk(path, serial, true) };
    let now = [disk("/dev/sdb", "A", true), bare, way("/dev/sde", "E"), way("/dev/sdf", "E")];
    let known = seen(&Known::new(), &now);
    let by_id = told(&now, &known, &[], DeviceNames::ById);
    assert!(by_id.contains(&"/dev/disk/by-id/scsi-A free [/dev/sdb]".to_owned()), "{by_id:?}");
    assert!(by_id.contains(&"/dev/sdd free [/dev/sdd] NoStableName".to_owned()), "{by_id:?}");
    assert_eq!(by_id.iter().filter(|line| line.ends_with("Twin")).count(), 2, "{by_id:?}");
}
