//! `sio init`: a first configuration, asked from a person or given as flags,
//! tried out before it is written.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::certificate::{self, Served};
use super::dialog::Dialog;
use crate::config::{self, GatewayUrl, Login, Secret, System, Trust};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// What to call the system, in every metric and mail
    #[arg(long)]
    name: Option<String>,
    /// The address of a gateway, such as `https://gateway.example.com`; may be given several times
    #[arg(long, value_name = "URL")]
    gateway: Vec<String>,
    /// The user for monitoring; the role Monitor is enough
    #[arg(long)]
    user: Option<String>,
    /// A file, closed to others, that holds only the password; it is used where it is
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Trust the certificate with this SHA-256
    #[arg(long, value_name = "SHA256", group = "trust")]
    pin: Option<String>,
    /// Trust certificates of the authorities in this PEM file
    #[arg(long, value_name = "FILE", group = "trust")]
    ca_file: Option<PathBuf>,
    /// Trust anybody; whoever is in between reads the password
    #[arg(long, group = "trust")]
    insecure: bool,
    /// The file to write [default: --config, else /etc/scaleio-framework/sio.toml]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the file
    #[arg(long)]
    force: bool,
}

/// Asks for what is not given, tries it out, and writes it.
pub(super) async fn init<P>(
    arguments: Arguments,
    configured: Option<PathBuf>,
    mut dialog: Dialog<'_>,
    probe: P,
) -> anyhow::Result<()>
where
    P: AsyncFn(&System) -> Result<String, String>,
{
    let output = arguments.output.clone().or(configured).unwrap_or_else(|| config::DEFAULT_FILE.into());
    let output = std::path::absolute(&output).with_context(|| format!("cannot use {}", output.display()))?;
    // Said before a person answers five questions for nothing.
    if output.exists() && !arguments.force {
        bail!("{} is there already; add --force to overwrite it, or name another with --output", output.display());
    }
    if !dialog.is_interactive() {
        complete(&arguments)?;
    }
    let name = match arguments.name {
        Some(name) => config::parse_name(&name).map(|()| name).map_err(anyhow::Error::msg)?,
        None => {
            dialog.ask("Name of the system", Some("prod"), |name| config::parse_name(name).map(|()| name.to_owned()))?
        }
    };
    let gateways = match arguments.gateway.as_slice() {
        [] => dialog.ask("Addresses of its gateways, separated by spaces", None, |line| {
            parse_gateways(line.split([' ', ',']).filter(|part| !part.is_empty()))
        })?,
        given => parse_gateways(given.iter().map(String::as_str)).map_err(anyhow::Error::msg)?,
    };
    let trust = match (arguments.pin, arguments.ca_file, arguments.insecure) {
        (Some(pin), _, _) => {
            Trust::Pin(config::parse_pin(&pin).context("--pin takes the 64 hexadecimal digits of a SHA-256")?)
        }
        (_, Some(file), _) => Trust::CaFile(std::path::absolute(file)?),
        (_, _, true) => Trust::Insecure,
        (None, None, false) => settle_trust(&gateways, &mut dialog).await?,
    };
    let user = match arguments.user {
        Some(user) => user,
        None => dialog.ask("User for monitoring", Some("admin"), |user| Ok(user.to_owned()))?,
    };
    let (password, password_file, is_new) = match arguments.password_file {
        Some(file) => {
            let file = std::path::absolute(file)?;
            let password = config::read_password(&file).map_err(|(what, mend)| anyhow::anyhow!("{what}; {mend}"))?;
            (password, file, false)
        }
        None => {
            let password = dialog.secret(&format!("Password of {user}"))?;
            if password.is_empty() {
                bail!("the password is empty");
            }
            (Secret::new(&password), output.with_file_name(format!("{name}.password")), true)
        }
    };
    if is_new && password_file.exists() && !arguments.force {
        bail!("{} is there already; add --force to overwrite it", password_file.display());
    }
    let system = System::new(gateways, Login { user, password }, trust);
    dialog.say("Trying to log in ...")?;
    match probe(&system).await {
        Ok(found) => dialog.say(&format!("It answers: {found}"))?,
        Err(why) => bail!("the login failed, so nothing was written: {why}"),
    }
    let text = render(&name, &system, &password_file);
    let folder = output.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    if is_new {
        write(&password_file, &format!("{}\n", system.monitor.password.reveal()), arguments.force)?;
        dialog.say(&format!("Wrote {} (mode 0600)", password_file.display()))?;
    }
    write(&output, &text, arguments.force)?;
    dialog.say(&format!("Wrote {}. Next: sio check --config {0} && sio run --config {0}", output.display()))?;
    Ok(())
}

/// Refuses a script that left something out, all of it at once.
fn complete(arguments: &Arguments) -> anyhow::Result<()> {
    let missing: Vec<&str> = [
        ("--name", arguments.name.is_none()),
        ("--gateway", arguments.gateway.is_empty()),
        ("--user", arguments.user.is_none()),
        ("--password-file", arguments.password_file.is_none()),
    ]
    .into_iter()
    .filter_map(|(flag, missing)| missing.then_some(flag))
    .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        bail!("nobody is at the terminal to be asked; give {}", missing.join(", "))
    }
}

