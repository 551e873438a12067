//! By which name does a system know what a node carries: its SDS, its member of the MDM cluster?

use crate::model::id::NodeName;

/// Longer names are refused by the MDM.
const LONGEST: usize = 31;

/// Signs of a checksum and what stands before it.
const SUM: usize = 9;

/// The node's name where the MDM takes it; else its first label and a sum over the whole, so that two nodes of one label
/// stay two. Who is known already is known by its addresses and keeps its name.
pub fn in_system(node: &NodeName) -> String {
    let name = node.as_str();
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let label = name.split('.').next().filter(|label| !label.is_empty()).unwrap_or(name);
    let mut short = label.to_owned();
    while short.len() > LONGEST - SUM {
        short.pop();
    }
    format!("{short}-{:08x}", crc32fast::hash(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_that_the_mdm_would_refuse_is_made_shorter_and_stays_its_own() {
        let name = |text: &str| in_system(&NodeName::new(text));
        assert_eq!(name("storage-1.example.com"), "storage-1.example.com");
        assert_eq!(name(&"n".repeat(LONGEST)), "n".repeat(LONGEST));
        assert!(name("ip-10-0-12-34.us-west-2.compute.internal").starts_with("ip-10-0-12-34-"));
        let long = [
            "storage-1.a-very-long-domain.example.com",
            "storage-1.another-long-domain.example.com",
            &format!("{}1", "n".repeat(60)),
            &format!("{}2", "n".repeat(60)),
            ".a-name-without-its-first-label.example.com",
            &"ß".repeat(40),
        ];
        let short: BTreeSet<String> = long.iter().map(|long| name(long)).collect();
        assert_eq!(short.len(), long.len(), "{short:?}");
        assert!(short.iter().all(|name| name.len() <= LONGEST && !name.starts_with('-')), "{short:?}");
        assert!(!short.contains("storage-1"), "another node may have that name");
    }
}
