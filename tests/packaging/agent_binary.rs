//! Does the binary for agents run on every host that is promised, down to glibc 2.17?

use std::collections::BTreeMap;
use std::process::Command;

use crate::{agent_binary, done};

/// EL 7 has this one, and nothing that we run on is older.
const NEWEST: [u32; 2] = [2, 17];

/// What the loader of an agent has without a package of ours.
const LIBRARIES: [&str; 6] =
    ["ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1"];

/// The versions of glibc that symbols ask for, each with one of them.
fn versions(listing: &str) -> BTreeMap<Vec<u32>, String> {
    let asked = listing.lines().filter_map(|line| {
        let (symbol, version) = line.split_whitespace().last()?.split_once('@')?;
        let numbers = version.trim_start_matches('@').strip_prefix("GLIBC_")?;
        Some((numbers.split('.').map(|part| part.parse().unwrap()).collect(), symbol.to_owned()))
    });
    asked.collect()
}

#[test]
fn it_asks_for_no_glibc_beyond_2_17_and_for_no_library_beside() {
    let binary = agent_binary();
    let asked = versions(&done(
        Command::new("nm").args(["--dynamic", "--undefined-only", "--with-symbol-versions"]).arg(&binary),
    ));
    assert!(asked.len() > 3, "this is not a program of glibc: {asked:?}");
    let beyond: Vec<_> = asked.iter().filter(|(version, _)| version.as_slice() > &NEWEST[..]).collect();
    assert!(beyond.is_empty(), "{} asks for {beyond:?}", binary.display());

    let listing = done(Command::new("readelf").arg("--dynamic").arg(&binary));
    let needed = listing.lines().filter(|line| line.contains("(NEEDED)"));
    let needed: Vec<&str> =
        needed.filter_map(|line| line.split_once('[')?.1.split_once(']').map(|(name, _)| name)).collect();
    assert!(needed.contains(&"libc.so.6"), "{listing}");
    for library in needed {
        assert!(LIBRARIES.contains(&library), "it needs {library}");
    }
    assert_eq!(done(Command::new(&binary).arg("version")), format!("sio {}", scaleio_framework::VERSION));
}

#[test]
fn a_plain_build_would_be_noticed() {
    let plain = env!("CARGO_BIN_EXE_sio");
    let asked = versions(&done(
        Command::new("nm").args(["--dynamic", "--undefined-only", "--with-symbol-versions"]).arg(plain),
    ));
    let newest = asked.keys().next_back().unwrap();
    assert!(newest.as_slice() > &NEWEST[..], "this machine is as old as an agent: {newest:?}");
}
