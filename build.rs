//! Tells the program which commit and compiler it was built from.

use std::process::Command;

fn main() {
    if std::path::Path::new(".git/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/HEAD");
    }
    println!("cargo::rerun-if-changed=src");
    let revision = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let rustc = said(&std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()), &["--version"]);
    let rustc = rustc.split(' ').nth(1).unwrap_or("unknown").to_owned();
    println!("cargo::rustc-env=SIO_REVISION={revision}");
    println!("cargo::rustc-env=SIO_RUSTC={rustc}");
}

/// What a command prints, or `unknown` where it cannot be asked (a source archive has no git).
fn said(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output().ok().filter(|output| output.status.success());
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}
