//! The one bulk query for statistics: which names are asked, what a refusal
//! teaches, and the answer as columns.
//!
//! A name that a release does not have fails the whole query with a 400 that
//! lists the valid ones, so names are learned; the lists differ by release.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::convert::{Answer, ParseError, Unknown, text};
use super::wire::stat_names;
use super::wire::{Odd, Seed};
use crate::model::id::ObjectId;
use crate::model::stats::{Columns, Stat, StatKind, StatTable, StatUnit, Statistics};

/// What one gateway is known to refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// The statistics of our list that the gateway has, for kinds it told about.
    valid: BTreeMap<StatKind, Vec<Stat>>,
    /// Kinds that the gateway does not know at all.
    dropped: BTreeSet<StatKind>,
    /// Whether each kind was once asked alone, to find the refused ones.
    tried_alone: bool,
}

#[derive(Serialize)]
struct Query<'a> {
    #[serde(rename = "selectedStatisticsList")]
    list: Vec<Selected<'a>>,
}

#[derive(Serialize)]
struct Selected<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(rename = "allIds")]
    all: &'a str,
    properties: Vec<&'a str>,
}

impl Learned {
    /// The statistics to ask of a kind.
    pub fn wanted(&self, kind: StatKind) -> Vec<Stat> {
        if self.dropped.contains(&kind) {
            return Vec::new();
        }
        self.valid.get(&kind).cloned().unwrap_or_else(|| Stat::wanted(kind).collect())
    }

    /// The kinds that are worth asking for, with their statistics.
    pub fn selection(&self, kinds: &[StatKind]) -> BTreeMap<StatKind, Vec<Stat>> {
        kinds.iter().map(|kind| (*kind, self.wanted(*kind))).filter(|(_, stats)| !stats.is_empty()).collect()
    }

    /// Whether it is worth asking each kind alone: once, when a refusal did not
    /// say which kind it is about.
    pub fn try_alone(&mut self) -> bool {
        !std::mem::replace(&mut self.tried_alone, true)
    }

    /// Asks for these kinds no more.
    pub fn drop_kinds(&mut self, kinds: &[StatKind]) {
        self.dropped.extend(kinds);
    }

    /// Takes the message of a 400. Says whether the next query will be another
    /// one: a refusal that teaches nothing must not be asked again.
    pub fn learn(&mut self, message: &str, asked: &BTreeMap<StatKind, Vec<Stat>>) -> bool {
        if let Some((kind, names)) = valid_names(message) {
            let Some((kind, before)) = asked.iter().find(|(asked, _)| asked.type_name().eq_ignore_ascii_case(kind))
            else {
                return false;
            };
            let valid: Vec<Stat> = before.iter().copied().filter(|stat| names.contains(stat.wire_name())).collect();
            let changed = valid.len() < before.len();
            self.valid.insert(*kind, valid);
            return changed;
        }
        let Some(kind) = refused_kind(message, asked) else { return false };
        self.dropped.insert(kind)
    }
}

/// Reads `<Type> properties should contain only following values: a,b,c`.
fn valid_names(message: &str) -> Option<(&str, BTreeSet<&str>)> {
    let (before, list) = message.split_once("properties should contain only following values")?;
    let kind = before.split(|c: char| !c.is_ascii_alphanumeric()).rfind(|word| !word.is_empty())?;
    let names = list.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|name| !name.is_empty()).collect();
    Some((kind, names))
}

/// The one type of the query that a message of any other wording complains about.
/// Lists of valid types name many; then the value that was refused stands last.
fn refused_kind(message: &str, asked: &BTreeMap<StatKind, Vec<Stat>>) -> Option<StatKind> {
    let words = |text: &str| -> Vec<StatKind> {
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        asked.keys().copied().filter(|kind| words.contains(kind.type_name())).collect()
    };
    let complaint = message.rsplit_once("its value is").map_or(message, |(_, value)| value);
    match words(complaint)[..] {
        [kind] => Some(kind),
        _ => None,
    }
}

