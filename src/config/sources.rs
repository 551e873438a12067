//! How `[[artefacts.sources]]` is read: files that are fetched from elsewhere, each known by its SHA-256 beforehand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use super::HttpWay;
use super::load::readable;
use super::receiver;
use super::section::{Complaint, Section, complain};
use crate::model::unit::Bytes;

const DEFAULT_CACHE: &str = "/var/lib/scaleio-framework/artefacts";

/// Twice what the largest package of the product takes, the gateway with all that it installs.
const DEFAULT_LARGEST: Bytes = Bytes::from_gib(4);

/// Files that are fetched, and where they are kept.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folder in which they are kept.
    pub cache: PathBuf,
    /// What is larger is not fetched.
    pub largest: Bytes,
    /// Each by a name of its own.
    pub files: Vec<Source>,
}

impl Default for Sources {
    fn default() -> Self {
        Self { cache: DEFAULT_CACHE.into(), largest: DEFAULT_LARGEST, files: Vec::new() }
    }
}

/// One file that is fetched.
#[derive(Clone, Debug)]
pub struct Source {
    /// Under which it is given to nodes.
    pub name: String,
    /// Where it comes from.
    pub url: Url,
    /// What it must be, in lower-case hexadecimal digits.
    pub sha256: String,
    /// How the server is spoken to; the time is for a silence, since a whole file takes as long as it takes.
    pub way: HttpWay,
    /// Who must have signed it; none: its hash is enough.
    pub signed: Option<Signed>,
}

impl Source {
    /// The address without what may hold a token.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
    }
}

/// Whose signature a file must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The public key.
    pub key: PathBuf,
    /// What is put behind the file's address to get its detached signature; none: an rpm has its own in itself.
    pub detached: Option<Box<str>>,
}

/// Reads what `[artefacts]` says of files at URLs.
pub(super) fn read(section: &mut Section<'_>) -> Sources {
    let default = Sources::default();
    let cache = section.take("cache", |found| found.path()).unwrap_or(default.cache);
    let largest = section.take("largest", super::rollout::size).unwrap_or(default.largest);
    let mut files: BTreeMap<String, Source> = BTreeMap::new();
    let all: Vec<Source> = section.list_of_sections("sources").into_iter().flat_map(source).collect();
    for source in all {
        if let Some(other) = files.insert(source.name.clone(), source) {
            let what = format!("two of them give {}", other.name);
            section.note("sources", complain(what, "leave one of them out, or give one of them another name"));
        }
    }
    Sources { cache, largest, files: files.into_values().collect() }
}

