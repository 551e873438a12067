//! Files that the controller serves to agents, each known by its SHA-256: those of a folder, and those that come from
//! elsewhere (`stock`).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::signature;
use super::stock::Supply;
use crate::config;
use crate::config::sources::sums;
use crate::model::order::Artefact;

/// What there is to give at a moment.
#[derive(Clone, Debug, Default)]
pub struct Goods {
    files: BTreeMap<String, (Artefact, PathBuf)>,
    coming: BTreeMap<String, Coming>,
}

/// A file that is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// Where it comes from.
    pub url: Box<str>,
    /// How that goes.
    pub standing: Standing,
}

/// How it goes with a file that comes from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its turn comes.
    Waits,
    /// It is being fetched.
    #[allow(missing_docs)]
    Comes { got: u64, of: Option<u64> },
    /// The last try came to nothing; it is tried again.
    #[allow(missing_docs)]
    Failed { why: Box<str>, tries: u32 },
}

impl Coming {
    /// It in one sentence for people.
    pub fn told(&self, name: &str) -> String {
        let Self { url, standing } = self;
        match standing {
            Standing::Waits => format!("{name} is to be fetched from {url}"),
            Standing::Comes { got, of: Some(of) } => {
                format!("{name} is being fetched from {url}, {} % of it is here", got * 100 / (*of).max(1))
            }
            Standing::Comes { got, of: None } => {
                format!("{name} is being fetched from {url}, {} MiB of it are here", got >> 20)
            }
            Standing::Failed { why, tries } => {
                let times = if *tries == 1 { "once".to_owned() } else { format!("{tries} times") };
                format!("{name} cannot be had from {url}: {why} (tried {times}, and tried again)")
            }
        }
    }
}

impl Goods {
    /// All packages.
    pub fn files(&self) -> impl Iterator<Item = &Artefact> {
        self.files.values().map(|(artefact, _)| artefact)
    }

    /// One of them, and where it is. Only a name that was found is one: no path leads out.
    pub fn find(&self, name: &str) -> Option<(&Artefact, &Path)> {
        self.files.get(name).map(|(artefact, path)| (artefact, path.as_path()))
    }

    /// Those that lie in a folder.
    pub fn below(&self, folder: &Path) -> Self {
        let mut below = Self { files: self.files.clone(), coming: BTreeMap::new() };
        below.files.retain(|_, (_, path)| path.parent() == Some(folder));
        below
    }

    /// What is not there yet, by name.
    pub fn coming(&self) -> &BTreeMap<String, Coming> {
        &self.coming
    }

    /// Those that are awaited: they come, or nothing is known against it.
    pub fn awaited(&self) -> impl Iterator<Item = (&str, &Coming)> {
        let well = self.coming.iter().filter(|(_, coming)| !matches!(coming.standing, Standing::Failed { .. }));
        well.map(|(name, coming)| (name.as_str(), coming))
    }

    /// A file came.
    pub(super) fn take(&mut self, artefact: Artefact, path: PathBuf) {
        self.coming.remove(&artefact.name);
        self.files.insert(artefact.name.clone(), (artefact, path));
    }

    /// A file is not here.
    pub(super) fn lack(&mut self, name: &str, url: &str, standing: Standing) {
        self.files.remove(name);
        self.coming.insert(name.to_owned(), Coming { url: url.into(), standing });
    }
}

/// What the controller gives out.
#[derive(Clone, Debug)]
pub struct Shelf {
    goods: watch::Receiver<Arc<Goods>>,
    /// Who brings what comes from elsewhere; none: nothing does.
    supply: Option<Supply>,
    /// The program for agents, which lies elsewhere and is no package.
    program: Option<(Artefact, PathBuf)>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self::fixed(Goods::default())
    }
}

