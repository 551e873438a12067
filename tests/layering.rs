//! Whether imports point down, as ARCHITECTURE.md draws them, and the other
//! house rules that a program can check.
//!
//! Code inside `#[cfg(test)]` may import what it likes.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};

const BASE: &[&str] = &["model", "config", "clock", "backoff", "rest", "telemetry", "tls"];
const ADAPTERS: &[&str] = &["gateway", "mesos", "store"];
const SHARED: &[&str] = &["work", "metrics", "watches", "switchboard", "enrol"];
const FEATURES: &[&str] = &["poll", "keeper", "alert", "fleet", "agent", "upgrade", "jobs", "web"];

/// What a part of `src/` may import besides itself.
fn allowed(part: &str) -> Option<Vec<&'static str>> {
    let layers = |layers: &[&[&'static str]]| Some(layers.concat());
    match part {
        "lib" | "model" | "backoff" | "rest" => layers(&[]),
        "clock" => layers(&[&["model"]]),
        // The filter of log lines is checked where it is read.
        "config" => layers(&[&["model", "telemetry"]]),
        "telemetry" => layers(&[&["model", "config"]]),
        "tls" => layers(&[&["config"]]),
        part if ADAPTERS.contains(&part) => layers(&[BASE]),
        // Compiled by itself too (tests/proof), so it knows the nouns and nothing else.
        "work" => layers(&[&["model"]]),
        part if SHARED.contains(&part) => layers(&[ADAPTERS, BASE]),
        part if FEATURES.contains(&part) => layers(&[SHARED, ADAPTERS, BASE]),
        "app" => layers(&[FEATURES, SHARED, ADAPTERS, BASE]),
        "cli" => layers(&[&["app"], FEATURES, SHARED, ADAPTERS, BASE]),
        "main" => layers(&[&["cli", "app"], FEATURES, SHARED, ADAPTERS, BASE]),
        // A world of its own: what it shared with the product, it could not judge.
        "sim" => layers(&[BASE]),
        // Where the product's own agents meet the machines and the world that judge them.
        "stage" => layers(&[&["sim", "agent"], &["enrol"], ADAPTERS, BASE]),
        // Where the product's own step function meets the world that judges it.
        "proof" => layers(&[&["sim", "work", "upgrade"], BASE]),
        "bin" => layers(&[&["sim", "stage", "proof", "cli", "app"], FEATURES, SHARED, ADAPTERS, BASE]),
        _ => None,
    }
}

/// Parts of a folder that must not know each other: a judge and the judged.
const STRANGERS: &[(&str, &[&str])] =
    &[("work/check", &["work::gate", "fleet", "upgrade"]), ("work/gate", &["work::check"])];

const CEILING: usize = 600;

/// Everything that is wrong with a file; its path is relative to `src/`.
fn judge(path: &str, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = source.lines().count();
    if lines > CEILING {
        wrong.push(format!("{path} has {lines} lines, more than {CEILING}"));
    }
    if !source.starts_with("//! ") {
        wrong.push(format!("{path} does not begin with a doc line that says which question it answers"));
    }
    let stem = path.strip_suffix(".rs").unwrap();
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    let part = stem.split('/').next().unwrap();
    let Some(may) = allowed(part) else {
        wrong.push(format!("{path}: `{part}` has no place in the table of tests/layering.rs"));
        return wrong;
    };
    let mut file = match syn::parse_file(source) {
        Ok(file) => file,
        Err(error) => {
            wrong.push(format!("{path} cannot be parsed: {error}"));
            return wrong;
        }
    };
    WithoutTests.visit_file_mut(&mut file);
    let depth = if matches!(part, "lib" | "main" | "bin") { 0 } else { stem.split('/').count() };
    let mut paths = Vec::new();
    collect(file.to_token_stream(), depth, &mut paths);
    for used in paths {
        let words: Vec<&str> = used.iter().map(String::as_str).collect();
        let shown = words.join("::");
        match words.as_slice() {
            ["crate" | "scaleio_framework", to, ..] if *to != part && !may.contains(to) && !is_constant(to) => {
                wrong.push(format!("{path} imports {shown}, and `{part}` may not import `{to}`"));
            }
            ["std", "env", ..] if !matches!(part, "config" | "main" | "bin") => {
                wrong.push(format!("{path} uses {shown}; only config reads the environment"));
            }
            ["std" | "tokio", "fs" | "net" | "process", ..] | ["tokio", ..] if part == "model" => {
                wrong.push(format!("{path} uses {shown}; model does no I/O"));
            }
            _ => {}
        }
        if let [.., "Utc" | "Local" | "SystemTime", "now"] = words.as_slice()
            && stem != "clock"
        {
            wrong.push(format!("{path} uses {shown}; only clock.rs reads the wall clock"));
        }
        for (stranger, avoided) in STRANGERS.iter().filter(|(stranger, _)| *stranger == stem) {
            for avoided in *avoided {
                if shown.starts_with(&format!("crate::{avoided}")) {
                    wrong.push(format!("{path} imports {shown}, and {stranger} must not know {avoided}"));
                }
            }
        }
    }
    wrong
}

/// Constants of the root, such as the release, belong to no layer.
fn is_constant(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// Takes out what only tests compile.
struct WithoutTests;

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !is_test(attributes(item)));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !is_test(attributes(item)));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| !matches!(item, syn::ImplItem::Fn(function) if is_test(&function.attrs)));
        visit_mut::visit_item_impl_mut(self, block);
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Every path that is written: in `use` trees, in code, and inside of macros,
/// which is why tokens are read and not only the syntax tree. `super` is
/// followed up to the root of the crate.
fn collect(tokens: TokenStream, depth: usize, paths: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Group(group) => {
                // `mod name { .. }` is one step further from the root.
                let inline = at >= 2
                    && group.delimiter() == Delimiter::Brace
                    && matches!((&tokens[at - 2], &tokens[at - 1]), (TokenTree::Ident(word), TokenTree::Ident(_)) if word == "mod");
                collect(group.stream(), depth + usize::from(inline), paths);
                at += 1;
            }
            TokenTree::Ident(_) => at = path(&tokens, at, &[], depth, paths),
            TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
        }
    }
}

