//! Bodies that went wrong on the way: whatever bytes come, nothing panics, and
//! what is returned is plausible.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use scaleio_framework::gateway::convert::{self, ParseError};
use scaleio_framework::gateway::{Answer, statistics};
use scaleio_framework::model::snapshot::{Keyed, Table};
use scaleio_framework::model::stats::{Stat, StatKind, StatUnit};
use scaleio_framework::model::unit::Timestamp;

/// The bodies of our fixtures that monitoring reads.
fn bodies() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rest");
    let mut bodies = Vec::new();
    for system in ["2.6-own", "4.5-own"] {
        let mut files: Vec<_> =
            std::fs::read_dir(folder.join(system)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        bodies.extend(files.iter().map(|file| std::fs::read(file).unwrap()));
    }
    assert!(bodies.len() > 20);
    bodies
}

/// One thing that happens to a body.
#[derive(Clone, Debug)]
enum Mutation {
    Flip {
        at: prop::sample::Index,
        bits: u8,
    },
    Cut {
        at: prop::sample::Index,
    },
    /// Another value in the place of one.
    Replace {
        at: prop::sample::Index,
        value: String,
    },
    /// A field of an object once more, with another value.
    Repeat {
        at: prop::sample::Index,
        value: String,
    },
    /// Many fields that nobody knows.
    Unknown {
        at: prop::sample::Index,
        count: usize,
    },
    /// A piece of the body taken out.
    Remove {
        at: prop::sample::Index,
        length: usize,
    },
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1".to_owned()),
        Just("9223372036854775808".to_owned()),
        Just("18446744073709551616".to_owned()),
        Just("1e300".to_owned()),
        Just("0.5".to_owned()),
        Just("\"NaN\"".to_owned()),
        Just("\"Infinity\"".to_owned()),
        Just("\"\"".to_owned()),
        Just("\"99999999999999999999\"".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("[[[{\"a\":[null]}]]]".to_owned()),
        Just(format!("{}{}", "[".repeat(300), "]".repeat(300))),
        Just("{\"id\":{\"id\":[1,2]}}".to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite()).prop_map(|n| n.to_string()),
        "[ -~]{0,40}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\\PC{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 1u8..).prop_map(|(at, bits)| Mutation::Flip { at, bits }),
        at().prop_map(|at| Mutation::Cut { at }),
        (at(), value()).prop_map(|(at, value)| Mutation::Replace { at, value }),
        (at(), value()).prop_map(|(at, value)| Mutation::Replace { at, value }),
        (at(), value()).prop_map(|(at, value)| Mutation::Repeat { at, value }),
        (at(), 1usize..3000).prop_map(|(at, count)| Mutation::Unknown { at, count }),
        (at(), 1usize..50).prop_map(|(at, length)| Mutation::Remove { at, length }),
    ]
}

/// Positions right behind each `": "`, where a value begins.
fn value_starts(body: &[u8]) -> Vec<usize> {
    body.windows(3)
        .enumerate()
        .filter(|(_, window)| *window == b"\": ")
        .map(|(at, _)| at + 3)
        .filter(|at| *at < body.len())
        .collect()
}

/// End of the scalar that begins here; lists and objects are cut into, which
/// makes yet another kind of broken body.
fn value_end(body: &[u8], start: usize) -> usize {
    let text = body[start] == b'"';
    let ends = |byte: &u8| if text { *byte == b'"' } else { b",\n]}".contains(byte) };
    let begin = start + usize::from(text);
    let end = body[begin..].iter().position(ends).map_or(body.len(), |length| begin + length);
    (end + usize::from(text)).min(body.len())
}

impl Mutation {
    fn apply(&self, body: &mut Vec<u8>) {
        if body.is_empty() {
            return;
        }
        let starts = value_starts(body);
        match self {
            Self::Flip { at, bits } => {
                let place = at.index(body.len());
                body[place] ^= bits;
            }
            Self::Cut { at } => body.truncate(at.index(body.len())),
            Self::Remove { at, length } => {
                let start = at.index(body.len());
                let end = (start + length).min(body.len());
                body.drain(start..end);
            }
            Self::Replace { at, value } if !starts.is_empty() => {
                let start = starts[at.index(starts.len())];
                let end = value_end(body, start);
                body.splice(start..end, value.bytes());
            }
            Self::Repeat { at, value } if !starts.is_empty() => {
                let start = starts[at.index(starts.len())];
                let key = body[..start - 3].iter().rposition(|byte| *byte == b'"').unwrap_or(0);
                let mut again = body[key..start].to_vec();
                again.extend_from_slice(value.as_bytes());
                again.push(b',');
                body.splice(key..key, again);
            }
            Self::Unknown { at, count } => {
                let braces: Vec<usize> =
                    body.iter().enumerate().filter(|(_, byte)| **byte == b'{').map(|(at, _)| at + 1).collect();
                if braces.is_empty() {
                    return;
                }
                let place = braces[at.index(braces.len())];
                let fields: String = (0..*count).map(|n| format!("\"field{n}\": {{\"a\": [{n}]}},")).collect();
                body.splice(place..place, fields.into_bytes());
            }
            Self::Replace { .. } | Self::Repeat { .. } => {}
        }
    }
}

fn a_possible_time(moment: Option<Timestamp>) {
    assert!(moment.is_none_or(|moment| (0..253_402_300_800).contains(&moment.timestamp())), "{moment:?}");
}

fn table<T: Keyed>(answer: Result<Answer<Table<T>>, ParseError>, check: impl Fn(&T))
where
    T::Id: std::fmt::Display,
{
    let Ok(answer) = answer else { return };
    assert!(answer.value.len() <= answer.objects);
    for object in answer.value.iter() {
        assert!(!object.id().to_string().is_empty(), "an object without an id");
        assert!(answer.value.get(object.id()).is_some());
        check(object);
    }
}

