//! Files that the controller serves to agents, each known by its SHA-256.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::order::Artefact;

/// The files of a folder.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    folder: PathBuf,
    files: BTreeMap<String, Artefact>,
}

impl Shelf {
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
        Ok(Self { folder: folder.to_owned(), files })
    }

    /// All of them.
    pub fn files(&self) -> impl Iterator<Item = &Artefact> {
        self.files.values()
    }

    /// One of them, and where it is. Only a name that was found is one: no path leads out.
    pub fn find(&self, name: &str) -> Option<(&Artefact, PathBuf)> {
        self.files.get(name).map(|artefact| (artefact, self.folder.join(&artefact.name)))
    }
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
