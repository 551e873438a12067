//! Alerts and events on the wire, of both families of releases.

use super::{Maybe, Text};

wire! {
    /// An alert up to 3.6.
    Alert {
        id: Text<'de> = "id",
        alert_type: Text<'de> = "alertType",
        severity: Text<'de> = "severity",
        affected: Option<Affected<'de>> = "affectedObject",
        started: Text<'de> = "startTime",
        last_seen: Text<'de> = "lastObserved",
    } ignored {
        "alertValues" "links" "name" "uuid"
    }

    /// What such an alert is about.
    Affected {
        kind: Text<'de> = "type",
        id: Text<'de> = "id",
        object_id: Text<'de> = "objectId",
    } ignored {
        "links"
    }

    /// An alert from 4.0 on.
    ManagerAlert {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        severity: Text<'de> = "severity",
        description: Text<'de> = "description",
        repair: Text<'de> = "repair_flow",
        resource_type: Text<'de> = "resource_type",
        resource_name: Text<'de> = "resource_name",
        resource_id: Text<'de> = "resource_id",
        started: Text<'de> = "timestamp",
        last_seen: Text<'de> = "last_updated",
        cleared: Text<'de> = "cleared_timestamp",
        acknowledged: Text<'de> = "ack_timestamp",
    } ignored {
        "ack_by" "category" "code" "details" "domain" "is_internal" "job_id" "links" "original_severity"
        "originating_application_name" "related_events" "request_id" "send_to_srs" "sent_to_srs_timestamp" "service"
        "service_instance_id" "service_name" "service_version" "snmp_code" "source_ip" "srs_symptom_id"
        "system_impact" "trace_parent" "trace_state" "user_id"
    }

    /// An entry of the event log.
    Event {
        id: Text<'de> = "id",
        name: Text<'de> = "name",
        severity: Text<'de> = "severity",
        description: Text<'de> = "description",
        resource_type: Text<'de> = "resource_type",
        resource_name: Text<'de> = "resource_name",
        at: Text<'de> = "timestamp",
    } ignored {
        "ack_by" "ack_timestamp" "category" "cleared_timestamp" "code" "details" "domain" "is_internal" "job_id"
        "last_updated" "links" "original_severity" "originating_application_name" "related_events" "repair_flow"
        "request_id" "resource_id" "send_to_srs" "sent_to_srs_timestamp" "service" "service_instance_id"
        "service_name" "service_version" "snmp_code" "source_ip" "srs_symptom_id" "system_impact" "trace_parent"
        "trace_state" "user_id"
    }

    /// A page of alerts.
    AlertPage {
        results: Maybe<ManagerAlert<'de>> = "results",
        paging: Option<Paging<'de>> = "paging",
    } ignored {}

    /// A page of events.
    EventPage {
        results: Maybe<Event<'de>> = "results",
        paging: Option<Paging<'de>> = "paging",
    } ignored {}

    /// Where a page stands among all.
    Paging {
        total: Option<u64> = "total_instances",
    } ignored {
        "first" "last" "next" "prev"
    }
}