/// The files of a source.
fn source(mut section: Section<'_>) -> Vec<Source> {
    let mend = "write url = \"https://HOST/FILE\", or the address of a folder with a slash at its end";
    let url = section.require("url", mend, |found| receiver::url(found.text()?));
    let is_folder = url.as_ref().is_some_and(|url| url.path().ends_with('/'));
    let list = section.take("checksums", |found| {
        let path = readable(found.path()?)?;
        let text = std::fs::read_to_string(&path)
            .map_err(|error| complain(format!("{} cannot be read: {error}", path.display()), "name a text"))?;
        let listed = sums(&text).map_err(|wrong| {
            complain(format!("{}: {wrong}", path.display()), "make it with `sha256sum *` in the folder of the files")
        })?;
        Ok(listed.into_iter().map(|(name, sum)| (name.to_owned(), sum)).collect::<BTreeMap<String, String>>())
    });
    let sha256 = section.take("sha256", |found| {
        hash(found.text()?).ok_or_else(|| complain("that is no SHA-256", "write the 64 digits of `sha256sum FILE`"))
    });
    let name = section.take("name", |found| plain(found.text()?));
    let signed = signed(&mut section);
    let way = receiver::way(&mut section, url.as_slice(), "url");
    let well = match (&url, is_folder) {
        (None, _) => false,
        (Some(_), true) => {
            if !section.said("checksums") {
                let mend =
                    "write checksums = \"SHA256SUMS\", a file here that lists what shall be fetched of the folder";
                section.note("checksums", complain("nothing says what the files of the folder must be", mend));
            }
            if section.said("sha256") || section.said("name") {
                let key = if section.said("sha256") { "sha256" } else { "name" };
                section.note(key, complain("it is of one file, and url is a folder", "use checksums"));
            }
            list.is_some()
        }
        (Some(_), false) => {
            if section.said("checksums") {
                section.note("checksums", complain("it is of a folder, and url is one file", "use sha256"));
            }
            if !section.said("sha256") {
                let mend = "write sha256 = \"...\", as `sha256sum FILE` says it of the file that the vendor gave you";
                section.note("sha256", complain("nothing says what the file must be", mend));
            }
            sha256.is_some()
        }
    };
    let mut files = Vec::new();
    if let (true, Some(url), Some(way), Ok(signed)) = (well, url, way, signed) {
        if is_folder {
            for (name, sha256) in list.unwrap_or_default() {
                match plain(&name).and_then(|name| Ok((url.join(&name).map_err(|_| not_plain(&name))?, name))) {
                    Ok((url, name)) => {
                        files.push(Source { name, url, sha256, way: way.clone(), signed: signed.clone() });
                    }
                    Err(complaint) => section.note("checksums", complaint),
                }
            }
        } else {
            let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default().to_owned();
            match name.map_or_else(|| plain(&last), Ok) {
                Ok(name) => files.extend(sha256.map(|sha256| Source { name, url, sha256, way, signed })),
                Err(_) if section.said("name") => {}
                Err(complaint) => section.note("url", complaint),
            }
        }
    }
    section.finish();
    files
}

/// Who must have signed; the error: what was said of it was told already.
fn signed(section: &mut Section<'_>) -> Result<Option<Signed>, ()> {
    let key = section.take("key", |found| readable(found.path()?));
    let detached = section.take("signature", |found| match found.text()? {
        text if text.starts_with('.') && text.len() > 1 && !text.contains('/') => Ok(Box::from(text)),
        other => Err(complain(
            format!("{other:?} is nothing that is put behind an address"),
            "write signature = \".asc\"; leave it out for rpm packages, which have theirs in themselves",
        )),
    });
    let said = (section.said("key"), section.said("signature"));
    if said == (false, true) {
        let mend = "write key = \"KEY.asc\", the public key of who signs, or leave signature out";
        section.note("signature", complain("nothing says whose signature it must be", mend));
    }
    match (said, key, detached) {
        ((false, false), _, _) => Ok(None),
        ((true, false), Some(key), _) => Ok(Some(Signed { key, detached: None })),
        ((true, true), Some(key), Some(detached)) => Ok(Some(Signed { key, detached: Some(detached) })),
        _ => Err(()),
    }
}

/// The lines of a list as `sha256sum` writes it: hashes by name. The error names the line.
pub fn sums(list: &str) -> Result<BTreeMap<&str, String>, String> {
    let mut sums = BTreeMap::new();
    for line in list.lines().filter(|line| !line.trim().is_empty()) {
        // A star before the name says that the file was read as binary.
        let pair = line.split_once(char::is_whitespace);
        let read = pair.and_then(|(sum, name)| Some((hash(sum)?, name.trim_start_matches([' ', '*', '\t']))));
        let (sum, name) = read.ok_or_else(|| format!("{line:?} is no line of sha256sum"))?;
        sums.insert(name, sum);
    }
    Ok(sums)
}

fn hash(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    (text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())).then_some(text)
}

fn not_plain(name: &str) -> Complaint {
    complain(
        format!("{name:?} is no plain name of a file"),
        "write name = \"EMC-ScaleIO-sds-3.6-700.103.el7.x86_64.rpm\": letters, digits, dots, - _ + and ~",
    )
}

/// A name that is one in a folder, in an address and on a node.
fn plain(name: &str) -> Result<String, Complaint> {
    let tame = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '~');
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 200 && name.chars().all(tame);
    if is_plain { Ok(name.to_owned()) } else { Err(not_plain(name)) }
}
