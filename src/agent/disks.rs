//! Whether a disk is free: every means of telling must say so, at this moment.
//!
//! A disk with data on it that is taken is lost. So one "no" is enough, a tool
//! that fails, is missing or says what we do not understand is a "no", and so
//! are bytes that no tool knows. `lsblk` has its file systems from udev and
//! may be blind: only what it says against a disk counts.

use std::collections::BTreeMap;

use super::host::{Alone, Call, Host, HostError, Output};
use crate::model::findings::Disk;

/// What the means said of a disk. An error is in their words.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Looked {
    pub lsblk: Result<Output, String>,
    pub blkid: Result<Output, String>,
    pub wipefs: Result<Output, String>,
    pub mounts: Result<String, String>,
    pub swaps: Result<String, String>,
    pub holders: Result<Vec<String>, String>,
    pub alone: Result<Alone, String>,
}

const COLUMNS: &str = "NAME,KNAME,TYPE,SIZE,RO,RM,ROTA,MOUNTPOINT,FSTYPE,MAJ:MIN,MODEL,SERIAL,WWN";

/// Kinds of block devices that can be a device of an SDS.
const KINDS: [&str; 3] = ["disk", "mpath", "loop"];

/// Every disk of the node, by path.
pub fn all(host: &mut dyn Host) -> Result<Vec<String>, String> {
    let output = said(host, &Call::new("lsblk", ["-d", "-p", "-n", "-P", "-o", "NAME,TYPE"]))?;
    if !output.is_good() || output.stdout.trim().is_empty() {
        return Err(format!("lsblk lists no disks ({})", output.last_words()));
    }
    let lines = output.stdout.lines().map(pairs);
    let disks = lines.filter(|line| line.get("TYPE").is_some_and(|kind| kind == "disk"));
    Ok(disks.filter_map(|mut line| line.remove("NAME")).collect())
}

/// Folders with names that stay, the better one first: by what a disk is, and by where it is plugged in.
const LINKS: [&str; 2] = ["/dev/disk/by-id", "/dev/disk/by-path"];

/// How the best names begin: those that are the disk's own, whoever drives it.
const BEST: [&str; 3] = ["wwn-", "nvme-eui.", "scsi-"];

/// More names of one disk say nothing more.
const MOST_LINKS: usize = 4;

/// Names of disks that stay, by where they lead now; the best one first. Without udev there are none.
pub fn links(host: &mut dyn Host) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<(usize, usize, String)>> = BTreeMap::new();
    for (at, folder) in LINKS.into_iter().enumerate() {
        for name in host.list(folder).unwrap_or_default() {
            let best = BEST.iter().position(|begin| name.starts_with(begin)).unwrap_or(BEST.len());
            let link = format!("{folder}/{name}");
            if let Some(device) = host.leads_to(&link) {
                all.entry(device).or_default().push((at, best, link));
            }
        }
    }
    let sorted = |mut links: Vec<(usize, usize, String)>| {
        links.sort_unstable();
        links.into_iter().map(|(_, _, link)| link).take(MOST_LINKS).collect()
    };
    all.into_iter().map(|(device, links)| (device, sorted(links))).collect()
}

/// Looks at a disk by every means.
pub fn look(path: &str, host: &mut dyn Host) -> Looked {
    let lsblk = said(host, &Call::new("lsblk", ["-b", "-p", "-n", "-P", "-o", COLUMNS, path]));
    let kernel_name = lsblk.as_ref().ok().and_then(|output| pairs(output.stdout.lines().next()?).remove("KNAME"));
    let holders = match kernel_name.as_deref().and_then(|name| name.strip_prefix("/dev/")) {
        Some(name) => {
            let folder = format!("/sys/class/block/{name}");
            if host.exists(&folder) {
                host.list(&format!("{folder}/holders")).map_err(|error| error.to_string())
            } else {
                Err(format!("{folder} is not there"))
            }
        }
        None => Err("the kernel's name of the disk is not known".to_owned()),
    };
    let text = |read: Result<Option<Vec<u8>>, HostError>, path: &str| match read {
        Ok(Some(bytes)) if !bytes.is_empty() => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(_) => Err(format!("{path} is empty")),
        Err(error) => Err(error.to_string()),
    };
    Looked {
        lsblk,
        blkid: said(host, &Call::new("blkid", ["-p", path])),
        wipefs: said(host, &Call::new("wipefs", ["-n", path])),
        mounts: text(host.read("/proc/self/mountinfo"), "/proc/self/mountinfo"),
        swaps: text(host.read("/proc/swaps"), "/proc/swaps"),
        holders,
        // Last, so that nothing is older than what it proves.
        alone: host.open_alone(path).map_err(|error| error.to_string()),
    }
}

fn said(host: &mut dyn Host, call: &Call) -> Result<Output, String> {
    host.run(call).map_err(|error| error.to_string())
}

