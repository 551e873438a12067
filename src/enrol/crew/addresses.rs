//! By which addresses is a host found? Pure.

use std::collections::BTreeSet;

use super::Member;

/// Addresses that more than one host says it has, as that of a bridge of containers: they tell nobody which host is meant.
pub fn shared<'a>(members: impl IntoIterator<Item = &'a Member>) -> BTreeSet<Box<str>> {
    let (mut seen, mut shared) = (BTreeSet::new(), BTreeSet::new());
    for ip in members.into_iter().filter_map(|member| member.facts.as_ref()).flat_map(|said| &said.addresses) {
        if !seen.insert(ip) {
            shared.insert(ip.clone());
        }
    }
    shared
}

/// All addresses of a host: the one by which others know it, and those that its agent says and no other host does.
pub fn own(known: Option<&str>, member: Option<&Member>, shared: &BTreeSet<Box<str>>) -> BTreeSet<Box<str>> {
    let said = member.and_then(|member| member.facts.as_ref()).into_iter().flat_map(|said| &said.addresses);
    known.map(Into::into).into_iter().chain(said.filter(|ip| !shared.contains(*ip)).cloned()).collect()
}
