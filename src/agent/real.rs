//! The node that the agent runs on.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::hex;
use super::hooks::Owned;
use super::host::{Alone, Call, Held, Host, HostError, Output, Program, remove_durably, run_here, write_durably};
use crate::model::order::Artefact;

/// Between two looks whether a lock is free.
const LOOK: Duration = Duration::from_millis(50);

/// Brings the bytes of an artefact into a file. The error is for people.
pub type Fetch = Box<dyn FnMut(&Artefact, &Path) -> Result<(), String> + Send>;

/// This machine.
pub struct RealHost {
    state: PathBuf,
    fetch: Fetch,
    /// What runs stays the same file.
    program: Option<Program>,
}

impl RealHost {
    /// This machine, with a folder for what must survive and a way to get files.
    pub fn new(state: &Path, fetch: Fetch) -> io::Result<Self> {
        for folder in [state.to_owned(), state.join("staged"), state.join("half")] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        Ok(Self { state: state.to_owned(), fetch, program: None })
    }

    /// This machine, for files of the agent's own; it fetches nothing.
    pub fn alone(state: &Path) -> io::Result<Self> {
        Self::new(state, Box::new(|_, _| Err("nothing is fetched here".to_owned())))
    }

    fn place(&self, artefact: &Artefact) -> Result<PathBuf, HostError> {
        let is_plain = !artefact.name.is_empty() && !artefact.name.starts_with('.') && !artefact.name.contains('/');
        if is_plain {
            Ok(self.state.join("staged").join(&artefact.name))
        } else {
            Err(HostError::Fetch(format!("{:?} is no plain name of a file", artefact.name)))
        }
    }
}

fn fail<'a>(operation: &'static str, path: &'a str) -> impl FnOnce(io::Error) -> HostError + 'a {
    move |source| HostError::Io { operation, path: path.to_owned(), source }
}

impl Host for RealHost {
    fn run(&mut self, call: &Call) -> Result<Output, HostError> {
        run_here(call)
    }

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, HostError> {
        match fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(fail("read", path)(error)),
        }
    }

    fn write(&mut self, path: &str, content: &[u8], mode: u32) -> Result<(), HostError> {
        let before = fs::metadata(path).ok();
        let mode = before.as_ref().map_or(mode, |file| file.mode() & 0o7777);
        write_durably(Path::new(path), content, mode).map_err(fail("write", path))?;
        // A service that runs as its own user must read it still.
        match before.filter(|file| file.uid() != 0 || file.gid() != 0) {
            Some(file) => {
                std::os::unix::fs::chown(path, Some(file.uid()), Some(file.gid())).map_err(fail("give back", path))
            }
            None => Ok(()),
        }
    }

    fn write_secret(&mut self, path: &str, content: &[u8]) -> Result<(), HostError> {
        write_durably(Path::new(path), content, 0o600).map_err(fail("write", path))
    }

    fn is_secret(&mut self, path: &str) -> Result<bool, HostError> {
        let file = fs::metadata(path).map_err(fail("look at", path))?;
        Ok(file.uid() == 0 && file.mode() & 0o077 == 0)
    }

    fn remove(&mut self, path: &str) -> Result<(), HostError> {
        remove_durably(Path::new(path)).map_err(fail("remove", path))
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, HostError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail("list", folder)(error)),
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names: Vec<String> = names.collect::<io::Result<_>>().map_err(fail("list", folder))?;
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&mut self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn leads_to(&mut self, path: &str) -> Option<String> {
        fs::canonicalize(path).ok().map(|path| path.to_string_lossy().into_owned())
    }

    fn owned(&mut self, path: &str) -> Result<Option<Owned>, HostError> {
        let file = match fs::metadata(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail("look at", path)(error)),
        };
        let real = fs::canonicalize(path).map_err(fail("look at", path))?;
        let folder = fs::metadata(real.parent().unwrap_or(&real)).map_err(fail("look at the folder of", path))?;
        let by_root_alone = [&file, &folder].iter().all(|one| one.uid() == 0 && one.mode() & 0o022 == 0);
        Ok(Some(Owned { by_root_alone, is_program: file.is_file() && file.mode() & 0o100 != 0 }))
    }

    fn open_alone(&mut self, device: &str) -> Result<Alone, HostError> {
        // Without O_CREAT this is a block device's own lock: mounts, journals and volume managers hold it.
        let exclusive = rustix::fs::OFlags::EXCL.bits().cast_signed();
        match fs::OpenOptions::new().read(true).custom_flags(exclusive).open(device) {
            Ok(mut file) => Ok(Alone::Free { is_blank: is_blank(&mut file).map_err(fail("read", device))? }),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(Alone::Held),
            Err(error) => Err(fail("open", device)(error)),
        }
    }

    fn stage(&mut self, artefact: &Artefact) -> Result<String, HostError> {
        if let Some(path) = self.staged(artefact)? {
            return Ok(path);
        }
        let path = self.place(artefact)?;
        let shown = path.display().to_string();
        let beside = path.with_file_name(format!(".{}.part", artefact.name));
        (self.fetch)(artefact, &beside).map_err(HostError::Fetch)?;
        let found = sha256(&beside).map_err(fail("read", &shown))?;
        if found != artefact.sha256 {
            let _ = fs::remove_file(&beside);
            return Err(HostError::Fetch(format!(
                "{} was fetched and has the SHA-256 {found}, but the order says {}; it was thrown away",
                artefact.name, artefact.sha256
            )));
        }
        let keep = || {
            fs::File::open(&beside)?.sync_all()?;
            fs::rename(&beside, &path)
        };
        keep().map_err(fail("keep", &shown))?;
        Ok(shown)
    }

    fn staged(&mut self, artefact: &Artefact) -> Result<Option<String>, HostError> {
        let path = self.place(artefact)?;
        let shown = path.display().to_string();
        match sha256(&path) {
            Ok(found) if found == artefact.sha256 => Ok(Some(shown)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail("read", &shown)(error)),
        }
    }

    fn state_folder(&self) -> String {
        self.state.display().to_string()
    }

    fn hold(&mut self, path: &str, within: Duration) -> Result<Held, HostError> {
        let file =
            fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(fail("open", path))?;
        let deadline = Instant::now() + within;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Held::by(file)),
                Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOOK),
                Err(fs::TryLockError::WouldBlock) => {
                    return Err(fail("lock", path)(io::Error::other("another program holds it")));
                }
                Err(fs::TryLockError::Error(error)) => return Err(fail("lock", path)(error)),
            }
        }
    }

    fn program(&mut self) -> Result<Option<Program>, HostError> {
        const OWN: &str = "/proc/self/exe";
        if self.program.is_some() {
            return Ok(self.program.clone());
        }
        let path = fs::read_link(OWN).map_err(fail("read", OWN))?.display().to_string();
        // When another file has taken its place, the kernel says so behind the name.
        let path = path.trim_end_matches(" (deleted)").to_owned();
        const SAID: &str = "/proc/self/cmdline";
        let said = fs::read(SAID).map_err(fail("read", SAID))?;
        let words = said.strip_suffix(b"\0").unwrap_or(&said).split(|byte| *byte == 0);
        let args = words.skip(1).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        self.program = Some(Program { path, sha256: sha256(Path::new(OWN)).map_err(fail("read", OWN))?, args });
        Ok(self.program.clone())
    }

    fn restart(&mut self, program: &Program) -> HostError {
        let source = Command::new(&program.path).args(&program.args).exec();
        HostError::Io { operation: "start", path: program.path.clone(), source }
    }

    fn boot_id(&mut self) -> String {
        fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
    }
}

