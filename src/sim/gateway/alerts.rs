//! Alerts and events: one list up to 3.6, two paged resources from 4.0 on.

use chrono::{DateTime, SecondsFormat, Utc};

use super::json::Json;
use super::refusal::Refused;
use crate::sim::world::{Alert, Event, Severity, World};

/// What 4.x writes for a moment that never came.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Page size when none is asked for.
const PAGE: usize = 100;

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `GET /api/types/Alert/instances`: what is up now.
pub(super) fn list(world: &World) -> String {
    let mut json = Json::default();
    json.array(|json| {
        for alert in world.alerts().filter(|alert| alert.cleared.is_none()) {
            json.object(|json| {
                json.key("alertType").string(alert.kind.name());
                json.key("severity").string(match alert.kind.severity() {
                    Severity::Information | Severity::Minor => "ALERT_LOW",
                    Severity::Major => "ALERT_MEDIUM",
                    Severity::Critical => "ALERT_HIGH",
                });
                json.key("affectedObject").object(|json| {
                    json.key("type").shown(format_args!("com.emc.ecs.api.model.gen.{}", alert.subject.kind));
                    json.key("id").shown(alert.subject.id);
                    json.key("objectId").shown(alert.subject.id);
                });
                json.key("alertValues").object(|_| {});
                json.key("lastObserved").string(&stamp(alert.observed));
                json.key("startTime").string(&stamp(alert.raised));
                for key in ["uuid", "name", "id"] {
                    json.key(key).string(&alert.uuid);
                }
            });
        }
    });
    json.finish()
}

/// What a page of `/rest/v1` was asked for.
#[derive(Debug, Default)]
pub(super) struct Page {
    limit: Option<usize>,
    offset: usize,
    descending: bool,
    since: Option<DateTime<Utc>>,
    severity: Option<String>,
    resource_type: Option<String>,
    name: Option<String>,
}

impl Page {
    /// Reads the query of a request.
    pub(super) fn read(query: &[(String, String)]) -> Result<Self, Refused> {
        let mut page = Self::default();
        for (key, value) in query {
            let number = || value.parse::<usize>().map_err(|_| Refused::malformed(format!("{key} is no number")));
            match key.as_str() {
                "limit" => page.limit = Some(number()?),
                "offset" => page.offset = number()?,
                "order" => page.descending = value.to_ascii_lowercase().contains("desc") || value.starts_with('-'),
                "filter" => {
                    for term in value.split(" and ") {
                        page.filter(term.trim())?;
                    }
                }
                _ => {}
            }
        }
        Ok(page)
    }

    fn filter(&mut self, term: &str) -> Result<(), Refused> {
        let words: Vec<&str> = term.splitn(3, ' ').collect();
        let [field, operator, value] = words[..] else {
            return Err(Refused::malformed(format!("filter term {term:?}")));
        };
        let value = value.trim_matches(['\'', '"']);
        match (field, operator) {
            ("timestamp", "ge") => {
                let at = DateTime::parse_from_rfc3339(value)
                    .map_err(|_| Refused::malformed(format!("timestamp {value:?}")))?;
                self.since = Some(at.with_timezone(&Utc));
            }
            ("severity", "eq") => self.severity = Some(value.to_owned()),
            ("resource_type", "eq") => self.resource_type = Some(value.to_owned()),
            ("name", "eq") => self.name = Some(value.to_owned()),
            _ => return Err(Refused::malformed(format!("filter term {term:?}"))),
        }
        Ok(())
    }

    fn takes(&self, at: DateTime<Utc>, severity: &str, resource_type: &str, name: &str) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        self.since.is_none_or(|since| at >= since)
            && is(&self.severity, severity)
            && is(&self.resource_type, resource_type)
            && is(&self.name, name)
    }

    /// One page of rows, and whether more follow.
    fn write<T>(&self, path: &str, mut rows: Vec<T>, row: impl Fn(&mut Json, &T)) -> (String, bool) {
        if self.descending {
            rows.reverse();
        }
        let total = rows.len();
        let limit = self.limit.unwrap_or(PAGE).max(1);
        let from = self.offset.min(total);
        let upto = from.saturating_add(limit).min(total);
        let link = |offset: usize| format!("{path}?offset={offset}&limit={limit}");
        let mut json = Json::default();
        json.object(|json| {
            json.key("paging").object(|json| {
                json.key("total_instances").number(total as u64);
                json.key("first").number(if upto > from { from as u64 + 1 } else { 0 });
                json.key("last").number(upto as u64);
                json.key("next").string(&if upto < total { link(upto) } else { String::new() });
                json.key("prev").string(&if from > 0 { link(from.saturating_sub(limit)) } else { String::new() });
            });
            json.key("results").array(|json| {
                for item in &rows[from..upto] {
                    row(json, item);
                }
            });
        });
        (json.finish(), upto < total)
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Information => "INFORMATION",
        Severity::Minor => "MINOR",
        Severity::Major => "MAJOR",
        Severity::Critical => "CRITICAL",
    }
}

