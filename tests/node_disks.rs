//! Whether a disk with anything on it, or in anybody's hands, is left alone:
//! real block devices, real tools.
//!
//! Loop devices stand for disks. What the kernel of a test machine does not
//! have (LVM volumes, RAID arrays that run) is tested with recorded words in
//! `agent::disks`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use scaleio_framework::agent::disks::{judge, links, look};
use scaleio_framework::agent::real::RealHost;
use scaleio_framework::model::findings::Disk;

/// Runs a tool that must be there and do it.
fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed (see ./test): {error}"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {told} (these tests need root and loop devices)");
    String::from_utf8(output.stdout).unwrap()
}

/// A loop device over a sparse file; let go at the end.
struct Loop {
    path: String,
    _folder: tempfile::TempDir,
}

impl Loop {
    fn new(mib: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk");
        File::create(&file).unwrap().set_len(mib << 20).unwrap();
        let path = tool("losetup", &["-fP", "--show", file.to_str().unwrap()]).trim().to_owned();
        Self { path, _folder: folder }
    }

    fn with(mib: u64, fill: impl FnOnce(&str)) -> Self {
        let device = Self::new(mib);
        fill(&device.path);
        device
    }

    fn judged(&self) -> Disk {
        verdict(&self.path)
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.write_all_at(bytes, at).unwrap();
        file.sync_all().unwrap();
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.path]).status();
    }
}

fn verdict(path: &str) -> Disk {
    let state = tempfile::tempdir().unwrap();
    let mut host = RealHost::new(state.path(), Box::new(|_, _| Err("nothing is fetched".to_owned()))).unwrap();
    judge(path, &look(path, &mut host))
}

/// A mount that ends with the test.
struct Mount(PathBuf);

