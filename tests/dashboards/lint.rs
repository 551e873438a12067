//! What a page must be like before anybody looks at it: names that exist, ways that lead somewhere, thresholds that
//! are those of the alerts.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{BinaryExpr, Expr, ParenExpr, UnaryExpr};
use serde_json::{Value, json};

use crate::files::{Recording, Rules, root};
use crate::metrics;
use crate::read::{Dashboard, Panel, filled};

const RUNBOOKS: &str = "https://github.com/scaleio-framework/scaleio-framework/blob/main/docs/runbooks/";

/// Metrics that Prometheus itself makes: of the scrape, and of alerts.
const OF_PROMETHEUS: &str = "| `up` | gauge | |\n| `ALERTS` | gauge | alertname, alertstate, severity, area, system, \
    protection_domain, storage_pool, sds, device, sdc |\n";

#[test]
fn every_metric_and_label_is_in_the_catalogue() {
    let mut document = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    document.push_str(OF_PROMETHEUS);
    let mut rules = Rules::read();
    for dashboard in Dashboard::all() {
        for (place, query) in dashboard.queries() {
            let expr = promql_parser::parser::parse(&filled(query, dashboard.is_long()));
            let expr = expr.unwrap_or_else(|error| panic!("{place}: {error}: {query}"));
            rules.recordings.push(Recording { name: place, expr });
        }
        for variable in dashboard.templating.list.iter().filter(|variable| variable.r#type == "query") {
            let text = variable.query["query"].as_str().unwrap();
            let inside = text.strip_prefix("label_values(").and_then(|text| text.strip_suffix(')')).unwrap();
            let (selector, label) = inside.rsplit_once(", ").unwrap();
            // Prometheus adds these two to whatever it scrapes.
            let of_the_scrape = ["job", "instance"].contains(&label);
            let query = if of_the_scrape { selector.to_owned() } else { format!("sum by ({label}) ({selector})") };
            let query = filled(&query, false);
            let expr = promql_parser::parser::parse(&query).unwrap();
            rules.recordings.push(Recording { name: format!("{}: ${}", dashboard.uid, variable.name), expr });
        }
    }
    let problems = metrics::unknown(&rules, &metrics::catalogue(&document));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn pages_can_be_imported_anywhere() {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let mut uids = BTreeSet::new();
    for dashboard in Dashboard::all() {
        let uid = &dashboard.uid;
        assert!(uids.insert(uid.clone()), "{uid} is there twice");
        assert!(dashboard.title.starts_with("ScaleIO / ") && dashboard.description.len() > 20, "{uid}");
        assert_eq!(dashboard.tags, ["scaleio"], "{uid}: the menu of all pages goes by this tag");
        let menu = &dashboard.links[0];
        assert!(menu["keepTime"] == true && menu["includeVars"] == true && menu["tags"][0] == "scaleio", "{uid}");
        let variables = &dashboard.templating.list;
        assert_eq!((variables[0].name.as_str(), variables[0].r#type.as_str()), ("datasource", "datasource"), "{uid}");
        assert!(variables[0].current.is_null(), "{uid} names a data source of ours");
        for variable in variables.iter().filter(|variable| variable.r#type == "query") {
            assert_eq!(variable.sort, 1, "{uid}: ${} is not sorted", variable.name);
            assert_eq!(variable.datasource, source, "{uid}: ${}", variable.name);
        }
        let marks = dashboard.annotations.list.iter().filter(|mark| mark.expr.is_some());
        assert!(marks.clone().count() >= 3 && marks.clone().all(|mark| mark.datasource == source), "{uid}: marks");
        let mut ids = BTreeSet::new();
        let mut taken = BTreeMap::new();
        assert!(dashboard.shown().len() <= 30, "{uid} is too much for one page");
        for panel in dashboard.panels.iter().flat_map(|panel| std::iter::once(panel).chain(&panel.panels)) {
            let place = format!("{uid}: {}", panel.title);
            assert!(ids.insert(panel.id), "{place}: its id is there twice");
            let grid = panel.grid_pos;
            assert!(grid.x + grid.w <= 24, "{place} is wider than the page");
            for cell in (grid.x..grid.x + grid.w).flat_map(|x| (grid.y..grid.y + grid.h).map(move |y| (x, y))) {
                let other = taken.insert(cell, place.clone());
                assert!(other.is_none(), "{place} lies over {other:?}");
            }
            if panel.r#type != "row" {
                says_what_it_is(&place, panel, &source);
            }
        }
    }
    assert!(uids.len() >= 13, "only {} dashboards", uids.len());
}

fn says_what_it_is(place: &str, panel: &Panel, source: &Value) {
    assert!(panel.description.len() > 10, "{place} says nothing of itself");
    assert!(panel.field_config["defaults"]["unit"].is_string(), "{place} has no unit");
    assert_eq!(panel.datasource, *source, "{place}");
    assert!(!panel.targets.is_empty() && panel.targets.iter().all(|target| target.datasource == *source), "{place}");
    for target in &panel.targets {
        for (at, _) in target.expr.match_indices("rate(") {
            let tail = &target.expr[at..];
            let range = tail.split_once('[').map_or("", |(_, rest)| rest);
            let chosen = ["$__rate_interval]", "$__range]", "1h]", "1d]"].iter().any(|end| range.starts_with(end));
            assert!(chosen, "{place}: a rate over a range that does not follow the page: {}", target.expr);
        }
    }
    if coloured(panel) {
        let link = panel.description.contains(RUNBOOKS) || panel.description.contains("**When it is red:**");
        assert!(link, "{place} turns red and does not say what to do then");
    }
}

fn coloured(panel: &Panel) -> bool {
    thresholds(panel).iter().any(|steps| steps.len() > 1)
}

/// All threshold steps of a panel: its own, and those of its columns.
fn thresholds(panel: &Panel) -> Vec<Vec<Value>> {
    let mut found = vec![panel.field_config["defaults"]["thresholds"]["steps"].as_array().unwrap().clone()];
    for column in panel.field_config["overrides"].as_array().unwrap() {
        let properties = column["properties"].as_array().unwrap();
        let steps = properties.iter().filter(|property| property["id"] == "thresholds");
        found.extend(steps.map(|property| property["value"]["steps"].as_array().unwrap().clone()));
    }
    found
}

#[test]
fn thresholds_are_those_of_the_alerts_that_a_panel_names() {
    let rules = Rules::read();
    for dashboard in Dashboard::all() {
        for panel in dashboard.shown() {
            let place = format!("{}: {}", dashboard.uid, panel.title);
            let named: Vec<&str> =
                panel.description.split(RUNBOOKS).skip(1).filter_map(|rest| rest.split(".md").next()).collect();
            let mut numbers = Vec::new();
            for name in named {
                let alert = rules.alerts.iter().find(|alert| alert.name == name);
                let alert = alert.unwrap_or_else(|| panic!("{place}: there is no alert {name}"));
                collect(&alert.expr, &mut numbers);
            }
            for step in thresholds(panel).into_iter().flatten() {
                let Some(value) = step["value"].as_f64() else { continue };
                // The first of something that must not be: no alert needs a number for that.
                let obvious = [0.0, 1.0].contains(&value);
                let told = numbers.iter().any(|number| (number - value).abs() < 1e-9);
                // A ratio of what must be all, such as nine of ten connected: the alert counts the others.
                let others = numbers.iter().any(|number| (1.0 - number - value).abs() < 1e-9);
                assert!(obvious || told || others, "{place}: {value} is no number of its alerts: {numbers:?}");
            }
        }
    }
}

/// Every number of an expression, products and quotients of numbers worked out.
fn collect(expr: &Expr, numbers: &mut Vec<f64>) {
    numbers.extend(value(expr));
    match expr {
        Expr::Binary(BinaryExpr { lhs, rhs, .. }) => {
            collect(lhs, numbers);
            collect(rhs, numbers);
        }
        Expr::Paren(ParenExpr { expr }) | Expr::Unary(UnaryExpr { expr }) => collect(expr, numbers),
        Expr::Aggregate(aggregate) => collect(&aggregate.expr, numbers),
        Expr::Call(call) => {
            // Seconds that are looked ahead: pages show them as days.
            let ahead = call.args.args.iter().filter_map(|part| value(part)).map(|seconds| seconds / 86_400.0);
            numbers.extend(ahead);
            call.args.args.iter().for_each(|part| collect(part, numbers));
        }
        _ => {}
    }
}

fn value(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(number) => Some(number.val),
        Expr::Paren(ParenExpr { expr }) => value(expr),
        Expr::Binary(BinaryExpr { op, lhs, rhs, .. }) => {
            let (left, right) = (value(lhs)?, value(rhs)?);
            match op.to_string().as_str() {
                "*" => Some(left * right),
                "/" => Some(left / right),
                _ => None,
            }
        }
        _ => None,
    }
}

#[test]
fn every_way_leads_to_a_page_that_takes_what_it_brings() {
    let all = Dashboard::all();
    let takes: BTreeMap<&str, BTreeSet<&str>> = all
        .iter()
        .map(|page| (page.uid.as_str(), page.templating.list.iter().map(|variable| variable.name.as_str()).collect()))
        .collect();
    let mut ways = 0;
    for page in &all {
        for panel in page.shown() {
            let mut urls = Vec::new();
            find_urls(&panel.field_config, &mut urls);
            for url in urls.iter().filter(|url| !url.starts_with(RUNBOOKS)) {
                let place = format!("{}: {}: {url}", page.uid, panel.title);
                let (uid, query) = url.strip_prefix("/d/").and_then(|url| url.split_once('?')).expect(&place);
                let takes = takes.get(uid).unwrap_or_else(|| panic!("{place}: there is no such page"));
                let parts: Vec<&str> = query.split('&').collect();
                assert!(
                    parts.contains(&"${datasource:queryparam}") && parts.contains(&"${__url_time_range}"),
                    "{place}"
                );
                let brought: Vec<&str> =
                    parts.iter().filter_map(|part| part.strip_prefix("var-")?.split('=').next()).collect();
                assert!(!brought.is_empty() && brought.iter().all(|name| takes.contains(name)), "{place}");
                ways += 1;
            }
        }
    }
    assert!(ways > 30, "only {ways} ways from page to page");
}

fn find_urls(value: &Value, urls: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            urls.extend(object.get("url").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|inner| find_urls(inner, urls));
        }
        Value::Array(list) => list.iter().for_each(|inner| find_urls(inner, urls)),
        _ => {}
    }
}
