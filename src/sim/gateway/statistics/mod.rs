//! Statistics: which names there are, what they mean, and how they are answered.

mod names;
mod sheet;
mod since_2;
mod since_3;
mod source;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::json::Json;
use super::kind::{Kind, related};
use super::refusal::Refused;
use crate::sim::release::Release;
use crate::sim::world::{Id, World};
use sheet::{Sheet, Sheets};
use source::{List, Source};

/// Every statistic of a release, by type.
pub(super) struct Catalogue {
    kinds: BTreeMap<Kind, BTreeMap<&'static str, Source>>,
}

/// One part of a query for statistics.
#[derive(Debug, Deserialize)]
pub(super) struct Selection {
    #[serde(rename = "type", default)]
    kind: String,
    ids: Option<Vec<String>>,
    #[serde(rename = "allIds")]
    all_ids: Option<serde_json::Value>,
    #[serde(default)]
    properties: Vec<String>,
}

/// The body of `POST /api/instances/querySelectedStatistics`.
#[derive(Debug, Deserialize)]
pub(super) struct Query {
    #[serde(rename = "selectedStatisticsList")]
    selected: Vec<Selection>,
}

/// A selection that is known to be answerable.
struct Asked {
    kind: Kind,
    columns: Vec<(&'static str, Source)>,
    ids: Vec<Id>,
}

impl Catalogue {
    pub(super) fn new(release: Release) -> Self {
        let sources = source::sources(release);
        let kinds = Kind::ALL
            .into_iter()
            .filter(|kind| kind.exists(release))
            .map(|kind| {
                let names = names::names(kind, release);
                (kind, names.into_iter().map(|name| (name, source::source(&sources, name))).collect())
            })
            .collect();
        Self { kinds }
    }

    /// The names a type has.
    pub(super) fn names(&self, kind: Kind) -> impl Iterator<Item = &'static str> {
        self.kinds.get(&kind).into_iter().flatten().map(|(name, _)| *name)
    }

    fn read(&self, world: &World, kind: Kind, selection: &Selection) -> Result<Asked, Refused> {
        let known = self.kinds.get(&kind).filter(|known| !known.is_empty()).ok_or_else(Refused::not_found)?;
        let mut columns = BTreeMap::new();
        for name in &selection.properties {
            let Some((name, source)) = known.get_key_value(name.as_str()) else {
                let valid: Vec<&str> = known.keys().copied().collect();
                return Err(Refused::unknown_statistic(kind.name(), &valid.join(",")));
            };
            columns.insert(*name, *source);
        }
        if selection.properties.is_empty() {
            return Err(Refused::malformed("it must contain all of the following: properties"));
        }
        let asks_ids = selection.ids.as_ref().is_some_and(|ids| !ids.is_empty());
        let ids = if kind == Kind::System || (!asks_ids && selection.all_ids.is_some()) {
            kind.ids(world)
        } else {
            let ids = selection.ids.as_deref().unwrap_or_default();
            if selection.ids.is_none() {
                return Err(Refused::malformed("it must contain one of the following: ids, allIds"));
            }
            ids.iter().map(|id| known_id(world, kind, id)).collect::<Result<_, _>>()?
        };
        Ok(Asked { kind, columns: columns.into_iter().collect(), ids })
    }

    /// Answers a query for several types.
    pub(super) fn answer(&self, world: &World, query: &Query) -> Result<String, Refused> {
        let asked: Vec<Asked> = query
            .selected
            .iter()
            .map(|selection| {
                let kind = Kind::named(&selection.kind, world.release)
                    .filter(|kind| self.names(*kind).next().is_some())
                    .ok_or_else(|| {
                        let valid: Vec<&str> = self
                            .kinds
                            .iter()
                            .filter(|(_, names)| !names.is_empty())
                            .map(|(kind, _)| kind.name())
                            .collect();
                        Refused::wrong_value("type", &valid.join(", "), &selection.kind)
                    })?;
                self.read(world, kind, selection)
            })
            .collect::<Result<_, _>>()?;
        let sheets = Sheets::new(world);
        let cells: usize = asked.iter().map(|asked| asked.ids.len() * (asked.columns.len() + 1)).sum();
        let mut json = Json::with_capacity(cells * 40);
        json.object(|json| {
            for asked in &asked {
                json.key(asked.kind.name()).object(|json| write(json, world, &sheets, asked));
            }
        });
        Ok(json.finish())
    }