/// The verdict.
pub fn judge(path: &str, looked: &Looked) -> Disk {
    let mut disk = Disk::unknown(path.to_owned());
    let number = listing(looked, &mut disk);
    let no = &mut disk.not_free;
    signatures(looked, no);
    match (&looked.mounts, number) {
        (Ok(text), Some(number)) => {
            let at = text.lines().find_map(|line| {
                let mut words = line.split_whitespace().skip(2);
                (words.next() == Some(number.as_str())).then(|| words.nth(1).unwrap_or("somewhere").to_owned())
            });
            no.extend(at.map(|at| format!("it is mounted at {at}")));
        }
        // Without its number there is a complaint already.
        (Ok(_), None) => {}
        (Err(why), _) => no.push(format!("the table of mounts cannot be read: {why}")),
    }
    match &looked.swaps {
        Ok(text) if text.lines().skip(1).any(|line| line.split_whitespace().next() == Some(path)) => {
            no.push("it is swap".to_owned());
        }
        Ok(_) => {}
        Err(why) => no.push(format!("the table of swap cannot be read: {why}")),
    }
    match &looked.holders {
        Ok(holders) if holders.is_empty() => {}
        Ok(holders) => no.push(format!("it is a part of {}", holders.join(", "))),
        Err(why) => no.push(format!("its holders cannot be told: {why}")),
    }
    match &looked.alone {
        Ok(Alone::Free { is_blank: true }) => {}
        Ok(Alone::Free { is_blank: false }) => {
            no.push("its beginning or end is not blank; if that data can go, overwrite both with zeros".to_owned());
        }
        Ok(Alone::Held) => no.push("something on the node has it open for itself alone".to_owned()),
        Err(why) => no.push(format!("it cannot be opened: {why}")),
    }
    disk
}

/// What `lsblk` says; the answer is the disk's number.
fn listing(looked: &Looked, disk: &mut Disk) -> Option<String> {
    let output = match &looked.lsblk {
        Ok(output) if output.is_good() => output,
        Ok(output) => {
            disk.not_free.push(format!("lsblk failed ({})", output.last_words()));
            return None;
        }
        Err(why) => {
            disk.not_free.push(format!("lsblk failed: {why}"));
            return None;
        }
    };
    let mut lines = output.stdout.lines().filter(|line| !line.trim().is_empty()).map(pairs);
    let Some(line) = lines.next() else {
        disk.not_free.push("lsblk says nothing of it".to_owned());
        return None;
    };
    let value = |name: &str| line.get(name).map(String::as_str).unwrap_or_default();
    disk.size = value("SIZE").parse().ok();
    disk.rotational = match value("ROTA") {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    disk.model = value("MODEL").trim().to_owned();
    disk.serial = value("SERIAL").trim().to_owned();
    disk.wwn = value("WWN").trim().to_owned();
    let no = &mut disk.not_free;
    if !KINDS.contains(&value("TYPE")) {
        no.push(format!("it is no disk but {:?}", value("TYPE")));
    }
    if disk.size.is_none_or(|size| size == 0) {
        no.push("lsblk tells no size of it".to_owned());
    }
    if value("RO") != "0" {
        no.push("it cannot be written".to_owned());
    }
    if value("RM") != "0" {
        no.push("it can be taken out".to_owned());
    }
    if !value("MOUNTPOINT").is_empty() {
        no.push(format!("lsblk sees it mounted at {}", value("MOUNTPOINT")));
    }
    if !value("FSTYPE").is_empty() {
        no.push(format!("lsblk sees {} on it", value("FSTYPE")));
    }
    let children: Vec<String> = lines.filter_map(|mut line| line.remove("NAME")).collect();
    if !children.is_empty() {
        no.push(format!("there is {} on it", children.join(", ")));
    }
    // In newer releases the name of the column has become MAJ_MIN in this form.
    let number = [value("MAJ:MIN"), value("MAJ_MIN")].into_iter().map(str::trim).find(|number| number.contains(':'));
    if number.is_none() {
        no.push("lsblk tells no number of it".to_owned());
    }
    number.map(str::to_owned)
}

/// What reads the disk itself: its signatures and partition tables.
fn signatures(looked: &Looked, no: &mut Vec<String>) {
    match &looked.blkid {
        // Status 2 and not a word means that nothing was found; with a word, that it could not look.
        Ok(Output { status: Some(2), stdout, stderr }) if stdout.trim().is_empty() && stderr.trim().is_empty() => {}
        Ok(output) if output.is_good() && !output.stdout.trim().is_empty() => {
            no.push(format!("blkid finds {}", what_blkid_finds(&output.stdout)));
        }
        Ok(Output { status: Some(8), .. }) => no.push("blkid finds signatures that contradict each other".to_owned()),
        Ok(output) => no.push(format!("blkid failed ({})", output.last_words())),
        Err(why) => no.push(format!("blkid failed: {why}")),
    }
    match &looked.wipefs {
        Ok(output) if !output.is_good() || !output.stderr.trim().is_empty() => {
            no.push(format!("wipefs failed ({})", output.last_words()));
        }
        // It says nothing when it finds nothing.
        Ok(output) if output.stdout.trim().is_empty() => {}
        Ok(output) => {
            let found = output.stdout.lines().last().unwrap_or_default();
            no.push(format!("wipefs finds signatures ({})", found.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        Err(why) => no.push(format!("wipefs failed: {why}")),
    }
}

/// The type of what `blkid` found, of all it says.
fn what_blkid_finds(line: &str) -> String {
    let pairs = pairs(line.split_once(": ").map_or(line, |(_, rest)| rest));
    let named = |name: &str| pairs.get(name).cloned();
    let table = || named("PTTYPE").map(|kind| format!("a partition table ({kind})"));
    named("TYPE").or_else(table).unwrap_or_else(|| line.trim().to_owned())
}

/// `A="x" B="y z"`.
fn pairs(line: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut rest = line;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else { break };
        pairs.insert(name.trim().to_owned(), value.to_owned());
        rest = after;
    }
    pairs
}

#[cfg(test)]
mod tests;
