//! Did the owner of a key sign a file? Asked of `gpg` or `rpmkeys` of this host, which know that one key and no other.
//!
//! What cannot be told counts as no.

use std::path::Path;
use std::process::{Command, Output};

/// Whether a file is signed by the owner of a key: by the signature that lies beside it, else, where it is an rpm, by its
/// own. `name` is how people know it.
///
/// # Errors
/// Why it does not count as signed, with what helps.
pub(super) fn check(file: &Path, name: &str, detached: Option<&Path>, key: &Path) -> Result<(), String> {
    let keys = tempfile::tempdir().map_err(|error| format!("no folder for the key can be made: {error}"))?;
    let shown = key.display();
    match detached {
        Some(signature) => {
            let gpg = |args: &[&std::ffi::OsStr]| {
                let mut command = Command::new("gpg");
                command.args(["--batch", "--no-tty", "--no-autostart", "--status-fd", "1", "--homedir"]);
                command.arg(keys.path()).args(args);
                run(command, "install gnupg on this host")
            };
            let imported = gpg(&["--import".as_ref(), key.as_ref()])?;
            if !imported.status.success() {
                return Err(format!("{shown} holds no public key that gpg takes ({})", last(&imported)));
            }
            let output = gpg(&["--verify".as_ref(), signature.as_ref(), file.as_ref()])?;
            let says = String::from_utf8_lossy(&output.stdout);
            let is_valid = says.lines().any(|line| line.starts_with("[GNUPG:] VALIDSIG "));
            // What is expired or revoked is valid for gpg too, under another word than this.
            let is_good = says.lines().any(|line| line.starts_with("[GNUPG:] GOODSIG "));
            if output.status.success() && is_valid && is_good {
                return Ok(());
            }
            Err(format!("{name} is not signed by the owner of {shown} ({})", last(&output)))
        }
        None if name.ends_with(".rpm") => {
            let rpmkeys = |args: &[&std::ffi::OsStr]| {
                let mut command = Command::new("rpmkeys");
                command.arg("--dbpath").arg(keys.path()).args(args);
                run(command, "install rpm on this host, or name a detached signature")
            };
            let imported = rpmkeys(&["--import".as_ref(), key.as_ref()])?;
            if !imported.status.success() {
                return Err(format!("{shown} holds no public key that rpmkeys takes ({})", last(&imported)));
            }
            let output = rpmkeys(&["--checksig".as_ref(), "--verbose".as_ref(), file.as_ref()])?;
            if output.status.success() && is_signed(&String::from_utf8_lossy(&output.stdout)) {
                return Ok(());
            }
            Err(format!("{name} carries no signature of the owner of {shown} ({})", last(&output)))
        }
        None => Err(format!(
            "{name} has no signature, and {shown} is given: name a detached one (of a source: signature = \".asc\"; in the \
             folder: a file {name}.asc), or leave the key out"
        )),
    }
}

/// What `rpmkeys --checksig --verbose` says: a package without any signature has good digests, which are not enough.
fn is_signed(says: &str) -> bool {
    // The first line is the name of the file.
    let lines: Vec<String> = says.lines().skip(1).map(|line| line.trim().to_ascii_lowercase()).collect();
    let mut signatures = lines.iter().filter(|line| line.contains("signature")).peekable();
    signatures.peek().is_some() && signatures.all(|line| line.ends_with(": ok"))
}

fn run(mut command: Command, mend: &str) -> Result<Output, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
    command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{program}, which checks signatures, is not here: {mend}"),
        _ => format!("{program} cannot be run: {error}"),
    })
}

/// Its last words that are for people.
fn last(output: &Output) -> String {
    let all = [&output.stderr, &output.stdout].map(|text| String::from_utf8_lossy(text).into_owned()).join("\n");
    let lines = all.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("[GNUPG:]"));
    let last: Vec<&str> = lines.collect();
    let last = last.get(last.len().saturating_sub(3)..).unwrap_or_default().join("; ");
    last.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_digests_alone_are_no_signature() {
        let digests = "a.rpm:\n    Header SHA256 digest: OK\n    Payload SHA256 digest: OK\n";
        let good = "a.rpm:\n    Header V4 RSA/SHA256 Signature, key ID f1c60451: OK\n    Header SHA256 digest: OK\n";
        assert!(!is_signed(digests) && is_signed(good));
        for other in ["NOKEY", "BAD (package tag 1002: invalid OpenPGP signature)", "NOTTRUSTED", "NOTFOUND"] {
            assert!(!is_signed(&good.replace("f1c60451: OK", &format!("f1c60451: {other}"))), "{other}");
        }
        assert!(!is_signed("signature: OK"), "a name is no verdict");
    }
}