impl Shelf {
    /// The packages that lie in the folder of the configuration, held to its list and its key. The error names the file.
    pub fn of(settings: &config::Artefacts) -> Result<Self, String> {
        let unread = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| format!("cannot read {path}: {error}")
        };
        let mut shelf = match &settings.folder {
            Some(folder) => Self::scan(folder).map_err(unread(folder))?,
            None => Self::default(),
        };
        if let Some(list) = &settings.checksums {
            let text = fs::read_to_string(list).map_err(unread(list))?;
            shelf = shelf.held_to(&text).map_err(|wrong| format!("{}: {wrong}", list.display()))?;
        }
        match &settings.key {
            Some(key) => shelf.signed_by(key),
            None => Ok(shelf),
        }
    }

    /// Reads all files of a folder. Hidden ones, folders and links out of it are none.
    pub fn scan(folder: &Path) -> io::Result<Self> {
        let mut goods = Goods::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || !entry.file_type()?.is_file() {
                continue;
            }
            let path = folder.join(&name);
            let (sha256, size) = hash(&path)?;
            goods.take(Artefact { name, sha256, size, url: None }, path);
        }
        Ok(Self::fixed(goods))
    }

    fn fixed(goods: Goods) -> Self {
        Self { goods: watch::channel(Arc::new(goods)).1, supply: None, program: None }
    }

    /// The same, held to a list as `sha256sum` writes it. The error names every
    /// file that is not in it or is another one, and every line without a file.
    pub fn held_to(self, list: &str) -> Result<Self, String> {
        let mut wanted = sums(list)?;
        let mut wrong = Vec::new();
        let mut goods = Goods::clone(&self.goods());
        for artefact in goods.files() {
            match wanted.remove(artefact.name.as_str()) {
                Some(sum) if sum == artefact.sha256 => {}
                Some(sum) => wrong.push(format!("{} has {}, and the list says {sum}", artefact.name, artefact.sha256)),
                // The list itself may lie beside the files.
                None if list_of(&artefact.name) => {}
                None => wrong.push(format!("{} is not in the list", artefact.name)),
            }
        }
        wrong.extend(wanted.into_keys().map(|name| format!("{name} is in the list and is no file of the folder")));
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        goods.files.retain(|name, _| !list_of(name));
        Ok(Self { program: self.program, ..Self::fixed(goods) })
    }

    /// The same without the signatures that lie beside files, once each file was found signed by this key. The error
    /// names every one that is not.
    fn signed_by(self, key: &Path) -> Result<Self, String> {
        let mut goods = Goods::clone(&self.goods());
        let is_signature = |name: &str| DETACHED.iter().any(|end| name.ends_with(end));
        let mut wrong = Vec::new();
        for (name, (_, path)) in goods.files.iter().filter(|(name, _)| !is_signature(name) && !list_of(name)) {
            let beside = DETACHED.iter().find_map(|end| goods.find(&format!("{name}{end}")));
            if let Err(why) = signature::check(path, name, beside.map(|(_, path)| path), key) {
                wrong.push(why);
            }
        }
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        goods.files.retain(|name, _| !is_signature(name));
        Ok(Self { program: self.program, ..Self::fixed(goods) })
    }

    /// The same, which also gives out what comes from elsewhere.
    pub(super) fn supplied(self, goods: watch::Receiver<Arc<Goods>>, supply: Supply) -> Self {
        Self { goods, supply: Some(supply), ..self }
    }

    /// The same, which also gives out the program for agents.
    #[must_use]
    pub fn with_program(self, program: Artefact, path: PathBuf) -> Self {
        Self { program: Some((program, path)), ..self }
    }

    /// The program for agents.
    pub fn program(&self) -> Option<&Artefact> {
        self.program.as_ref().map(|(program, _)| program)
    }

    /// What there is to give now.
    pub fn goods(&self) -> Arc<Goods> {
        Arc::clone(&self.goods.borrow())
    }

    /// Who brings what comes from elsewhere; none: nothing does.
    pub fn supply(&self) -> Option<&Supply> {
        self.supply.as_ref()
    }

    /// A package or the program, and where it is.
    pub fn find(&self, name: &str) -> Option<(Artefact, PathBuf)> {
        if let Some(program) = self.program.as_ref().filter(|(program, _)| program.name == name) {
            return Some(program.clone());
        }
        self.goods().find(name).map(|(artefact, path)| (artefact.clone(), path.to_owned()))
    }
}

/// How the name of a detached signature goes on behind that of its file.
const DETACHED: [&str; 2] = [".asc", ".sig"];

fn list_of(name: &str) -> bool {
    name.to_ascii_uppercase().starts_with("SHA256SUM")
}

/// The SHA-256 of a file, in lower-case hexadecimal digits, and its size.
///
/// # Errors
/// It cannot be read.
pub fn hash(path: &Path) -> io::Result<(String, u64)> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            some => {
                hash.update(piece.get(..some).unwrap_or_default());
                size += some as u64;
            }
        }
    }
    Ok((hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(shelf: &Shelf) -> Vec<String> {
        shelf.goods().files().map(|file| file.name.clone()).collect()
    }

    #[test]
    fn files_are_held_to_a_list_and_each_difference_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.rpm", "b.rpm", "SHA256SUMS"] {
            fs::write(folder.path().join(name), "hello").unwrap();
        }
        let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let shelf = || Shelf::scan(folder.path()).unwrap();
        let good = shelf().held_to(&format!("{sum}  a.rpm\n{} *b.rpm\n", sum.to_uppercase())).unwrap();
        assert_eq!(names(&good), ["a.rpm", "b.rpm"]);
        let told = shelf().held_to(&format!("{}  a.rpm\n{sum}  c.rpm\n", sum.replace('2', "3"))).unwrap_err();
        for part in ["a.rpm has 2cf", "b.rpm is not in the list", "c.rpm is in the list and is no file"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(shelf().held_to("nonsense").is_err());
    }

    #[test]
    fn only_plain_files_of_the_folder_are_served() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.rpm"), "hello").unwrap();
        fs::write(folder.path().join(".a.part"), "half").unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        std::os::unix::fs::symlink("/etc/shadow", folder.path().join("b.rpm")).unwrap();
        let shelf = Shelf::scan(folder.path()).unwrap();
        assert_eq!(names(&shelf), ["a.rpm"]);
        let (artefact, path) = shelf.find("a.rpm").unwrap();
        assert_eq!(artefact.size, 5);
        assert_eq!(artefact.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(path, folder.path().join("a.rpm"));
        for name in ["../etc/passwd", "b.rpm", ".a.part", "more", ""] {
            assert!(shelf.find(name).is_none(), "{name}");
        }
    }
}