/// The body of the query.
pub fn query(selection: &BTreeMap<StatKind, Vec<Stat>>) -> serde_json::Result<Vec<u8>> {
    let list = selection
        .iter()
        .map(|(kind, stats)| Selected {
            kind: kind.type_name(),
            all: "",
            properties: stats.iter().map(|stat| stat.wire_name()).collect(),
        })
        .collect();
    serde_json::to_vec(&Query { list })
}

/// Whether a name is one that gateways have, used or not.
pub fn is_known(name: &str) -> bool {
    stat_names::IGNORED.binary_search(&name).is_ok() || Stat::ALL.iter().any(|stat| stat.wire_name() == name)
}

/// Reads the answer to a query for this selection.
pub fn read(body: &[u8], selection: &BTreeMap<StatKind, Vec<Stat>>) -> Result<Answer<Statistics>, ParseError> {
    let body = text(body);
    let mut reader = Reader { selection, tables: BTreeMap::new(), unknown: Unknown::new(), objects: 0 };
    let mut json = serde_json::Deserializer::from_str(&body);
    json.deserialize_map(&mut reader)
        .and_then(|()| json.end())
        .map_err(|error| ParseError::of(&error, &body, "object of statistics by type"))?;
    Ok(Answer { value: Statistics::new(reader.tables), objects: reader.objects, unknown: reader.unknown })
}

/// The whole answer: `{"System": {…}, "Sds": {"<id>": {…}}}`.
struct Reader<'a> {
    selection: &'a BTreeMap<StatKind, Vec<Stat>>,
    tables: BTreeMap<StatKind, StatTable>,
    unknown: Unknown,
    objects: usize,
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of statistics by type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let asked = self.selection.iter().find(|(kind, _)| kind.type_name() == name);
            let Some((kind, stats)) = asked else {
                *self.unknown.entry("statistics".into()).or_default() += 1;
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let mut odd = Odd::default();
            let layout = Layout::new(stats);
            let mut rows = Rows { layout: &layout, ids: Vec::new(), values: Vec::new(), odd: &mut odd };
            if *kind == StatKind::System {
                // Flat: the system is its only row.
                let mut row = vec![f64::NAN; layout.columns.width()];
                if map.next_value_seed(Row { layout: &layout, values: &mut row, odd: rows.odd })? {
                    rows.ids.push(ObjectId::new(kind.type_name()));
                    rows.values = row;
                }
            } else {
                map.next_value_seed(&mut rows)?;
            }
            let (ids, values) = (rows.ids, rows.values);
            self.objects += ids.len();
            if odd.total() > 0 {
                *self.unknown.entry(format!("statistics.{name}").into()).or_default() += odd.total();
            }
            self.tables.insert(*kind, StatTable::new(layout.columns, ids, values));
        }
        Ok(())
    }
}

/// Where each name of the wire goes.
struct Layout {
    columns: Columns,
    /// Ascending by name.
    places: Vec<(&'static str, usize, StatUnit)>,
}

impl Layout {
    fn new(stats: &[Stat]) -> Self {
        let columns = Columns::new(stats.iter().copied());
        let mut places: Vec<_> =
            stats.iter().filter_map(|stat| Some((stat.wire_name(), columns.place(*stat)?, stat.unit()))).collect();
        places.sort_unstable_by_key(|(name, ..)| *name);
        Self { columns, places }
    }
}

/// The rows of one kind, keyed by id.
struct Rows<'a> {
    layout: &'a Layout,
    ids: Vec<ObjectId>,
    values: Vec<f64>,
    odd: &'a mut Odd,
}

impl<'de> DeserializeSeed<'de> for &mut Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(RowsVisitor(self.odd, self.layout, &mut self.ids, &mut self.values))
    }
}

struct RowsVisitor<'a>(&'a mut Odd, &'a Layout, &'a mut Vec<ObjectId>, &'a mut Vec<f64>);

