//! Files that the controller serves to agents, each known by its SHA-256.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config;
use crate::model::order::Artefact;

/// The files of a folder.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    folder: PathBuf,
    files: BTreeMap<String, Artefact>,
    /// The program for agents, which lies elsewhere and is no package.
    program: Option<(Artefact, PathBuf)>,
}

impl Shelf {
    /// The packages that the configuration names, held to its list. The error names the file.
    pub fn of(settings: &config::Artefacts) -> Result<Self, String> {
        let unread = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| format!("cannot read {path}: {error}")
        };
        let shelf = match &settings.folder {
            Some(folder) => Self::scan(folder).map_err(unread(folder))?,
            None => Self::default(),
        };
        let Some(list) = &settings.checksums else { return Ok(shelf) };
        let text = fs::read_to_string(list).map_err(unread(list))?;
        shelf.held_to(&text).map_err(|wrong| format!("{}: {wrong}", list.display()))
    }

    /// Reads all files of a folder. Hidden ones, folders and links out of it are none.
    pub fn scan(folder: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || !entry.file_type()?.is_file() {
                continue;
            }
            let (sha256, size) = hash(&entry.path())?;
            files.insert(name.clone(), Artefact { name, sha256, size, url: None });
        }
        Ok(Self { folder: folder.to_owned(), files, program: None })
    }

    /// The same, held to a list as `sha256sum` writes it. The error names every
    /// file that is not in it or is another one, and every line without a file.
    pub fn held_to(self, list: &str) -> Result<Self, String> {
        let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
        for line in list.lines().filter(|line| !line.trim().is_empty()) {
            // A star before the name says that the file was read as binary.
            let pair = line.split_once(char::is_whitespace);
            let Some((sum, name)) = pair.map(|(sum, name)| (sum, name.trim_start_matches([' ', '*', '\t']))) else {
                return Err(format!("{line:?} is no line of sha256sum"));
            };
            wanted.insert(name, sum);
        }
        let mut wrong = Vec::new();
        for artefact in self.files() {
            match wanted.remove(artefact.name.as_str()) {
                Some(sum) if sum.eq_ignore_ascii_case(&artefact.sha256) => {}
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
        let files = self.files.into_iter().filter(|(name, _)| !list_of(name)).collect();
        Ok(Self { files, ..self })
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

    /// All packages.
    pub fn files(&self) -> impl Iterator<Item = &Artefact> {
        self.files.values()
    }

    /// One of them, and where it is. Only a name that was found is one: no path leads out.
    pub fn find(&self, name: &str) -> Option<(&Artefact, PathBuf)> {
        if let Some((program, path)) = self.program.as_ref().filter(|(program, _)| program.name == name) {
            return Some((program, path.clone()));
        }
        self.files.get(name).map(|artefact| (artefact, self.folder.join(&artefact.name)))
    }
}

fn list_of(name: &str) -> bool {
    name.to_ascii_uppercase().starts_with("SHA256SUM")
}

fn hash(path: &Path) -> io::Result<(String, u64)> {
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

    #[test]
    fn files_are_held_to_a_list_and_each_difference_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.rpm", "b.rpm", "SHA256SUMS"] {
            fs::write(folder.path().join(name), "hello").unwrap();
        }
        let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let shelf = || Shelf::scan(folder.path()).unwrap();
        let good = shelf().held_to(&format!("{sum}  a.rpm\n{} *b.rpm\n", sum.to_uppercase())).unwrap();
        assert_eq!(good.files().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["a.rpm", "b.rpm"]);
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
        assert_eq!(shelf.files().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["a.rpm"]);
        let (artefact, path) = shelf.find("a.rpm").unwrap();
        assert_eq!(artefact.size, 5);
        assert_eq!(artefact.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(path, folder.path().join("a.rpm"));
        for name in ["../etc/passwd", "b.rpm", ".a.part", "more", ""] {
            assert!(shelf.find(name).is_none(), "{name}");
        }
    }
}
