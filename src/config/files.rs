//! Which files a configuration names that hold secrets, whether it is right or not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use config::{Map, Value, ValueKind};

use super::problem::ConfigErrors;
use super::source;

/// Keys that name such a file, and keys that hold a secret themselves.
const FILES: [&str; 6] =
    ["password_file", "token_file", "key_file", "link_key_file", "zookeeper_auth_file", "licence_file"];
const SECRETS: [&str; 3] = ["password", "secret", "token"];

/// What of a configuration must not be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Files that hold secrets.
    pub files: BTreeSet<PathBuf>,
    /// Secrets that the file or the environment itself holds.
    pub words: BTreeSet<String>,
}

/// Looks for secrets in a configuration; nothing else of it is judged.
pub fn secrets(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Secrets, ConfigErrors> {
    let said = source::read(path, env).map_err(|problem| ConfigErrors::new(vec![problem]))?;
    let mut found = Secrets::default();
    look(&said.root, said.places.folder(), &mut found);
    Ok(found)
}

fn look(table: &Map<String, Value>, folder: Option<&Path>, found: &mut Secrets) {
    for (key, value) in table {
        match &value.kind {
            ValueKind::Table(inner) => look(inner, folder, found),
            ValueKind::Array(items) => {
                for item in items {
                    if let ValueKind::Table(inner) = &item.kind {
                        look(inner, folder, found);
                    }
                }
            }
            ValueKind::String(text) if FILES.contains(&key.as_str()) => {
                // A variable's path starts where the program was started, as elsewhere.
                let folder = folder.filter(|_| value.origin().is_none());
                found.files.insert(folder.map_or_else(|| PathBuf::from(text), |folder| folder.join(text)));
            }
            ValueKind::String(text) if SECRETS.contains(&key.as_str()) => {
                found.words.insert(text.clone());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_every_section_and_words_where_they_do_not_belong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sio.toml");
        let text = "[mail.login]\npassword_file = \"mail.password\"\n[[more]]\ntoken_file = \"/t\"\n\
                    [systems.a.monitor]\npassword = \"inline\"\nuser = \"me\"\n";
        std::fs::write(&file, text).unwrap();
        let variables = [("SIO__MESOS__LOGIN__PASSWORD", "by variable"), ("SIO__WEBHOOK__TOKEN_FILE", "here")];
        let env = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = secrets(Some(&file), env.into_iter()).unwrap();
        let files = [folder.path().join("mail.password"), "/t".into(), "here".into()];
        assert_eq!(found.files, files.into());
        assert_eq!(found.words, ["inline".to_owned(), "by variable".to_owned()].into());
    }
}
