//! What does a package look like to a simulated machine, and what is its
//! version called elsewhere?

use crate::agent::recipes::component::{facts, package_name};
use crate::agent::recipes::os::Books;
use crate::agent::recipes::release::Release;
use crate::model::order::Component;

/// Name and content of a package file for machines with CentOS 7 (`Books::Rpm`) or Ubuntu 18.04. `release` is as in
/// names of files: `3.6-0.105`.
pub fn package(component: Component, release: &str, books: Books) -> (String, String) {
    let (facts, name) = (facts(component), package_name(component, books));
    let (word, unit) = (facts.word, facts.unit);
    match books {
        Books::Rpm => {
            let file = format!("EMC-ScaleIO-{word}-{release}.el7.x86_64.rpm");
            (file, format!("name={name}\nversion={release}.el7\nunit={unit}\n"))
        }
        Books::Dpkg => {
            let file = format!("EMC-ScaleIO-{word}-{release}.Ubuntu.18.04.x86_64.deb");
            (file, format!("name={name}\nversion={release}\nunit={unit}\n"))
        }
        Books::Bare => (format!("EMC-ScaleIO-{word}-{release}.x86_64.tgz"), format!("bin/{word}\n")),
    }
}

/// `3.6-0.105.el7` of a package is `R3_6.0.105` to the MDM.
pub(super) fn told(version: &str) -> Option<String> {
    let release = Release::read(version)?.to_string();
    let (first, rest) = release.split_once('-')?;
    Some(format!("R{}.{rest}", first.replace('.', "_")))
}

/// `R3_6.0.105` is `3.6-0.105` in names of packages.
pub(super) fn named(told: &str) -> Option<String> {
    let (first, rest) = told.strip_prefix('R')?.split_once('.')?;
    Some(format!("{}-{rest}", first.replace('_', ".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_same_by_both_names() {
        assert_eq!(told("3.6-0.105.el7").as_deref(), Some("R3_6.0.105"));
        assert_eq!(named("R3_6.0.105").as_deref(), Some("3.6-0.105"));
        assert_eq!((told("latest"), named("3.6")), (None, None));
    }
}