/// Reads a body as every kind of answer there is.
fn read_as_everything(body: &[u8]) {
    let ratio = |ratio: Option<scaleio_framework::model::unit::Ratio>| {
        assert!(ratio.is_none_or(|ratio| (0.0..=1.0).contains(&ratio.get())), "{ratio:?}");
    };
    let number = |number: Option<f64>| assert!(number.is_none_or(|number| number.is_finite() && number >= 0.0));
    if let Ok(answer) = convert::systems(body) {
        for system in &answer.value {
            assert!(!system.id.to_string().is_empty());
            number(system.license_days_left);
            for member in system.mdm.iter().flat_map(|mdm| &mdm.members) {
                assert!(!member.id.to_string().is_empty());
                assert_ne!(member.port, Some(0));
            }
        }
    }
    let _ = convert::mdm_cluster(body);
    table(convert::domains(body), |domain| assert!(domain.throttling.values().all(|limit| limit.get() > 0)));
    table(convert::fault_sets(body), |_| {});
    table(convert::pools(body), |pool| {
        ratio(pool.spare);
        ratio(pool.capacity_alert_high);
        ratio(pool.capacity_alert_critical);
    });
    table(convert::sds(body), |sds| {
        assert!(sds.addresses.iter().all(|address| !address.ip.is_empty()));
        a_possible_time(sds.certificate_expires);
        assert!(sds.restarts.is_none_or(|restarts| restarts < 1 << 63));
        for window in sds.oscillating.iter().flat_map(|counter| &counter.windows) {
            number(Some(window.threshold));
            number(Some(window.count));
        }
    });
    table(convert::devices(body), |device| {
        assert!(device.size.is_none_or(|size| size.get() % 1024 == 0 || size.get() == u64::MAX));
    });
    table(convert::sdcs(body), |sdc| assert!(sdc.addresses.iter().all(|ip| !ip.is_empty())));
    table(convert::volumes(body), |volume| {
        a_possible_time(volume.created);
        volume.mappings.iter().for_each(|mapping| number(mapping.limit_iops));
    });
    table(convert::vtrees(body), |_| {});
    table(convert::policies(body), |policy| {
        a_possible_time(policy.last_snapshot);
        number(policy.interval_minutes);
    });
    table(convert::groups(body), |group| number(group.rpo_seconds));
    table(convert::pairs(body), |_| {});
    table(convert::peers(body), |_| {});
    table(convert::sdrs(body), |_| {});
    table(convert::sdts(body), |_| {});
    for alert in convert::alerts(body).map(|answer| answer.value).unwrap_or_default() {
        assert!(!alert.id.is_empty() && !alert.name.is_empty());
        a_possible_time(alert.started);
    }
    if let Ok(page) = convert::alert_page(body) {
        assert!(page.value.entries.len() <= page.value.sent);
    }
    if let Ok(page) = convert::event_page(body) {
        page.value.entries.iter().for_each(|event| a_possible_time(event.at));
    }
    read_statistics(body);
}

fn read_statistics(body: &[u8]) {
    let selection: BTreeMap<StatKind, Vec<Stat>> =
        StatKind::ALL.into_iter().map(|kind| (kind, Stat::wanted(kind).collect())).collect();
    // The rows of one object are no bulk answer; put the name of a type around them.
    let mut wrapped = b"{\"System\": ".to_vec();
    wrapped.extend_from_slice(body);
    wrapped.push(b'}');
    for body in [body, &wrapped] {
        let Ok(answer) = statistics::read(body, &selection) else { continue };
        for (kind, stats) in &selection {
            let Some(table) = answer.value.table(*kind) else { continue };
            for row in table.ids().iter().filter_map(|id| table.row(id)) {
                for stat in stats {
                    if stat.unit() == StatUnit::Window {
                        let window = row.window(*stat);
                        assert!(window.is_none_or(|w| w.seconds >= 0.0 && w.weight >= 0.0 && w.count >= 0.0));
                    } else {
                        assert!(row.number(*stat).is_none_or(|number| number >= 0.0));
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_body_never_panics_and_gives_plausible_objects(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        let bodies = bodies();
        let mut body = bodies[which.index(bodies.len())].clone();
        for mutation in &mutations {
            mutation.apply(&mut body);
        }
        read_as_everything(&body);
    }

    #[test]
    fn a_value_of_any_shape_costs_its_field_and_not_its_object(
        at in any::<prop::sample::Index>(),
        value in value(),
    ) {
        let mut body = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rest/2.6-own/sds-instances.json")).unwrap();
        let before = convert::sds(&body).unwrap();
        // Values inside of the list are replaced only where they are scalars.
        let starts: Vec<usize> = value_starts(&body).into_iter().filter(|at| !b"[{".contains(&body[*at])).collect();
        let start = starts[at.index(starts.len())];
        let is_id = body[..start].ends_with(b"\"id\": ");
        let end = value_end(&body, start);
        body.splice(start..end, value.bytes());
        let after = convert::sds(&body);
        prop_assert!(after.is_ok(), "{after:?}");
        if let Ok(after) = after {
            prop_assert!(after.objects == before.objects || is_id);
            prop_assert!(after.objects + 1 >= before.objects);
        }
    }

    #[test]
    fn arbitrary_bytes_are_an_error_or_nothing(body in prop::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&body);
    }
}

#[test]
fn a_body_nested_without_end_is_an_error_and_no_stack_overflow() {
    for open in ["[", "{\"id\":", "[{\"ipList\":", "{\"mdmCluster\":", "{\"System\":{\"a\":", "[{\"links\":[[[["] {
        read_as_everything(open.repeat(200_000).as_bytes());
    }
}