impl Mount {
    fn new(device: &str, at: &Path) -> Self {
        tool("mount", &[device, at.to_str().unwrap()]);
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[track_caller]
fn assert_taken(disk: &Disk, words: &[&str]) {
    for words in words {
        assert!(disk.not_free.iter().any(|why| why.contains(words)), "{words:?} is not in {:?}", disk.not_free);
    }
}

#[test]
fn a_blank_disk_is_free_and_its_size_is_told() {
    let disk = Loop::new(64).judged();
    assert_eq!(disk.not_free, Vec::<String>::new());
    assert_eq!(disk.size, Some(64 << 20));
}

/// A name of a device below `/dev/disk/by-id`, as udev would make it.
struct Link(PathBuf);

impl Link {
    fn new(name: &str, device: &str) -> Self {
        let folder = Path::new("/dev/disk/by-id");
        std::fs::create_dir_all(folder).unwrap();
        let link = folder.join(name);
        std::os::unix::fs::symlink(Path::new("../..").join(device.trim_start_matches("/dev/")), &link).unwrap();
        Self(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn names_that_stay_are_told_with_the_best_one_first() {
    let device = Loop::new(64);
    let number = device.path.trim_start_matches("/dev/").to_owned();
    let names = [format!("ata-test-{number}"), format!("wwn-test-{number}")];
    let _links = names.clone().map(|name| Link::new(&name, &device.path));
    let state = tempfile::tempdir().unwrap();
    let mut host = RealHost::new(state.path(), Box::new(|_, _| Err("nothing is fetched".to_owned()))).unwrap();
    let told = links(&mut host).remove(&device.path).unwrap();
    assert_eq!(told, [1, 0].map(|at| format!("/dev/disk/by-id/{}", names[at])));
    // A device without a number of its own goes by its name.
    assert_eq!(device.judged().identity(), None);
}

#[test]
fn whatever_has_a_signature_is_left_alone() {
    let luks =
        ["luksFormat", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "/etc/hostname"];
    type Fill<'a> = Box<dyn FnOnce(&str) + 'a>;
    let run = |program: &'static str, args: &'static [&'static str]| -> Fill<'_> {
        Box::new(move |path| drop(tool(program, &[args, &[path]].concat())))
    };
    for (name, mib, fill) in [
        ("ext4", 64, run("mkfs.ext4", &["-q"])),
        ("xfs", 320, run("mkfs.xfs", &["-q"])),
        ("vfat", 64, run("mkfs.vfat", &[])),
        ("swap", 64, run("mkswap", &["-q"])),
        ("LVM2_member", 64, run("pvcreate", &["-q", "--config", "devices{use_devicesfile=0}"])),
        ("crypto_LUKS", 64, Box::new(|path: &str| drop(tool("cryptsetup", &[&luks[..], &[path]].concat())))),
        ("a partition table (gpt)", 64, Box::new(|path: &str| drop(tool("parted", &["-s", path, "mklabel", "gpt"])))),
    ] {
        assert_taken(&Loop::with(mib, fill).judged(), &[&format!("blkid finds {name}"), "wipefs finds"]);
    }
}

#[test]
fn members_of_raid_zfs_and_ceph_are_left_alone() {
    let device = Loop::new(64);
    device.write(4096, &raid_superblock(64 << 20));
    assert_taken(&device.judged(), &["blkid finds linux_raid_member"]);

    let device = Loop::new(64);
    let end = 64 << 20;
    for label in [0, 262_144, end - 524_288, end - 262_144] {
        for number in 0..8_u64 {
            let block: Vec<u8> =
                [0x00ba_b10c, 5000, number + 4, number, 1_u64].iter().flat_map(|word| word.to_le_bytes()).collect();
            device.write(label + 131_072 + number * 1024, &block);
        }
    }
    assert_taken(&device.judged(), &["blkid finds zfs_member"]);

    let device = Loop::new(64);
    device.write(0, b"bluestore block device\n");
    assert_taken(&device.judged(), &["blkid finds ceph_bluestore"]);
}

/// A member of a RAID, format 1.2, as the kernel writes it.
fn raid_superblock(size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    for (at, word) in [(0, 0xa92b_4efc_u32), (4, 1), (80, 0), (88, 2), (92, 2), (220, 2)] {
        put(at, &word.to_le_bytes());
    }
    put(16, &[7; 16]);
    put(32, b"host1:0");
    put(72, &1_i32.to_le_bytes());
    for (at, word) in [(128, 2048_u64), (136, size / 512 - 2048), (144, 8)] {
        put(at, &word.to_le_bytes());
    }
    put(168, &[9; 16]);
    put(258, &1_u16.to_le_bytes());
    let words = block[..260].chunks_exact(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap())));
    let sum: u64 = words.sum();
    let sum = u32::try_from((sum & 0xffff_ffff) + (sum >> 32)).unwrap();
    block[216..220].copy_from_slice(&sum.to_le_bytes());
    block
}

#[test]
fn a_disk_with_partitions_and_each_partition_are_left_alone() {
    let device = Loop::with(64, |path| {
        tool("parted", &["-s", path, "mklabel", "gpt", "mkpart", "p", "1MiB", "32MiB"]);
    });
    assert_taken(&device.judged(), &["partition table", &format!("{}p1", device.path)]);
    let partition = format!("{}p1", device.path);
    assert!(Path::new(&partition).exists(), "{partition} did not appear");
    assert_taken(&verdict(&partition), &["no disk but \"part\""]);
}

#[test]
fn a_mounted_disk_is_left_alone_though_its_signature_be_gone() {
    let at = tempfile::tempdir().unwrap();
    let device = Loop::with(64, |path| drop(tool("mkfs.ext4", &["-q", path])));
    let _mount = Mount::new(&device.path, at.path());
    assert_taken(&device.judged(), &["it is mounted at", "itself alone", "ext4"]);
}

#[test]
fn the_journal_of_another_disk_s_file_system_is_left_alone() {
    let at = tempfile::tempdir().unwrap();
    let journal = Loop::with(64, |path| drop(tool("mke2fs", &["-q", "-O", "journal_dev", path])));
    let option = format!("device={}", journal.path);
    let device = Loop::with(64, |path| drop(tool("mkfs.ext4", &["-q", "-J", &option, path])));
    let _mount = Mount::new(&device.path, at.path());
    let disk = journal.judged();
    assert_taken(&disk, &["itself alone", "jbd"]);
    assert!(!disk.not_free.iter().any(|why| why.contains("mounted")), "it is in no table: {:?}", disk.not_free);
}

#[test]
fn active_swap_is_left_alone() {
    let device = Loop::with(64, |path| drop(tool("mkswap", &["-q", path])));
    tool("swapon", &[&device.path]);
    let disk = device.judged();
    tool("swapoff", &[&device.path]);
    assert_taken(&disk, &["it is swap", "itself alone"]);
}

#[test]
fn a_blank_disk_that_somebody_holds_is_left_alone() {
    const EXCLUSIVE: i32 = 0o200;
    let device = Loop::new(64);
    let held = OpenOptions::new().read(true).custom_flags(EXCLUSIVE).open(&device.path).unwrap();
    let disk = device.judged();
    assert_eq!(disk.not_free, ["something on the node has it open for itself alone"]);
    drop(held);
    assert!(device.judged().is_free());
}

#[test]
fn data_that_no_tool_knows_is_left_alone_at_either_end() {
    for at in [0, 4096, (1 << 20) - 1, (63 << 20), (64 << 20) - 1] {
        let device = Loop::new(64);
        device.write(at, b"x");
        assert_taken(&device.judged(), &["not blank"]);
        assert_eq!(device.judged().not_free.len(), 1, "at {at}");
    }
}

#[test]
fn what_is_not_there_or_no_block_device_is_left_alone() {
    // Of this one blkid says what it says of a blank disk.
    assert_taken(&verdict("/dev/no-such-disk"), &["lsblk", "wipefs", "holders", "opened"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(!verdict(file.path().to_str().unwrap()).is_free());
}