/// `GET /rest/v1/alerts`, oldest first.
pub(super) fn alerts(world: &World, page: &Page) -> (String, bool) {
    let mut rows: Vec<&Alert> = world
        .alerts()
        .filter(|alert| {
            let kind = alert.kind;
            page.takes(alert.raised, severity(kind.severity()), alert.subject.resource, kind.name())
        })
        .collect();
    rows.sort_by_key(|alert| (alert.raised, alert.id));
    page.write("/rest/v1/alerts", rows, |json, alert| write_alert(json, alert))
}

fn write_alert(json: &mut Json, alert: &Alert) {
    let kind = alert.kind;
    json.object(|json| {
        json.key("id").shown(alert.id);
        json.key("code").string(kind.code());
        json.key("name").string(kind.name());
        json.key("description").shown(format_args!("{} of {}", kind.name(), alert.subject.name));
        json.key("severity").string(severity(kind.severity()));
        json.key("original_severity").string(severity(kind.severity()));
        json.key("timestamp").string(&stamp(alert.raised));
        json.key("last_updated").string(&stamp(alert.cleared.unwrap_or(alert.observed)));
        json.key("cleared_timestamp").string(&alert.cleared.map_or_else(|| NEVER.to_owned(), stamp));
        let seen = alert.acknowledged.as_ref();
        json.key("ack_timestamp").string(&seen.map_or_else(|| NEVER.to_owned(), |(at, _)| stamp(*at)));
        json.key("ack_by").opt_string(seen.map(|(_, by)| by.as_str()));
        json.key("resource_type").string(alert.subject.resource);
        json.key("resource_name").string(&alert.subject.name);
        json.key("resource_id").shown(alert.subject.id);
        json.key("domain").string("BLOCK");
        json.key("service").string("block");
        json.key("details").object(|_| {});
        json.key("system_impact").raw("null");
        json.key("repair_flow").raw("null");
        json.key("related_events").array(|json| {
            for (at, event) in alert.events.iter().enumerate() {
                let (when, change) = if at == 0 { (Some(alert.raised), "RAISED") } else { (alert.cleared, "CLEARED") };
                json.object(|json| {
                    json.key("id").shown(format_args!("{event:016x}"));
                    json.key("timestamp").string(&when.map_or_else(|| NEVER.to_owned(), stamp));
                    json.key("resulting_severity").string(severity(kind.severity()));
                    json.key("lifecycle_change").string(change);
                    json.key("description").string(kind.name());
                });
            }
        });
        json.key("category").string("STATE_CHANGED");
        json.key("send_to_srs").bool(false);
        json.key("sent_to_srs_timestamp").string(NEVER);
        json.key("srs_symptom_id").raw("null");
        json.key("snmp_code").raw("null");
    });
}

/// `GET /rest/v1/events`, oldest first.
pub(super) fn events(world: &World, page: &Page) -> (String, bool) {
    let rows: Vec<&Event> = world
        .events()
        .filter(|event| page.takes(event.at, event_severity(event), event.subject.resource, event.kind.name()))
        .collect();
    page.write("/rest/v1/events", rows, |json, event| {
        json.object(|json| {
            json.key("code").string(event.kind.code());
            json.key("name").string(event.kind.name());
            let word = if event.raised { "began" } else { "ended" };
            json.key("description").shown(format_args!("{} {word}: {}", event.kind.name(), event.subject.name));
            json.key("severity").string(event_severity(event));
            json.key("category").string("STATE_CHANGED");
            json.key("details").raw("null");
            json.key("domain").string("BLOCK");
            json.key("id").shown(format_args!("{:016x}", event.id));
            json.key("timestamp").string(&stamp(event.at));
            json.key("resource_type").string(event.subject.resource);
            json.key("resource_name").string(&event.subject.name);
            json.key("resource_id").shown(event.subject.id);
            json.key("service_name").string("block");
            json.key("service_version").string("1.0");
            for key in [
                "service_instance_id",
                "originating_application_name",
                "request_id",
                "related_events",
                "job_id",
                "trace_parent",
                "trace_state",
                "source_ip",
                "user_id",
            ] {
                json.key(key).raw("null");
            }
            json.key("is_internal").bool(false);
        });
    })
}

const fn event_severity(event: &Event) -> &'static str {
    if event.raised { severity(event.kind.severity()) } else { "INFORMATION" }
}