/// Reads the path that begins at a token; tells where it ends.
fn path(tokens: &[TokenTree], mut at: usize, before: &[String], depth: usize, paths: &mut Vec<Vec<String>>) -> usize {
    let mut words = before.to_vec();
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        words.push(word.to_string());
        at += 1;
        if !is_path_separator(tokens, at) {
            break;
        }
        at += 2;
        if let Some(TokenTree::Group(group)) = tokens.get(at)
            && group.delimiter() == Delimiter::Brace
        {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let mut from = 0;
            while from < inner.len() {
                from = match &inner[from] {
                    TokenTree::Ident(_) => path(&inner, from, &words, depth, paths),
                    _ => from + 1,
                };
            }
            return at + 1;
        }
    }
    let ups = words.iter().take_while(|word| *word == "super").count();
    if ups > 0 && ups >= depth {
        words.splice(..ups, ["crate".to_owned()]);
    }
    paths.push(words);
    at
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(at) && colon(at + 1)
}

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    sources
}

#[test]
fn imports_point_down_and_the_house_rules_hold() {
    let sources = sources();
    assert!(sources.len() > 20 && sources.contains_key("main.rs"), "{} files", sources.len());
    let wrong: Vec<String> = sources.iter().flat_map(|(path, source)| judge(path, source)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_planted_violation_is_caught() {
    for (path, body, caught) in [
        ("gateway/client.rs", "use crate::poll::Beat;", "may not import `poll`"),
        ("gateway/client.rs", "use crate::{model::id, web::{page, api}};", "imports crate::web::page"),
        ("gateway/client.rs", "fn f() { crate::app::run(); }", "may not import `app`"),
        ("gateway/client.rs", r#"fn f() { tracing::info!("{}", crate::app::NAME); }"#, "may not import `app`"),
        ("gateway/client.rs", "use super::super::web::Page;", "may not import `web`"),
        ("gateway/mod.rs", "use super::web::Page;", "may not import `web`"),
        ("gateway/client.rs", "mod inner { use super::super::super::web::Page; }", "may not import `web`"),
        ("backoff.rs", "pub use crate::clock as c;", "may not import `clock`"),
        ("alert/run.rs", "use crate::fleet::run;", "may not import `fleet`"),
        ("store/memory.rs", "use crate::gateway;", "may not import `gateway`"),
        ("sim/gateway.rs", "use crate::gateway::wire;", "may not import `gateway`"),
        ("sim/world.rs", "use crate::metrics::catalog;", "may not import `metrics`"),
        ("main.rs", "use scaleio_framework::sim::World;", "may not import `sim`"),
        ("lib.rs", "pub use crate::model::id;", "may not import `model`"),
        ("work/check.rs", "use super::gate::Gate; use crate::work::gate::Hold;", "must not know work::gate"),
        ("utils/mod.rs", "", "`utils` has no place"),
        ("cli/status.rs", "use std::{io, env};", "only config reads the environment"),
        ("cli/status.rs", r#"fn f() { std::env::var("A"); }"#, "only config reads the environment"),
        ("poll.rs", "fn f() { chrono::Utc::now(); }", "only clock.rs reads the wall clock"),
        ("poll.rs", "use std::time::SystemTime; fn f() { SystemTime::now(); }", "only clock.rs reads the wall clock"),
        ("poll.rs", "fn f() { vec![Local::now()]; }", "only clock.rs reads the wall clock"),
        ("model/id.rs", "use std::fs;", "model does no I/O"),
        ("model/id.rs", "use tokio::sync::watch;", "model does no I/O"),
        ("model/id.rs", "fn f(a: std::net::TcpStream) {}", "model does no I/O"),
        ("poll.rs", "fn f( {", "cannot be parsed"),
    ] {
        let wrong = judge(path, &format!("//! A file.\n{body}\n")).join("\n");
        assert!(wrong.contains(caught), "{path}: {body}: {wrong:?}");
    }
    assert!(judge("poll.rs", "use std::fmt;").join("").contains("does not begin with a doc line"));
    assert!(judge("poll.rs", &format!("//! A file.\n{}", "\n".repeat(CEILING))).join("").contains("601 lines"));
}

#[test]
fn what_is_allowed_is_let_through() {
    for (path, body) in [
        ("gateway/client.rs", "use super::wire; use super::super::model::id; use crate::gateway::wire as w;"),
        ("web/api.rs", "use crate::{VERSION, clock};"),
        ("app.rs", "use crate::{poll, web::api, store::{Store, SqliteStore}, clock};"),
        ("poll.rs", "#[cfg(test)] mod tests { use crate::sim::World; fn f() { std::env::var(\"A\"); } }"),
        ("poll.rs", "#[cfg(test)] use crate::sim::World;"),
        ("poll.rs", "/// See crate::app::run.\nfn f() -> &'static str { \"crate::app and Utc::now()\" }"),
        ("clock.rs", "use crate::model::unit::Timestamp; fn f() { chrono::Utc::now(); }"),
        ("main.rs", "fn main() { scaleio_framework::cli::main(std::env::args_os()); }"),
        ("bin/sio-demo/main.rs", "use scaleio_framework::{sim::World, app};"),
        ("store/mod.rs", "const A: &str = env!(\"CARGO_PKG_VERSION\");"),
        ("lib.rs", "pub mod model;"),
    ] {
        assert_eq!(judge(path, &format!("//! A file.\n{body}\n")), Vec::<String>::new(), "{path}: {body}");
    }
}
