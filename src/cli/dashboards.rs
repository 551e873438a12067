//! `sio export dashboards`: Grafana's pages that the program brings along, written where Grafana finds them.

use std::io::Write;
use std::path::Path;

use super::{FAILED, say};

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each dashboard.
        const SHIPPED: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../dashboards/", $name)))),*];
    };
}

shipped![
    "capacity.json",
    "devices.json",
    "exporter.json",
    "fleet.json",
    "health.json",
    "lifecycle.json",
    "performance.json",
    "pool.json",
    "rebuild.json",
    "replication.json",
    "sdc.json",
    "sds.json",
    "system.json",
    "volumes.json",
];

/// Writes all of them into a folder. A file there with another text is only replaced when that is wanted: it may hold
/// somebody's changes.
pub(super) fn export(folder: &Path, force: bool, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match write(folder, force) {
        Ok(written) => say(out, &format!("{written} of {} dashboards written to {}", SHIPPED.len(), folder.display())),
        Err(why) => {
            // Without standard error there is nobody to tell.
            let _ = writeln!(err, "sio: {why}");
            FAILED
        }
    }
}

fn write(folder: &Path, force: bool) -> Result<usize, String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut wanted = Vec::new();
    let mut changed = Vec::new();
    for (name, text) in SHIPPED {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(there) if there == text.as_bytes() => continue,
            Ok(_) => changed.push(*name),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        }
        wanted.push((path, text));
    }
    if !changed.is_empty() && !force {
        return Err(format!(
            "{} in {} differs from the shipped one; nothing was written. Choose an empty folder, or replace what is \
             there with --force",
            changed.join(", "),
            folder.display()
        ));
    }
    for (path, text) in &wanted {
        std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(wanted.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_dashboard_of_the_folder_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".json"))
            .collect();
        assert_eq!(there, SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect());
    }

    #[test]
    fn somebodys_changes_are_kept_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        assert_eq!(write(&folder, false), Ok(SHIPPED.len()));
        assert_eq!(write(&folder, false), Ok(0));
        let changed = folder.join("fleet.json");
        std::fs::write(&changed, "{}").unwrap();
        std::fs::remove_file(folder.join("pool.json")).unwrap();
        let refused = write(&folder, false).unwrap_err();
        assert!(refused.starts_with("fleet.json in ") && refused.contains("--force"), "{refused}");
        assert!(!folder.join("pool.json").exists() && std::fs::read_to_string(&changed).unwrap() == "{}");
        assert_eq!(write(&folder, true), Ok(2));
        assert_ne!(std::fs::read_to_string(&changed).unwrap(), "{}");
    }
}