impl<'de> Visitor<'de> for RowsVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows by id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(id) = map.next_key_seed(Id)? {
            let begin = self.3.len();
            self.3.resize(begin + self.1.columns.width(), f64::NAN);
            let row = Row { layout: self.1, values: &mut self.3[begin..], odd: self.0 };
            if map.next_value_seed(row)? {
                self.2.push(id);
            } else {
                self.3.truncate(begin);
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    not_this_shape!(bool, u64, i64, f64, str, seq);
}

/// An object id as a key, read without a copy.
struct Id;

impl<'de> DeserializeSeed<'de> for Id {
    type Value = ObjectId;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<ObjectId, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Id {
    type Value = ObjectId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E>(self, id: &str) -> Result<ObjectId, E> {
        Ok(ObjectId::new(id))
    }
}

/// One row; gives whether it was an object at all.
struct Row<'a> {
    layout: &'a Layout,
    values: &'a mut [f64],
    odd: &'a mut Odd,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<bool, D::Error> {
        source.deserialize_any(RowVisitor(self.odd, self.layout, self.values))
    }
}

struct RowVisitor<'a>(&'a mut Odd, &'a Layout, &'a mut [f64]);

impl<'de> Visitor<'de> for RowVisitor<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row of statistics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(place) = map.next_key_seed(Name(self.1))? {
            match place {
                Place::Column(at, StatUnit::Window) => {
                    let window = map.next_value_seed(Seed::<Option<Window<'_>>>::new(self.0))?;
                    self.2[at..at + 3].copy_from_slice(&window.unwrap_or_default().numbers());
                }
                Place::Column(at, unit) => {
                    let number = map.next_value_seed(Seed::<Option<f64>>::new(self.0))?;
                    self.2[at] = number.map_or(f64::NAN, |number| number * unit.factor());
                }
                Place::Ignored => {
                    map.next_value::<IgnoredAny>()?;
                }
                Place::Unknown => {
                    self.0.unknown += 1;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    not_this_shape!(bool, u64, i64, f64, str, seq);
}

/// What becomes of a statistic.
enum Place {
    Column(usize, StatUnit),
    Ignored,
    Unknown,
}

struct Name<'a>(&'a Layout);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Place;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Place, D::Error> {
        source.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a statistic")
    }

    fn visit_str<E>(self, name: &str) -> Result<Place, E> {
        let places = &self.0.places;
        Ok(match places.binary_search_by(|(known, ..)| (*known).cmp(name)) {
            Ok(at) => Place::Column(places[at].1, places[at].2),
            Err(_) if is_known(name) => Place::Ignored,
            Err(_) => Place::Unknown,
        })
    }
}

wire! {
    /// What was counted over the last seconds.
    Window {
        seconds: Option<f64> = "numSeconds",
        weight: Option<f64> = "totalWeightInKb",
        count: Option<f64> = "numOccured",
    } ignored {}
}

impl Window<'_> {
    fn numbers(&self) -> [f64; 3] {
        [self.seconds, self.weight, self.count].map(|number| number.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unit::{Bytes, Window as Seen};

    fn asked(kinds: &[(StatKind, &[Stat])]) -> BTreeMap<StatKind, Vec<Stat>> {
        kinds.iter().map(|(kind, stats)| (*kind, stats.to_vec())).collect()
    }

    #[test]
    fn numbers_become_base_units_and_what_is_no_number_is_absent() {
        let selection = asked(&[
            (StatKind::System, &[Stat::MaxCapacityInKb, Stat::UserDataReadBwc, Stat::NumOfSds, Stat::NumOfSdc]),
            (StatKind::Device, &[Stat::AvgReadLatencyInMicrosec, Stat::MaxCapacityInKb]),
            (StatKind::StoragePool, &[Stat::CompressionRatio, Stat::BackgroundScannedInMB]),
        ]);
        let body = br#"{"System":{"maxCapacityInKb":5000000000,"numOfSds":9223372036854775808,"numOfSdc":null,
            "userDataReadBwc":{"numSeconds":5,"totalWeightInKb":"10","numOccured":20},"primaryVacInKb":1},
            "Device":{"00000000000000aa":{"avgReadLatencyInMicrosec":250,"maxCapacityInKb":-3},
            "00000000000000ab":null,"00000000000000ac":7},
            "StoragePool":{"00000000000000ad":{"compressionRatio":"NaN","BackgroundScannedInMB":2,"brandNew":{"a":[1]}}},
            "Sdt":{}}"#;
        let answer = read(body, &selection).unwrap();
        let system = answer.value.system().unwrap();
        assert_eq!(system.bytes(Stat::MaxCapacityInKb), Some(Bytes::from_kib(5_000_000_000)));
        assert_eq!(system.window(Stat::UserDataReadBwc), Some(Seen { seconds: 5.0, weight: 10.0, count: 20.0 }));
        assert_eq!((system.number(Stat::NumOfSds), system.number(Stat::NumOfSdc)), (None, None));
        let device = answer.value.row(StatKind::Device, &ObjectId::new("00000000000000aa")).unwrap();
        assert_eq!(device.number(Stat::AvgReadLatencyInMicrosec), Some(250e-6));
        assert_eq!(device.number(Stat::MaxCapacityInKb), None);
        let pool = answer.value.row(StatKind::StoragePool, &ObjectId::new("00000000000000ad")).unwrap();
        assert_eq!(pool.number(Stat::CompressionRatio), None);
        assert_eq!(pool.bytes(Stat::BackgroundScannedInMB), Some(Bytes::new(2 << 20)));
        assert_eq!(answer.objects, 3);
        let unknown: Vec<(&str, u64)> = answer.unknown.iter().map(|(kind, count)| (&**kind, *count)).collect();
        assert_eq!(
            unknown,
            [("statistics", 1), ("statistics.Device", 2), ("statistics.StoragePool", 1), ("statistics.System", 1)]
        );
    }

