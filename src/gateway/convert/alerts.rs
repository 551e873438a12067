//! Alerts and events, of both families of releases.

use serde::de::DeserializeSeed;

use super::{Answer, ParseError, each, moment, needed, text, word};
use crate::gateway::wire::alerts as wire;
use crate::gateway::wire::{Lenient, Odd, Seed, Text};
use crate::model::cluster::{MdmAlert, MdmEvent};
use crate::model::state::{Seen, Severity};

/// One page of a paged answer.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage<T> {
    /// What the page holds.
    pub entries: Vec<T>,
    /// How many entries were on the page, whatever became of them.
    pub sent: usize,
    /// How many the gateway says there are in all.
    pub total: Option<u64>,
}

/// Reads `types/Alert/instances`, up to 3.6. What is in the list is raised.
pub fn alerts(body: &[u8]) -> Result<Answer<Vec<MdmAlert>>, ParseError> {
    let mut odd = Odd::default();
    let mut alerts = Vec::new();
    each(&text(body), &mut odd, |wire: wire::Alert<'_>, odd| match alert(wire, odd) {
        Some(alert) => alerts.push(alert),
        None => odd.malformed += 1,
    })?;
    let count = alerts.len();
    Ok(Answer::new(alerts, count, "Alert", odd))
}

fn alert(wire: wire::Alert<'_>, odd: &mut Odd) -> Option<MdmAlert> {
    let affected = wire.affected.unwrap_or_default();
    // `com.emc.ecs.api.model.gen.Sds`
    let kind = affected.kind.as_deref().and_then(|kind| kind.rsplit('.').next()).map(Box::from);
    Some(MdmAlert {
        id: word(wire.id)?,
        name: word(wire.alert_type)?,
        severity: severity(&wire.severity, odd),
        description: None,
        repair: None,
        resource_type: kind,
        resource_name: None,
        resource_id: word(affected.object_id).or_else(|| word(affected.id)),
        started: moment(&wire.started, odd),
        last_seen: moment(&wire.last_seen, odd),
        acknowledged: false,
    })
}

/// The three grades up to 3.6 in the words used from 4.0 on.
fn severity(text: &Text<'_>, odd: &mut Odd) -> Seen<Severity> {
    match text.as_deref().map(|text| text.strip_prefix("ALERT_").unwrap_or(text)) {
        Some("LOW") => Seen::Is(Severity::Minor),
        Some("MEDIUM") => Seen::Is(Severity::Major),
        Some("HIGH") => Seen::Is(Severity::Critical),
        _ => needed(text, odd),
    }
}

/// Reads a page of `/rest/v1/alerts`, from 4.0 on; alerts that were cleared are left out.
pub fn alert_page(body: &[u8]) -> Result<Answer<EventPage<MdmAlert>>, ParseError> {
    let body = text(body);
    let mut odd = Odd::default();
    let page: wire::AlertPage<'_> = page(&body, &mut odd)?;
    let results = page.results.0.ok_or(NO_PAGE)?;
    let sent = results.len();
    let mut entries = Vec::with_capacity(sent);
    for wire in results {
        let cleared = moment(&wire.cleared, &mut odd).is_some();
        let acknowledged = moment(&wire.acknowledged, &mut odd).is_some();
        let (Some(id), Some(name)) = (word(wire.id), word(wire.name)) else {
            odd.malformed += 1;
            continue;
        };
        if cleared {
            continue;
        }
        entries.push(MdmAlert {
            id,
            name,
            severity: severity(&wire.severity, &mut odd),
            description: word(wire.description),
            repair: word(wire.repair),
            resource_type: word(wire.resource_type),
            resource_name: word(wire.resource_name),
            resource_id: word(wire.resource_id),
            started: moment(&wire.started, &mut odd),
            last_seen: moment(&wire.last_seen, &mut odd),
            acknowledged,
        });
    }
    let count = entries.len();
    let total = page.paging.and_then(|paging| paging.total);
    Ok(Answer::new(EventPage { entries, sent, total }, count, "alerts", odd))
}