fn parse_gateways<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<GatewayUrl>, String> {
    let parse = |text| config::parse_gateway(text).map_err(|(what, mend)| format!("{what}; {mend}"));
    let gateways = texts.map(parse).collect::<Result<Vec<_>, _>>()?;
    if gateways.is_empty() {
        Err("give at least one address, such as https://gateway.example.com".to_owned())
    } else {
        Ok(gateways)
    }
}

/// Looks at what the gateways serve: the operating system vouches for it, or a
/// person does, or it is not trusted.
async fn settle_trust(gateways: &[GatewayUrl], dialog: &mut Dialog<'_>) -> anyhow::Result<Trust> {
    let mut unknown: Option<(&GatewayUrl, Served)> = None;
    for gateway in gateways.iter().filter(|gateway| gateway.as_str().starts_with("https:")) {
        let served = certificate::fetch(gateway).await?;
        let Some(refused) = &served.refused else { continue };
        dialog.say(&format!(
            "{gateway} serves a certificate that this host does not know ({refused}):\n  subject  {}\n  issuer   {}\n  valid to {}\n  SHA-256  {}",
            served.subject,
            served.issuer,
            served.until,
            certificate::hex(&served.sha256)
        ))?;
        match &unknown {
            Some((other, first)) if first.sha256 != served.sha256 => bail!(
                "{other} and {gateway} serve different certificates, and a pin fits one; save the authority that signed \
                 both and give it with --ca-file"
            ),
            Some(_) => {}
            None => unknown = Some((gateway, served)),
        }
    }
    let Some((gateway, served)) = unknown else { return Ok(Trust::SystemRoots) };
    let pin = certificate::hex(&served.sha256);
    if !dialog.is_interactive() {
        bail!(
            "{gateway} is not trusted; compare the SHA-256 above with the gateway's own, then give --pin {pin}, or --ca-file"
        );
    }
    dialog.say("Compare the SHA-256 with the one that the gateway itself shows.")?;
    if dialog.confirm("Trust exactly this certificate?")? {
        Ok(Trust::Pin(served.sha256))
    } else {
        bail!("{gateway} is not trusted, so nothing was written; give --ca-file with the authority that signed it")
    }
}

/// The file, with what differs from the defaults only.
fn render(name: &str, system: &System, password_file: &Path) -> String {
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let gateways: Vec<String> = system.gateways.iter().map(|gateway| quote(gateway.as_str())).collect();
    let trust = match &system.trust {
        Trust::SystemRoots => String::new(),
        Trust::CaFile(file) => format!("ca_file = {}\n", quote(&file.to_string_lossy())),
        Trust::Pin(pin) => format!("pin = {}\n", quote(&certificate::hex(pin))),
        Trust::Insecure => "insecure = true\n".to_owned(),
    };
    format!(
        "# Written by `sio init`. Every key and its default: config/example.toml of the source.\n\n\
         [systems.{name}]\ngateways = [{}]\n{trust}\n\
         [systems.{name}.monitor]\nuser = {}\npassword_file = {}\n",
        gateways.join(", "),
        quote(&system.monitor.user),
        quote(&password_file.to_string_lossy()),
    )
}