    #[test]
    fn a_refusal_teaches_the_names_of_its_type() {
        let mut learned = Learned::default();
        let kinds = [StatKind::System, StatKind::Volume];
        let selection = learned.selection(&kinds);
        let message = "Volume properties should contain only following values: userDataReadBwc,numOfMappedSdcs";
        assert!(learned.learn(message, &selection));
        assert_eq!(learned.wanted(StatKind::Volume), [Stat::UserDataReadBwc, Stat::NumOfMappedSdcs]);
        assert_eq!(learned.wanted(StatKind::System), Stat::wanted(StatKind::System).collect::<Vec<_>>());
        // The same refusal again teaches nothing more.
        assert!(!learned.learn(message, &learned.selection(&kinds)));
    }

    #[test]
    fn a_type_that_the_gateway_does_not_know_is_dropped_for_good() {
        for message in [
            "type should get one of the following values: System, Volume, Sds, but its value is ReplicationPair",
            "Unknown type ReplicationPair",
        ] {
            let mut learned = Learned::default();
            let kinds = [StatKind::System, StatKind::Volume, StatKind::ReplicationPair];
            assert!(learned.learn(message, &learned.selection(&kinds)), "{message}");
            assert_eq!(learned.selection(&kinds).keys().copied().collect::<Vec<_>>(), kinds[..2]);
        }
    }

    #[test]
    fn a_refusal_of_another_kind_teaches_nothing() {
        let mut learned = Learned::default();
        let selection = learned.selection(&StatKind::ALL);
        for message in [
            "",
            "Request message is not valid: System and Sds",
            "Sdt properties should contain only following values: a",
        ] {
            assert!(!learned.learn(message, &selection), "{message:?}");
        }
        assert_eq!(learned, Learned::default());
    }

    #[test]
    fn the_list_of_unused_statistics_is_ascending_and_names_no_used_one() {
        assert!(stat_names::IGNORED.is_sorted_by(|a, b| a < b));
        assert!(Stat::ALL.iter().all(|stat| stat_names::IGNORED.binary_search(&stat.wire_name()).is_err()));
    }

    #[test]
    fn the_query_is_what_gateways_take() {
        let selection = asked(&[(StatKind::System, &[Stat::NumOfSds])]);
        assert_eq!(
            query(&selection).unwrap(),
            br#"{"selectedStatisticsList":[{"type":"System","allIds":"","properties":["numOfSds"]}]}"#
        );
    }
}
