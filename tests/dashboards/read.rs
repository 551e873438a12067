//! What is in the dashboards, as far as the tests look at it.

use serde::Deserialize;
use serde_json::Value;

use crate::files::{list, root};

#[derive(Deserialize)]
pub(crate) struct Dashboard {
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) time: Time,
    pub(crate) templating: Templating,
    pub(crate) annotations: Annotations,
    pub(crate) links: Vec<Value>,
    pub(crate) panels: Vec<Panel>,
}

#[derive(Deserialize)]
pub(crate) struct Time {
    pub(crate) from: String,
}

#[derive(Deserialize)]
pub(crate) struct Templating {
    pub(crate) list: Vec<Variable>,
}

#[derive(Deserialize)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) r#type: String,
    #[serde(default)]
    pub(crate) query: Value,
    #[serde(default)]
    pub(crate) sort: u8,
    #[serde(default)]
    pub(crate) current: Value,
    #[serde(default)]
    pub(crate) datasource: Value,
}

#[derive(Deserialize)]
pub(crate) struct Annotations {
    pub(crate) list: Vec<Annotation>,
}

#[derive(Deserialize)]
pub(crate) struct Annotation {
    pub(crate) name: String,
    pub(crate) expr: Option<String>,
    pub(crate) datasource: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Panel {
    pub(crate) id: u64,
    pub(crate) r#type: String,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) datasource: Value,
    #[serde(default)]
    pub(crate) targets: Vec<Target>,
    #[serde(default)]
    pub(crate) panels: Vec<Panel>,
    #[serde(default)]
    pub(crate) field_config: Value,
    pub(crate) grid_pos: Grid,
}

#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) expr: String,
    pub(crate) datasource: Value,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Grid {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) w: u32,
    pub(crate) h: u32,
}

impl Dashboard {
    /// All of them, in the order of their files.
    pub(crate) fn all() -> Vec<Self> {
        let files = list(&root().join("dashboards"), ".json");
        let read = |path: &std::path::PathBuf| {
            let text = std::fs::read_to_string(path).unwrap();
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        files.iter().map(read).collect()
    }

    /// Panels that show something, those of closed rows too.
    pub(crate) fn shown(&self) -> Vec<&Panel> {
        let all = self.panels.iter().flat_map(|panel| std::iter::once(panel).chain(&panel.panels));
        all.filter(|panel| panel.r#type != "row").collect()
    }

    /// Every query: of panels and of annotations, each with where it stands.
    pub(crate) fn queries(&self) -> Vec<(String, &str)> {
        let panels = self.shown();
        let panels = panels.into_iter().flat_map(|panel| {
            panel.targets.iter().map(|target| (format!("{}: {}", self.uid, panel.title), target.expr.as_str()))
        });
        let marks = self.annotations.list.iter();
        let marks = marks.filter_map(|mark| Some((format!("{}: mark {}", self.uid, mark.name), mark.expr.as_deref()?)));
        panels.chain(marks).collect()
    }

    /// Whether it shows weeks, not hours.
    pub(crate) fn is_long(&self) -> bool {
        self.time.from == "now-30d"
    }
}

/// A query with its variables filled in as Grafana does it when all is chosen.
pub(crate) fn filled(query: &str, long: bool) -> String {
    let mut text = query.to_owned();
    let range = if long { "15d" } else { "6h" };
    for (name, value) in [("$__rate_interval", "8m"), ("$__range", range), ("$horizon", "14d"), ("$top", "10")] {
        text = text.replace(name, value);
    }
    for name in
        ["system", "protection_domain", "storage_pool", "sds", "volume", "sdc", "consistency_group", "job", "instance"]
    {
        text = text.replace(&format!("\"${name}\""), "\".*\"");
    }
    assert!(!text.contains('$'), "a variable that is not known: {text}");
    text
}
