//! Is the document made of every route, and does it say what each needs?

use std::collections::BTreeSet;

use super::*;
use crate::model::person::{Door, Role};

#[test]
fn every_route_is_in_the_document_once_and_nothing_else() {
    let all = routes::all(false);
    let document = document(all.iter(), &[]);
    let said: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let there: BTreeSet<(String, String)> =
        all.iter().map(|route| (route.path.to_owned(), route.method.to_string())).collect();
    assert_eq!(said, there);
    assert_eq!(there.len(), all.len(), "a route is there twice");
    let names: BTreeSet<String> = all.iter().map(name).collect();
    assert_eq!(names.len(), all.len(), "two operations have one name");
}

#[test]
fn who_acts_needs_a_role_and_only_health_and_the_login_need_none() {
    let all = routes::all(false);
    for route in &all {
        // The page on which one says who one is looks like the others.
        let says_who = matches!(route.path, "/login" | "/logout" | "/style.css");
        let is_open = says_who || matches!(route.path, "/healthz" | "/readyz");
        assert_eq!(route.needs == Needs::Nothing, is_open, "{}", route.path);
        if !route.method.is_safe() && !says_who {
            assert!(matches!(route.needs, Needs::Role(role) if role >= Role::Operator), "{}", route.path);
        }
    }
    let host_only: Vec<&str> =
        all.iter().filter(|route| !route.is_behind(Door::Network)).map(|route| route.path).collect();
    assert_eq!(
        host_only,
        ["/api/v1/framework/orders", "/api/v1/tokens", "/api/v1/rollout/orders", "/api/v1/agents/adopt"]
    );
}

#[test]
fn routes_are_made_in_the_table_only() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("routes.rs") && !path.ends_with("openapi/tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(!text.contains(".route("), "{} makes a route past the table of routes.rs", path.display());
            }
        }
    }
}