/// Writes a file of mode 0600 whole or not at all.
fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let fail = || format!("cannot write {}", path.display());
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).with_context(fail)?;
    if force { file.persist(path) } else { file.persist_noclobber(path) }
        .map(|_| ())
        .map_err(|error| error.error)
        .with_context(fail)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::*;

    struct Outcome {
        said: String,
        result: anyhow::Result<()>,
    }

    fn try_init(arguments: Arguments, answers: Option<&str>, login: &Result<String, String>) -> Outcome {
        let mut input = answers.unwrap_or_default().as_bytes();
        let mut said = Vec::new();
        let mut secret = |_: &str| Ok("pass\"word".to_owned());
        let dialog = Dialog::new(&mut input, &mut said, answers.is_some(), &mut secret);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(init(arguments, None, dialog, async |_: &System| login.clone()));
        Outcome { said: String::from_utf8(said).unwrap(), result }
    }

    fn welcome() -> Result<String, String> {
        Ok("R3_6.0 (3.5)".to_owned())
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("etc/sio.toml");
        (folder, output)
    }

    fn load(path: &Path) -> System {
        config::Config::load(Some(path), std::iter::empty()).unwrap().systems.into_values().next().unwrap()
    }

    /// A gateway that only shows a certificate of its own; tells its address and SHA-256.
    async fn gateway() -> (String, [u8; 32]) {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let der = key.cert.der().clone();
        let sha256 = <sha2::Sha256 as sha2::Digest>::digest(&der).into();
        let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![der], secret)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                assert!(acceptor.accept(stream).await.is_err(), "the client must refuse before it says anything");
            }
        });
        (format!("https://localhost:{port}"), sha256)
    }

    /// A runtime that serves while another one asks.
    fn served() -> (tokio::runtime::Runtime, String, [u8; 32]) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (url, sha256) = runtime.block_on(gateway());
        (runtime, url, sha256)
    }

    #[test]
    fn a_person_answers_sees_the_certificate_and_pins_it() {
        let (_folder, output) = folder();
        let (_runtime, url, sha256) = served();
        let arguments = Arguments { output: Some(output.clone()), ..Arguments::default() };
        let answers = format!("My System\nwest\nhttp://far\n{url}\nyes\nwatch\"er\n");
        let outcome = try_init(arguments, Some(&answers), &welcome());
        outcome.result.unwrap();
        for part in [
            "\"My System\" is no name",
            "in the clear",
            &certificate::hex(&sha256),
            "subject  CN=",
            "It answers: R3_6.0",
        ] {
            assert!(outcome.said.contains(part), "{part}: {}", outcome.said);
        }
        assert!(!outcome.said.contains("pass\"word"), "{}", outcome.said);
        let system = load(&output);
        assert_eq!(system.trust, Trust::Pin(sha256));
        assert_eq!((system.monitor.user.as_str(), system.monitor.password.reveal()), ("watch\"er", "pass\"word"));
        assert_eq!(system.gateways[0].as_str(), url);
        for file in [output.clone(), output.with_file_name("west.password")] {
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
        let text = std::fs::read_to_string(&output).unwrap();
        assert!(!text.contains("pass\"word") && !text.contains("pass\\\"word"), "{text}");
    }

    #[test]
    fn a_person_who_does_not_trust_the_certificate_gets_no_file() {
        let (_folder, output) = folder();
        let (_runtime, url, _) = served();
        let arguments = Arguments { output: Some(output.clone()), ..Arguments::default() };
        let outcome = try_init(arguments, Some(&format!("\n{url}\n\n")), &welcome());
        assert!(outcome.result.unwrap_err().to_string().contains("is not trusted, so nothing was written"));
        assert!(!output.exists());
    }

    fn script(folder: &Path, output: &Path, url: &str) -> Arguments {
        let password = folder.join("password");
        write(&password, "secret\n", true).unwrap();
        Arguments {
            name: Some("prod".to_owned()),
            gateway: vec![url.to_owned()],
            user: Some("watcher".to_owned()),
            password_file: Some(password),
            output: Some(output.to_owned()),
            ..Arguments::default()
        }
    }

    #[test]
    fn a_script_is_told_the_pin_and_then_gives_it() {
        let (folder, output) = folder();
        let (_runtime, url, sha256) = served();
        let outcome = try_init(script(folder.path(), &output, &url), None, &welcome());
        let error = outcome.result.unwrap_err().to_string();
        let pin = certificate::hex(&sha256);
        assert!(error.contains(&format!("give --pin {pin}")), "{error}");

        let arguments = Arguments { pin: Some(pin), ..script(folder.path(), &output, &url) };
        try_init(arguments, None, &welcome()).result.unwrap();
        assert_eq!(load(&output).trust, Trust::Pin(sha256));
    }

    #[test]
    fn a_script_that_leaves_things_out_is_told_all_of_them() {
        let (_folder, output) = folder();
        let outcome = try_init(Arguments { output: Some(output), ..Arguments::default() }, None, &welcome());
        let error = outcome.result.unwrap_err().to_string();
        assert!(error.ends_with("give --name, --gateway, --user, --password-file"), "{error}");
    }

    #[test]
    fn a_file_that_is_there_is_overwritten_by_force_only() {
        let (folder, output) = folder();
        std::fs::create_dir_all(output.parent().unwrap()).unwrap();
        std::fs::write(&output, "mine").unwrap();
        let arguments = || script(folder.path(), &output, "http://127.0.0.1:1");
        let error = try_init(arguments(), None, &welcome()).result.unwrap_err().to_string();
        assert!(error.contains("add --force"), "{error}");
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "mine");
        try_init(Arguments { force: true, ..arguments() }, None, &welcome()).result.unwrap();
        assert_eq!(load(&output).trust, Trust::SystemRoots);
    }

    #[test]
    fn a_login_that_fails_leaves_nothing_behind() {
        let (folder, output) = folder();
        let arguments = script(folder.path(), &output, "http://127.0.0.1:1");
        let outcome = try_init(arguments, None, &Err("401: wrong password".to_owned()));
        assert!(outcome.result.unwrap_err().to_string().contains("nothing was written: 401: wrong password"));
        assert!(!output.parent().unwrap().exists());
    }

    #[test]
    fn a_gateway_that_is_not_there_is_told_with_its_address() {
        let (folder, output) = folder();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = try_init(script(folder.path(), &output, &url), None, &welcome()).result.unwrap_err().to_string();
        assert!(error.contains(&url) && error.contains("check the address"), "{error}");
    }
}
