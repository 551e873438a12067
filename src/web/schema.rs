//! What does a request to act bring along? JSON Schemas, beside the structures that read it.

use serde_json::{Value, json};

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

/// A silence.
pub(super) fn silencing() -> Value {
    object(
        &json!({
            "matchers": {
                "type": "array",
                "items": { "type": "string", "examples": ["sds=\"sds-1-1\""] },
                "description": "all of them must accept an alert: name=\"value\", !=, =~ or !~"
            },
            "owner": { "type": ["string", "null"], "description": "who answers for it; else the name of the login" },
            "reason": { "type": "string" },
            "seconds": { "type": "integer", "minimum": 0, "maximum": u64::MAX, "description": "for how long" },
        }),
        &["matchers", "reason", "seconds"],
    )
}

/// An acknowledgement.
pub(super) fn acknowledging() -> Value {
    object(
        &json!({
            "alert": { "type": ["string", "null"], "pattern": "^[0-9a-f]{1,16}$", "description": "its fingerprint" },
            "group": {
                "type": ["object", "null"],
                "properties": {
                    "system": { "type": ["string", "null"] },
                    "area": { "type": "string" },
                    "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                },
                "required": ["area"],
                "description": "or all that is told together"
            },
            "by": { "type": ["string", "null"], "description": "who; else the name of the login" },
            "comment": { "type": "string" },
            "seconds": { "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX },
        }),
        &[],
    )
}

/// A mail to try the way.
pub(super) fn testing() -> Value {
    object(
        &json!({
            "to": { "type": "array", "items": { "type": "string" }, "description": "those of the default route when none" },
            "by": { "type": ["string", "null"] },
        }),
        &[],
    )
}

/// An empty object.
pub(super) fn nothing() -> Value {
    object(&json!({}), &[])
}

/// An order to the work on a system.
pub(super) fn working() -> Value {
    let order = |name: &str, fields: &[(&str, Value)]| {
        let mut properties = json!({ "order": { "const": name }, "by": { "type": ["string", "null"] } });
        for (field, schema) in fields {
            properties[*field] = schema.clone();
        }
        let required: Vec<&str> = std::iter::once("order").chain(fields.iter().map(|(field, _)| *field)).collect();
        json!({ "type": "object", "properties": properties, "required": required })
    };
    let text = json!({ "type": "string" });
    let moment = json!({ "type": ["string", "null"], "format": "date-time" });
    json!({ "oneOf": [
        order("plan", &[("request", json!({ "type": "object" }))]),
        order("approve", &[("plan", text.clone())]),
        order("pause", &[]),
        order("resume", &[]),
        order("cancel", &[]),
        order("skip", &[("node", text.clone())]),
        order("hold", &[("node", text.clone()), ("until", moment)]),
        order("release", &[("node", text.clone())]),
        order("override", &[
            ("reason", text.clone()),
            ("node", json!({ "type": ["string", "null"] })),
            ("seconds", json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })),
            ("why", text.clone()),
        ]),
        order("free", &[("version", text)]),
    ] })
}
