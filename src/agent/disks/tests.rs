//! The verdict over what tools said, recorded on real disks and of kinds that
//! a test machine cannot have.

use super::*;

const BLANK: Alone = Alone::Free { is_blank: true };

fn output(status: i32, stdout: &str, stderr: &str) -> Result<Output, String> {
    Ok(Output { status: Some(status), stdout: stdout.to_owned(), stderr: stderr.to_owned() })
}

const LSBLK: &str = r#"NAME="/dev/sdb" KNAME="/dev/sdb" TYPE="disk" SIZE="1000204886016" RO="0" RM="0" ROTA="1" MOUNTPOINT="" FSTYPE="" MAJ:MIN="8:16" MODEL="ST1000 " SERIAL="Z1""#;
const MOUNTS: &str = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n24 22 0:5 / /proc rw - proc proc rw\n";
const SWAPS: &str = "Filename\t\t\t\tType\t\tSize\n/dev/sda2 partition 1024\n";

fn free() -> Looked {
    Looked {
        lsblk: output(0, LSBLK, ""),
        blkid: output(2, "", ""),
        wipefs: output(0, "", ""),
        mounts: Ok(MOUNTS.to_owned()),
        swaps: Ok(SWAPS.to_owned()),
        holders: Ok(Vec::new()),
        alone: Ok(BLANK),
    }
}

#[test]
fn a_disk_is_free_when_all_say_so_and_its_facts_are_told() {
    let disk = judge("/dev/sdb", &free());
    assert_eq!((disk.not_free.len(), disk.size, disk.rotational), (0, Some(1_000_204_886_016), Some(true)));
    assert_eq!((disk.model.as_str(), disk.serial.as_str()), ("ST1000", "Z1"));
    assert_eq!((disk.wwn.as_str(), disk.identity().as_deref()), ("", Some("serial ST1000 Z1")));
    let named = format!("{LSBLK} WWN=\"0x5000c500a1b2c3d4\"");
    let disk = judge("/dev/sdb", &Looked { lsblk: output(0, &named, ""), ..free() });
    assert_eq!(disk.identity().as_deref(), Some("wwn 0x5000c500a1b2c3d4"), "the one name that is its own");
    let newer = LSBLK.replace("MAJ:MIN", "MAJ_MIN");
    assert!(judge("/dev/sdb", &Looked { lsblk: output(0, &newer, ""), ..free() }).is_free());
}

#[test]
fn one_that_says_no_is_enough() {
    let lsblk = |from: &str, to: &str| output(0, &LSBLK.replace(from, to), "");
    let child = format!("{LSBLK}\nNAME=\"/dev/mapper/vg-lv\" KNAME=\"/dev/dm-0\" TYPE=\"lvm\" SIZE=\"1\"\n");
    let table = "DEVICE OFFSET TYPE UUID LABEL\nsdb    0x438  ext4 1f2e\n";
    let cases: Vec<(&str, Looked)> = vec![
        ("lsblk sees ext4", Looked { lsblk: lsblk(r#"FSTYPE="""#, r#"FSTYPE="ext4""#), ..free() }),
        ("mounted at /data", Looked { lsblk: lsblk(r#"MOUNTPOINT="""#, r#"MOUNTPOINT="/data""#), ..free() }),
        ("cannot be written", Looked { lsblk: lsblk(r#"RO="0""#, r#"RO="1""#), ..free() }),
        ("taken out", Looked { lsblk: lsblk(r#"RM="0""#, r#"RM="1""#), ..free() }),
        ("no disk but \"part\"", Looked { lsblk: lsblk(r#"TYPE="disk""#, r#"TYPE="part""#), ..free() }),
        ("/dev/mapper/vg-lv", Looked { lsblk: output(0, &child, ""), ..free() }),
        (
            "blkid finds LVM2_member",
            Looked { blkid: output(0, "/dev/sdb: UUID=\"x\" TYPE=\"LVM2_member\"\n", ""), ..free() },
        ),
        ("partition table (gpt)", Looked { blkid: output(0, "/dev/sdb: PTUUID=\"x\" PTTYPE=\"gpt\"\n", ""), ..free() }),
        ("contradict", Looked { blkid: output(8, "", ""), ..free() }),
        ("wipefs finds", Looked { wipefs: output(0, table, ""), ..free() }),
        ("mounted at /srv", Looked { mounts: Ok(format!("{MOUNTS}30 22 8:16 / /srv rw - xfs x rw\n")), ..free() }),
        ("it is swap", Looked { swaps: Ok(format!("{SWAPS}/dev/sdb partition 9\n")), ..free() }),
        ("a part of dm-3", Looked { holders: Ok(vec!["dm-3".to_owned()]), ..free() }),
        ("itself alone", Looked { alone: Ok(Alone::Held), ..free() }),
        ("not blank", Looked { alone: Ok(Alone::Free { is_blank: false }), ..free() }),
    ];
    for (words, looked) in cases {
        let disk = judge("/dev/sdb", &looked);
        assert!(disk.not_free.len() == 1 && disk.not_free[0].contains(words), "{words}: {:?}", disk.not_free);
    }
}

#[test]
fn a_tool_that_fails_is_missing_or_says_nothing_means_do_not_touch() {
    fn missing<T>() -> Result<T, String> {
        Err("it is not on this node".to_owned())
    }
    let cases: Vec<(&str, Looked)> = vec![
        ("lsblk", Looked { lsblk: output(32, "", "lsblk: /dev/sdb: not a block device"), ..free() }),
        ("lsblk", Looked { lsblk: output(0, "", ""), ..free() }),
        ("lsblk", Looked { lsblk: missing(), ..free() }),
        ("size", Looked { lsblk: output(0, &LSBLK.replace("1000204886016", ""), ""), ..free() }),
        ("number", Looked { lsblk: output(0, &LSBLK.replace("8:16", ""), ""), ..free() }),
        ("blkid", Looked { blkid: output(2, "", "blkid: error: /dev/sdb: Operation not permitted"), ..free() }),
        ("blkid", Looked { blkid: output(0, "", ""), ..free() }),
        ("blkid", Looked { blkid: output(127, "", ""), ..free() }),
        ("blkid", Looked { blkid: missing(), ..free() }),
        (
            "wipefs",
            Looked { wipefs: output(1, "", "wipefs: error: /dev/sdb: probing initialization failed"), ..free() },
        ),
        ("wipefs", Looked { wipefs: output(0, "", "wipefs: something"), ..free() }),
        ("wipefs", Looked { wipefs: missing(), ..free() }),
        ("mounts", Looked { mounts: missing(), ..free() }),
        ("swap", Looked { swaps: missing(), ..free() }),
        ("holders", Looked { holders: missing(), ..free() }),
        ("opened", Looked { alone: missing(), ..free() }),
    ];
    for (words, looked) in cases {
        let disk = judge("/dev/sdb", &looked);
        assert!(disk.not_free.iter().any(|why| why.contains(words)), "{words}: {:?}", disk.not_free);
    }
}
