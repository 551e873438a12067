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

/// For which host a token is made.
pub(super) fn joining() -> Value {
    object(&json!({ "node": { "type": "string", "description": "its name in [fleet.static]" } }), &["node"])
}

/// What people tell the rollout.
pub(super) fn rolling_out() -> Value {
    object(
        &json!({
            "order": { "enum": ["approve", "withdraw", "retry", "give_up"] },
            "system": { "type": "string", "description": "of approve and withdraw" },
            "by": { "type": "string", "description": "who says so, of all but retry" },
            "node": { "type": "string", "description": "of retry and give_up" },
        }),
        &["order"],
    )
}

/// What people tell the framework.
pub(super) fn framework() -> Value {
    object(
        &json!({
            "order": { "enum": ["register_anew", "hold", "go_on", "tear_down"] },
            "framework": { "type": "string", "description": "its id, of tear_down" },
            "by": { "type": "string", "description": "who says so, of tear_down" },
        }),
        &["order"],
    )
}

/// Who takes agents over.
pub(super) fn adopting() -> Value {
    object(&json!({ "by": { "type": "string", "description": "who says so" } }), &["by"])
}

/// An empty object.
pub(super) fn nothing() -> Value {
    object(&json!({}), &[])
}