/// Reads a page of `/rest/v1/events`, from 4.0 on.
pub fn event_page(body: &[u8]) -> Result<Answer<EventPage<MdmEvent>>, ParseError> {
    let body = text(body);
    let mut odd = Odd::default();
    let page: wire::EventPage<'_> = page(&body, &mut odd)?;
    let results = page.results.0.ok_or(NO_PAGE)?;
    let sent = results.len();
    let mut entries = Vec::with_capacity(sent);
    for wire in results {
        let (Some(id), Some(name)) = (word(wire.id), word(wire.name)) else {
            odd.malformed += 1;
            continue;
        };
        entries.push(MdmEvent {
            id,
            name,
            severity: severity(&wire.severity, &mut odd),
            description: word(wire.description),
            resource_type: word(wire.resource_type),
            resource_name: word(wire.resource_name),
            at: moment(&wire.at, &mut odd),
        });
    }
    let count = entries.len();
    let total = page.paging.and_then(|paging| paging.total);
    Ok(Answer::new(EventPage { entries, sent, total }, count, "events", odd))
}

const EXPECTED: &str = "page with a list of results";
const NO_PAGE: ParseError = ParseError::Shape { expected: EXPECTED };

/// The object around a list of results.
fn page<'de, P>(body: &'de str, odd: &mut Odd) -> Result<P, ParseError>
where
    Option<P>: Lenient<'de>,
{
    let mut json = serde_json::Deserializer::from_str(body);
    Seed::<Option<P>>::new(odd)
        .deserialize(&mut json)
        .and_then(|page| json.end().map(|()| page))
        .map_err(|error| ParseError::of(&error, body, EXPECTED))?
        .ok_or(NO_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_of_old_alerts_are_mapped_and_their_object_is_named() {
        let body = br#"[{"id":"u1","alertType":"SDS_DISCONNECTED","severity":"ALERT_HIGH","uuid":"u1","name":"u1",
            "affectedObject":{"type":"com.emc.ecs.api.model.gen.Sds","id":"0a","objectId":"0a"},"alertValues":{},
            "startTime":"2022-05-26T18:00:13.336Z","lastObserved":"2022-05-27T03:10:52.552Z"},
            {"id":"u2","alertType":"NEW_ONE","severity":"ALERT_LOW"},{"id":"u3","alertType":"X","severity":"ALERT_NEW"}]"#;
        let answer = alerts(body).unwrap();
        let severities: Vec<&str> = answer.value.iter().map(|alert| alert.severity.word()).collect();
        assert_eq!(severities, ["CRITICAL", "MINOR", "ALERT_NEW"]);
        assert_eq!(answer.value[0].resource_type.as_deref(), Some("Sds"));
        assert_eq!(answer.unknown["Alert"], 1);
    }

    #[test]
    fn cleared_alerts_are_left_out_of_a_page_but_counted_for_paging() {
        let body = br#"{"results":[{"id":"1","name":"A","severity":"MAJOR","cleared_timestamp":"0001-01-01T00:00:00Z",
            "ack_timestamp":"2026-01-01T00:00:00Z"},{"id":"2","name":"B","cleared_timestamp":"2026-01-01T00:00:00Z"}],
            "paging":{"total_instances":2,"first":1,"last":2,"next":"","prev":""}}"#;
        let answer = alert_page(body).unwrap();
        assert_eq!((answer.value.sent, answer.value.total, answer.value.entries.len()), (2, Some(2), 1));
        assert!(answer.value.entries[0].acknowledged);
        assert!(answer.unknown.is_empty(), "{:?}", answer.unknown);
    }

    #[test]
    fn an_object_without_results_is_no_page() {
        assert!(alert_page(br#"{"message":"no"}"#).is_err());
        assert!(event_page(br#"[]"#).is_err());
        assert!(event_page(br#"{"results":[]}"#).unwrap().value.entries.is_empty());
    }
}