    /// Answers a query for one type.
    pub(super) fn answer_kind(&self, world: &World, kind: Kind, selection: &Selection) -> Result<String, Refused> {
        let asked = self.read(world, kind, selection)?;
        let mut json = Json::default();
        json.object(|json| write(json, world, &Sheets::new(world), &asked));
        Ok(json.finish())
    }

    /// Every statistic of one object.
    pub(super) fn all(&self, world: &World, kind: Kind, id: Id) -> String {
        let sheets = Sheets::new(world);
        let sheet = sheets.sheet(world, kind, id);
        let mut json = Json::default();
        json.object(|json| {
            for (name, source) in self.kinds.get(&kind).into_iter().flatten() {
                json.key(name);
                value(json, world, &sheets, (kind, id), &sheet, *source);
            }
        });
        json.finish()
    }
}

/// Reads an id and makes sure that it exists.
pub(super) fn known_id(world: &World, kind: Kind, text: &str) -> Result<Id, Refused> {
    let id = u64::from_str_radix(text, 16).map(Id).map_err(|_| Refused::id_not_hex(text))?;
    if kind.contains(world, id) { Ok(id) } else { Err(Refused::no_such(kind.name())) }
}

fn write(json: &mut Json, world: &World, sheets: &Sheets, asked: &Asked) {
    let row = |json: &mut Json, id: Id| {
        let sheet = sheets.sheet(world, asked.kind, id);
        for (name, source) in &asked.columns {
            json.key(name);
            value(json, world, sheets, (asked.kind, id), &sheet, *source);
        }
    };
    if asked.kind == Kind::System {
        row(json, world.system.id);
        return;
    }
    for id in &asked.ids {
        json.key(&id.to_string()).object(|json| row(json, *id));
    }
}

fn value(json: &mut Json, world: &World, sheets: &Sheets, of: (Kind, Id), sheet: &Sheet, source: Source) {
    match source {
        Source::Number(value) => json.number(value(sheet)),
        Source::Half(value) => json.number(value(sheet) / 2),
        Source::Window(window) => {
            let io = window(sheet);
            json.window(io, io.kb);
        }
        Source::Latency(window) => {
            let io = window(sheet);
            json.window(io, io.micros);
        }
        Source::Ratio(value) => json.float(value(sheet)),
        Source::Fixed(text) => json.raw(text),
        Source::Ids(list) => json.array(|json| {
            for id in ids(world, sheets, of, list) {
                json.shown(id);
            }
        }),
    }
}

fn ids(world: &World, sheets: &Sheets, (kind, id): (Kind, Id), list: List) -> Vec<Id> {
    let all = |of: Kind| related(world, kind, id, of);
    match list {
        List::Domains => all(Kind::ProtectionDomain),
        List::FaultSets => all(Kind::FaultSet),
        List::Pools => all(Kind::StoragePool),
        List::Sds => all(Kind::Sds),
        List::SpSds => all(Kind::SpSds),
        List::Devices => all(Kind::Device),
        List::Sdcs => all(Kind::Sdc),
        List::Volumes => all(Kind::Volume),
        List::VTrees => all(Kind::VTree),
        List::MappedSdcs => world.volumes.get(&id).map(|volume| volume.mapped.clone()).unwrap_or_default(),
        List::Children => sheets.children(id).to_vec(),
        List::Descendants => sheets.descendants(id),
    }
}