/// Tables, labels and journals are at the ends of a disk.
const EDGE: u64 = 1 << 20;

/// Whether there are only zeros at both ends.
fn is_blank(file: &mut fs::File) -> io::Result<bool> {
    let size = file.seek(SeekFrom::End(0))?;
    for from in [0, size.saturating_sub(EDGE)] {
        file.seek(SeekFrom::Start(from))?;
        let mut edge = Vec::new();
        Read::by_ref(file).take(EDGE).read_to_end(&mut edge)?;
        if edge.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(size > 0)
}

/// The SHA-256 of a file.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hash.finalize())),
            some => hash.update(piece.get(..some).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(content: &'static [u8]) -> (tempfile::TempDir, RealHost) {
        let folder = tempfile::tempdir().unwrap();
        let fetch = Box::new(move |_: &Artefact, to: &Path| fs::write(to, content).map_err(|error| error.to_string()));
        let host = RealHost::new(folder.path(), fetch).unwrap();
        (folder, host)
    }

    fn artefact(name: &str, content: &[u8]) -> Artefact {
        let size = content.len() as u64;
        Artefact { name: name.to_owned(), sha256: hex(&Sha256::digest(content)), size, url: None }
    }

    #[test]
    fn a_file_with_another_hash_is_thrown_away_and_named() {
        let (folder, mut host) = host(b"altered");
        let wanted = artefact("a.rpm", b"right");
        let error = host.stage(&wanted).unwrap_err().to_string();
        assert!(error.contains("a.rpm") && error.contains(&wanted.sha256), "{error}");
        assert_eq!(fs::read_dir(folder.path().join("staged")).unwrap().count(), 0);
        assert_eq!(host.staged(&wanted).unwrap(), None);
    }

    #[test]
    fn a_file_is_used_only_while_its_bytes_are_right() {
        let (_folder, mut host) = host(b"right");
        let wanted = artefact("a.rpm", b"right");
        let path = host.stage(&wanted).unwrap();
        assert_eq!(host.staged(&wanted).unwrap().as_deref(), Some(path.as_str()));
        fs::write(&path, b"rigHt").unwrap();
        assert_eq!(host.staged(&wanted).unwrap(), None);
        assert_eq!(fs::read(host.stage(&wanted).unwrap()).unwrap(), b"right", "it is fetched again");
        for name in ["../a", "", ".a", "a/b"] {
            assert!(host.stage(&artefact(name, b"right")).is_err(), "{name}");
        }
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("(sleep 2; touch {}) & sleep 60", mark.display());
        let call = Call { within: Duration::from_millis(200), ..Call::new("sh", ["-c", &script]) };
        let begun = Instant::now();
        assert!(matches!(run_here(&call), Err(HostError::TooSlow { .. })));
        assert!(begun.elapsed() < Duration::from_secs(2));
        // Its child would make the mark at two seconds; at three it is too late.
        while begun.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(!mark.exists());
    }

    #[test]
    fn a_service_that_keeps_the_output_open_does_not_hold_up_the_agent() {
        let call = Call::new("sh", ["-c", "echo started; sleep 5 & exit 3"]);
        let begun = Instant::now();
        let output = run_here(&call).unwrap();
        assert_eq!((output.status, output.stdout.as_str()), (Some(3), "started\n"));
        assert!(begun.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        assert_eq!(
            run_here(&Call::new("no-such-tool", [])).unwrap_err().to_string(),
            "no-such-tool is not on this node"
        );
    }
}
