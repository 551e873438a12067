//! Whether a file that must be signed is taken only with the signature of the key's owner. Keys are made by the tests'
//! own gpg, packages by rpmbuild.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use scaleio_framework::enrol::artefacts::Shelf;

use crate::server::{Gives, Server};
use crate::{Site, assert_has, hash, why};

/// Somebody who signs.
struct Signer {
    home: tempfile::TempDir,
    key: PathBuf,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).status();
    }
}

impl Signer {
    fn new(name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = home.path().join("key.asc");
        let signer = Self { home, key };
        run(signer.gpg().args(["--passphrase", "", "--quick-generate-key", name, "rsa2048", "sign", "never"]));
        run(signer.gpg().args(["--armor", "--output"]).arg(&signer.key).arg("--export"));
        signer
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--no-tty", "--quiet", "--homedir"]).arg(self.home.path());
        command
    }

    /// A detached signature.
    fn signs(&self, content: &[u8]) -> Vec<u8> {
        let file = self.home.path().join("file");
        fs::write(&file, content).unwrap();
        run(self.gpg().args(["--yes", "--armor", "--detach-sign"]).arg(&file));
        fs::read(self.home.path().join("file.asc")).unwrap()
    }

    /// A package with a signature in itself.
    fn signs_package(&self, package: &Path) -> Vec<u8> {
        let signed = self.home.path().join("signed.rpm");
        fs::copy(package, &signed).unwrap();
        let mut command = Command::new("rpmsign");
        command.env("GNUPGHOME", self.home.path()).args(["--define", "__gpg /usr/bin/gpg"]);
        command.args(["--define", "_gpg_name signer", "--addsign"]).arg(&signed);
        run(&mut command);
        fs::read(&signed).unwrap()
    }
}

/// A package without a signature.
fn package(folder: &Path) -> PathBuf {
    let spec = folder.join("a.spec");
    let text =
        "Name: a\nVersion: 1\nRelease: 1\nSummary: a\nLicense: none\nBuildArch: noarch\n%description\nA.\n%files\n";
    fs::write(&spec, text).unwrap();
    let top = format!("_topdir {}", folder.display());
    run(Command::new("rpmbuild")
        .args(["--quiet", "-bb", "--define", &top, "--define", "_build_name_fmt a.rpm"])
        .arg(spec));
    folder.join("RPMS/a.rpm")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_must_be_signed_is_taken_only_with_the_signature_of_the_key_s_owner() {
    let (signer, stranger) = (Signer::new("signer"), Signer::new("signer"));
    let server = Server::start(true).await;
    let mut site = Site::new();
    let unsigned = package(site.folder.path());
    let (bundle, plain) = (b"a bundle of files".to_vec(), fs::read(&unsigned).unwrap());
    let (by_us, by_another) = (signer.signs_package(&unsigned), stranger.signs_package(&unsigned));
    let key = format!("key = \"{}\"\n", signer.key.display());
    let detached = format!("{key}signature = \".asc\"\n");
    for (path, content, said) in [
        ("/own.rpm", &by_us, &key),
        ("/another.rpm", &by_another, &key),
        ("/none.rpm", &plain, &key),
        ("/keyless.tgz", &bundle, &key),
        ("/good.tgz", &bundle, &detached),
        ("/foreign.tgz", &bundle, &detached),
        ("/without.tgz", &bundle, &detached),
    ] {
        server.gives(path, Gives::File(content.clone()));
        site.source(&server, path, &hash(content), said);
    }
    server.gives("/good.tgz.asc", Gives::File(signer.signs(&bundle)));
    server.gives("/foreign.tgz.asc", Gives::File(stranger.signs(&bundle)));
    let open = site.open();
    let goods = open.tried().await;
    assert_has(&goods, "own.rpm", &by_us);
    assert_has(&goods, "good.tgz", &bundle);
    for (name, part) in [
        ("another.rpm", "another.rpm carries no signature of the owner of"),
        ("none.rpm", "none.rpm carries no signature of the owner of"),
        ("keyless.tgz", "name a detached one"),
        ("foreign.tgz", "foreign.tgz is not signed by the owner of"),
        ("without.tgz", "its signature at .asc behind the address: it answers 404"),
    ] {
        let told = why(&goods, name);
        assert!(told.contains(part), "{told}");
    }
    // Once it is signed only the signature is missing.
    server.gives("/without.tgz.asc", Gives::File(signer.signs(&bundle)));
    assert_has(&open.tried().await, "without.tgz", &bundle);
    drop(open);

    // What came before is held to the key of today.
    let text = fs::read_to_string(site.file()).unwrap();
    site.text = text.replace(&signer.key.display().to_string(), &stranger.key.display().to_string());
    let goods = site.open().shelf.goods();
    for name in ["own.rpm", "good.tgz", "without.tgz"] {
        assert!(goods.find(name).is_none(), "{name} is signed by somebody else");
    }
}

#[test]
fn files_of_the_folder_are_held_to_a_key_too() {
    let signer = Signer::new("signer");
    let mut site = Site::new();
    let packages = site.folder.path().join("packages");
    fs::create_dir(&packages).unwrap();
    let unsigned = package(site.folder.path());
    fs::write(packages.join("a.rpm"), signer.signs_package(&unsigned)).unwrap();
    fs::write(packages.join("b.tgz"), "b").unwrap();
    fs::write(packages.join("b.tgz.asc"), signer.signs(b"b")).unwrap();
    site.say(&format!("folder = \"packages\"\nkey = \"{}\"\n", signer.key.display()));
    let shelf = Shelf::of(&site.config().artefacts).unwrap();
    let names: Vec<String> = shelf.goods().files().map(|file| file.name.clone()).collect();
    assert_eq!(names, ["a.rpm", "b.tgz"], "a signature is nothing for nodes");
    fs::write(packages.join("b.tgz"), "c").unwrap();
    fs::copy(&unsigned, packages.join("c.rpm")).unwrap();
    let told = Shelf::of(&site.config().artefacts).unwrap_err();
    assert!(told.contains("b.tgz is not signed") && told.contains("c.rpm carries no signature"), "{told}");
}
