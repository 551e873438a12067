//! What the name of a package file says, and which file is for a node.

use super::component::facts;
use super::os::{Books, Os};
use super::release::Release;
use crate::model::order::Component;

/// A package file by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// The component's word: `mdm`, `sds`, ...
    pub word: String,
    /// The version.
    pub release: Release,
    /// The operating system's tag; none: for all.
    pub tag: Option<String>,
    /// Which books it goes into.
    pub books: Books,
    /// Whether it is the vendor's signed archive around the package.
    pub is_signed_archive: bool,
}

impl PackageFile {
    /// Reads a name such as `EMC-ScaleIO-sds-3.6-100.101.el7.x86_64.rpm`,
    /// `EMC-ScaleIO-sdc-2.0-13000.211.Ubuntu.16.04.x86_64.deb`,
    /// `emc-scaleio-gateway_3.0-100.1_amd64.deb`, or that of a bundle of plain
    /// files, `EMC-ScaleIO-sdc-3.6-100.101.x86_64.tgz`.
    pub fn read(name: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{name} is no package of ScaleIO by its name: {what}");
        let (stem, end) = name.rsplit_once('.').ok_or_else(|| wrong("it has no ending"))?;
        let (books, is_signed_archive) = match end {
            "rpm" => (Books::Rpm, false),
            "deb" => (Books::Dpkg, false),
            "tar" => (Books::Dpkg, true),
            "tgz" => (Books::Bare, false),
            _ => return Err(wrong("it ends neither in .rpm nor in .deb nor in .tar nor in .tgz")),
        };
        let stem = [".x86_64", ".noarch", "_amd64", ".amd64"].iter().find_map(|end| stem.strip_suffix(end));
        let stem = stem.ok_or_else(|| wrong("it is for another kind of processor than x86-64"))?;
        let lower = stem.to_ascii_lowercase();
        let rest = lower.strip_prefix("emc-scaleio-").ok_or_else(|| wrong("it does not begin with EMC-ScaleIO-"))?;
        // The version begins with the first digit behind a separator.
        let begin = rest
            .match_indices(['-', '_'])
            .map(|(at, _)| at)
            .find(|at| rest[at + 1..].starts_with(|c: char| c.is_ascii_digit()))
            .ok_or_else(|| wrong("it has no version"))?;
        let version = &rest[begin + 1..];
        let release = Release::read(version).ok_or_else(|| wrong("its version cannot be read"))?;
        let tag = version[release.to_string().len()..].trim_start_matches('.');
        let tag = (!tag.is_empty()).then(|| tag.to_owned());
        Ok(Self { word: rest[..begin].to_owned(), release, tag, books, is_signed_archive })
    }

    /// Whether a node can take it as a component, or why not.
    pub fn judge(&self, component: Component, os: &Os) -> Result<(), String> {
        let word = facts(component).word;
        if self.word != word {
            return Err(format!("the package is of {}, and {component} comes in a package of {word}", self.word));
        }
        if self.books == Books::Bare || os.books() == Books::Bare {
            super::bare::command(component)?;
        }
        if os.books() == Books::Bare && self.books != Books::Bare {
            return Err(format!(
                "{} has no package manager; it takes a bundle of plain files, EMC-ScaleIO-{word}-VERSION.x86_64.tgz",
                os.pretty
            ));
        }
        if self.books != os.books() {
            return Err(format!("the package is for another package manager than that of {}", os.pretty));
        }
        match &self.tag {
            Some(tag) if !os.takes(tag) => Err(format!("the package is for {tag}, and the node has {}", os.pretty)),
            _ => Ok(()),
        }
    }
}

/// Of many files, the newest that a node can take as a component.
pub fn choose<'a>(names: impl IntoIterator<Item = &'a str>, component: Component, os: &Os) -> Option<&'a str> {
    names
        .into_iter()
        .filter_map(|name| PackageFile::read(name).ok().map(|file| (file, name)))
        .filter(|(file, _)| file.judge(component, os).is_ok())
        // A package for the very service pack comes before one for an earlier.
        .max_by(|(a, _), (b, _)| a.release.cmp(&b.release).then_with(|| a.tag.cmp(&b.tag)))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 10] = [
        "EMC-ScaleIO-sds-2.0-10000.2072.el7.x86_64.rpm",
        "EMC-ScaleIO-sds-3.6-700.103.el7.x86_64.rpm",
        "EMC-ScaleIO-sds-3.6-700.103.el8.x86_64.rpm",
        "EMC-ScaleIO-sds-2.0-14000.231.sle12.2.x86_64.rpm",
        "EMC-ScaleIO-sdc-2.0-13000.211.Ubuntu.16.04.x86_64.deb",
        "EMC-ScaleIO-sdc-3.6-700.103.Ubuntu.22.04.x86_64.tar",
        "EMC-ScaleIO-gateway-3.0-100.1.x86_64.rpm",
        "emc-scaleio-gateway_3.0-100.1_amd64.deb",
        "README.txt",
        "EMC-ScaleIO-sdc-3.6-700.103.x86_64.tgz",
    ];

    fn os(id: &str, version: &str) -> Os {
        Os::read(&format!("ID={id}\nVERSION_ID={version}\n")).unwrap()
    }

    #[test]
    fn the_newest_package_for_the_node_is_chosen() {
        for (component, os, chosen) in [
            (Component::Sds, os("centos", "7"), Some(FILES[1])),
            (Component::Sds, os("rocky", "8.6"), Some(FILES[2])),
            (Component::Sds, os("sles", "12.5"), Some(FILES[3])),
            (Component::Sdc, os("ubuntu", "16.04"), Some(FILES[4])),
            (Component::Sdc, os("ubuntu", "22.04"), Some(FILES[5])),
            (Component::Gateway, os("rhel", "9.2"), Some(FILES[6])),
            (Component::Gateway, os("ubuntu", "18.04"), Some(FILES[7])),
            (Component::Sds, os("sles", "12.1"), None),
            (Component::Lia, os("centos", "7"), None),
            (Component::Sdc, os("flatcar", "3000.1"), Some(FILES[9])),
            (Component::Sds, os("flatcar", "3000.1"), None),
        ] {
            assert_eq!(choose(FILES, component, &os), chosen, "{component} {}", os.id);
        }
    }

    #[test]
    fn what_is_no_package_for_the_node_is_told_why() {
        for (name, component, os, why) in [
            (FILES[1], Component::Sds, os("rocky", "9.1"), "for el7"),
            (FILES[1], Component::Mdm, os("centos", "7"), "of sds"),
            (FILES[1], Component::Sds, os("ubuntu", "18.04"), "another package manager"),
            (FILES[1], Component::Sds, os("flatcar", "1"), "no package manager"),
            (FILES[9], Component::Sdc, os("centos", "7"), "another package manager"),
            (FILES[6], Component::Gateway, os("flatcar", "1"), "another host"),
        ] {
            let judged = PackageFile::read(name).unwrap().judge(component, &os).unwrap_err();
            assert!(judged.contains(why), "{judged}");
        }
        for (name, why) in [
            ("EMC-ScaleIO-sds-3.6-700.103.el7.i686.rpm", "processor"),
            ("EMC-ScaleIO-sds.x86_64.rpm", "no version"),
            ("mysql-8.0-1.x86_64.rpm", "does not begin"),
            ("EMC-ScaleIO-sds-3.6-700.103.el7.x86_64.zip", ".rpm"),
        ] {
            let told = PackageFile::read(name).unwrap_err();
            assert!(told.contains(why) && told.contains(name), "{told}");
        }
    }
}
