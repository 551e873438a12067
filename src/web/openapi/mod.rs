//! What does the API say of itself? An OpenAPI 3.1 document, made of the table of routes.

use axum::Json;
use axum::extract::{Extension, State};
use serde_json::{Map, Value, json};

use super::access::Needs;
use super::api::{PARTS, Shown};
use super::routes::{self, Answers, Body, Route};
use crate::model::person::Person;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/openapi.json", Answers::Object, "This document.", served)]
}

async fn served(State(shown): State<Shown>, Extension(person): Extension<Person>) -> Json<Value> {
    let all = routes::all(shown.act_without_login);
    let systems: Vec<String> = shown.gallery.all().keys().map(ToString::to_string).collect();
    Json(document(all.iter().filter(|route| route.is_behind(person.door)), &systems))
}

/// The description of some routes; `systems` are those that there are.
pub fn document<'a>(routes: impl Iterator<Item = &'a Route>, systems: &[String]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route, systems);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "scaleio-framework",
            "version": crate::VERSION,
            "summary": "Health, alerts and work of ScaleIO systems.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "user": { "type": "http", "scheme": "basic" },
                "token": { "type": "http", "scheme": "bearer" },
            },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "description": "RFC 9457",
                    "properties": {
                        "type": { "type": "string" },
                        "title": { "type": "string" },
                        "status": { "type": "integer" },
                        "detail": { "type": "string", "description": "what is wrong, and what to do about it" },
                    },
                    "required": ["type", "title", "status", "detail"],
                },
            },
        },
    })
}

fn operation(route: &Route, systems: &[String]) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let schema = match name {
            "system" => json!({ "type": "string", "minLength": 1, "examples": systems }),
            "part" => json!({ "enum": PARTS }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = route.query.iter().map(
        |param| json!({ "name": param.name, "in": "query", "description": param.what, "schema": { "type": "string" } }),
    );
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.what,
        "parameters": parameters,
        "responses": responses(route),
    });
    match route.needs {
        Needs::Nothing => operation["security"] = json!([]),
        // Nobody has to log in where nobody is configured.
        Needs::Role(role) => {
            operation["security"] = json!([{}, { "user": [] }, { "token": [] }]);
            operation["x-role"] = json!(role);
        }
    }
    match route.body {
        None => {}
        Some(Body::Json(schema)) => {
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema() } } });
        }
        Some(Body::Form(fields)) => {
            let fields: Map<String, Value> =
                fields.iter().map(|field| ((*field).to_owned(), json!({ "type": "string" }))).collect();
            let schema = json!({ "type": "object", "properties": fields });
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/x-www-form-urlencoded": { "schema": schema } } });
        }
    }
    operation
}

/// A name for programs that are made of the document: `get_api_v1_systems_system`.
fn name(route: &Route) -> String {
    let path = route.path.trim_matches('/').replace(['/', '.', '-'], "_").replace(['{', '}'], "");
    format!("{}_{}", route.method.as_str().to_ascii_lowercase(), if path.is_empty() { "page" } else { &path })
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let content = |media: &str, schema: Value| json!({ media: { "schema": schema } });
    let mut add = |status: u16, content: Option<Value>, what: &str| {
        let mut response = json!({ "description": what });
        if let Some(content) = content {
            response["content"] = content;
        }
        responses.insert(status.to_string(), response);
    };
    let problem = || content("application/problem+json", json!({ "$ref": "#/components/schemas/Problem" }));
    let page = || content("text/html", json!({ "type": "string" }));
    let well = match route.answers {
        Answers::Object => content("application/json", json!({ "type": "object" })),
        Answers::List => content("application/json", json!({ "type": "array" })),
        Answers::Page => page(),
        Answers::Text(media) => content(media, json!({ "type": "string" })),
        Answers::Events => content("text/event-stream", json!({ "type": "string" })),
    };
    let is_order = route.path == "/api/v1/framework/orders";
    add(if is_order { 202 } else { 200 }, Some(well), "As asked.");
    for status in route.refusals {
        match (status, route.answers) {
            (303 | 304, _) => add(*status, None, "Done, or nothing new."),
            (_, Answers::Page) => add(*status, Some(page()), "Not done; the page says why."),
            (..) => add(*status, Some(problem()), "Not done; the problem says why."),
        }
    }
    if route.is_listed() {
        add(304, None, "The same as If-None-Match says.");
    }
    if let Needs::Role(_) = route.needs {
        add(401, Some(problem()), "Log in.");
        add(403, Some(problem()), "This takes another role, or another site made the browser ask.");
        add(429, Some(problem()), "Too often; Retry-After says how long to wait.");
    }
    Value::Object(responses)
}

#[cfg(test)]
mod tests;
