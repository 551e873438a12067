//! Which rules does the program bring along? Those of `alerts/`, so that it works alone.

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each rule file that is loaded by default, in the order of evaluation: what is recorded
        /// comes before what reads it.
        pub(super) const SHIPPED: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../alerts/", $name)))),*];
    };
}

shipped![
    "recording.rules.yml",
    "capacity.rules.yml",
    "client.rules.yml",
    "controller.rules.yml",
    "device.rules.yml",
    "exporter.rules.yml",
    "lifecycle.rules.yml",
    "mdm.rules.yml",
    "notification.rules.yml",
    "performance.rules.yml",
    "protection.rules.yml",
    "replication.rules.yml",
    "sds.rules.yml",
    "security.rules.yml",
];

macro_rules! tried {
    ($($name:literal),* $(,)?) => {
        /// Name and text of each file of tests, as promtool takes them.
        pub(super) const TESTS: &[(&str, &str)] =
            &[$((concat!("tests/", $name), include_str!(concat!("../../alerts/tests/", $name)))),*];
    };
}

tried![
    "capacity.yml",
    "client.yml",
    "controller.yml",
    "device.yml",
    "exporter.yml",
    "forecast.yml",
    "lifecycle.yml",
    "mdm.yml",
    "notification.yml",
    "optional.yml",
    "performance.yml",
    "protection.yml",
    "replication.yml",
    "sds.yml",
    "security.yml",
    "unusual.yml",
    "whole.yml",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".rules.yml"))
            .collect();
        assert_eq!(there, SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect());
    }

    #[test]
    fn every_file_of_tests_is_shipped() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/tests");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("tests/{}", entry.unwrap().file_name().to_string_lossy()))
            .filter(|name| name.ends_with(".yml"))
            .collect();
        assert_eq!(there, TESTS.iter().map(|(name, _)| (*name).to_owned()).collect());
    }
}
