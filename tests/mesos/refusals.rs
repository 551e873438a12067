//! In which words does a master refuse?

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::site::{Site, Wanted, http, until};

/// A scheduler's request: its body and the headers that differ from the usual.
pub(crate) struct Asked<'a> {
    body: &'a str,
    content_type: Option<&'a str>,
    accept: &'a str,
    stream: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn of(body: &'a str) -> Self {
        Self { body, content_type: Some("application/json"), accept: "application/json", stream: None }
    }

    /// A call that names its stream.
    pub(crate) fn on(stream: &'a str, body: &'a str) -> Self {
        Self { stream: Some(stream), ..Self::of(body) }
    }

    async fn send(&self, master: &str) -> reqwest::Response {
        let mut request = http().post(format!("{master}/api/v1/scheduler")).body(self.body.to_owned());
        request = request.header("Accept", self.accept);
        for (name, value) in [("Content-Type", self.content_type), ("Mesos-Stream-Id", self.stream)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn refused(&self, master: &str) -> (u16, String) {
        let response = self.send(master).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

fn info(more: &Value) -> Value {
    let mut info = json!({
        "user": "root", "name": "cases", "roles": ["cases"], "failover_timeout": 60.0,
        "capabilities": [{ "type": "MULTI_ROLE" }, { "type": "PARTITION_AWARE" }],
    });
    for (key, value) in more.as_object().unwrap() {
        info[key] = value.clone();
    }
    info
}

pub(crate) fn subscribe(more: &Value) -> String {
    json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info(more) } }).to_string()
}

pub(crate) async fn calls_of_no_meaning_are_refused_in_the_words_of_mesos<S: Site>() {
    let site = S::up(26_000..27_000, Wanted::ONE).await;
    let master = site.master();
    let invalid = |why: &str| format!("Failed to validate scheduler::Call: {why}");
    let converted = |why: &str| format!("Failed to convert JSON into Call protobuf: {why}");

    let got = http().get(format!("{master}/api/v1/scheduler")).send().await.unwrap();
    assert_eq!((got.status().as_u16(), got.headers()["Allow"].to_str().unwrap()), (405, "POST"));
    let text = got.text().await.unwrap();
    assert_eq!(text, "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.");

    let type_needed = "Expecting 'Content-Type' of application/json or application/x-protobuf";
    for (content_type, status, text) in [
        (None, 400, "Expecting 'Content-Type' to be present"),
        (Some("application/json; charset=utf-8"), 415, type_needed),
        (Some("text/plain"), 415, type_needed),
    ] {
        let asked = Asked { content_type, ..Asked::of("{}") };
        assert_eq!(asked.refused(&master).await, (status, text.to_owned()), "{content_type:?}");
    }

    let unlike = json!({
        "type": "SUBSCRIBE", "framework_id": { "value": "a" },
        "subscribe": { "framework_info": info(&json!({ "id": { "value": "b" } })) },
    });
    let no_user = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": { "name": "cases" } } });
    let call = |kind: &str, part: Value| {
        let mut call = json!({ "type": kind, "framework_id": { "value": "nobody" } });
        if !part.is_null() {
            call[kind.to_lowercase()] = part;
        }
        call.to_string()
    };
    let named = |uuid: &str| json!({ "agent_id": { "value": "a" }, "task_id": { "value": "t" }, "uuid": uuid });
    let message = json!({ "agent_id": { "value": "a" }, "executor_id": { "value": "e" }, "data": "a*b" });
    for (body, text) in [
        ("nope".to_owned(), "Failed to parse body into JSON: syntax error at line 1 near: ope".to_owned()),
        ("{nope".to_owned(), "Failed to parse body into JSON: syntax error at line 1 near: nope".to_owned()),
        (String::new(), "Failed to parse body into JSON: syntax error at line 1 near: ".to_owned()),
        ("{}".to_owned(), invalid("Expecting 'type' to be present")),
        (call("ASCEND", Value::Null), invalid("Expecting 'type' to be present")),
        (r#"{"type":"REVIVE"}"#.to_owned(), invalid("Expecting 'framework_id' to be present")),
        (r#"{"type":"SUBSCRIBE"}"#.to_owned(), invalid("Expecting 'subscribe' to be present")),
        (unlike.to_string(), invalid("'framework_id' differs from 'subscribe.framework_info.id'")),
        (no_user.to_string(), converted("Missing required fields: subscribe.framework_info.user")),
        (call("ACCEPT", Value::Null), invalid("Expecting 'accept' to be present")),
        (call("ACKNOWLEDGE", named("c2hvcnQ=")), invalid("Not a valid UUID")),
        (
            call("ACKNOWLEDGE", named("ab-c")),
            converted("Failed to base64 decode bytes field 'uuid': Invalid character '-'"),
        ),
        (call("MESSAGE", message), converted("Failed to base64 decode bytes field 'data': Invalid character '*'")),
        (call("REVIVE", Value::Null), "Framework cannot be found".to_owned()),
    ] {
        assert_eq!(Asked::of(&body).refused(&master).await, (400, text), "{body}");
    }

    let body = subscribe(&json!({}));
    let with_id = Asked { stream: Some("x"), ..Asked::of(&body) }.refused(&master).await;
    assert_eq!(with_id, (400, "Subscribe calls should not include the 'Mesos-Stream-Id' header".to_owned()));
    let as_text = Asked { accept: "text/plain", ..Asked::of(&body) }.refused(&master).await;
    let wanted = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    assert_eq!(as_text, (406, wanted.to_owned()));

    for (more, message) in [
        (
            json!({ "roles": ["a b"] }),
            "'FrameworkInfo.roles' contains invalid role: Role component 'a b' is invalid because it contains backspace or whitespace",
        ),
        (
            json!({ "role": "x", "roles": [] }),
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        ),
    ] {
        // A stream with one word, and its end.
        let (status, text) = Asked::of(&subscribe(&more)).refused(&master).await;
        let record = json!({ "type": "ERROR", "error": { "message": message } }).to_string();
        let (length, json) = text.split_once('\n').unwrap();
        assert_eq!((status, length.parse::<usize>().unwrap()), (200, json.len()));
        assert_eq!(serde_json::from_str::<Value>(json).unwrap(), serde_json::from_str::<Value>(&record).unwrap());
    }
}

/// An open stream of raw records.
pub(crate) struct Stream {
    pub(crate) id: String,
    body: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    pub(crate) heard: String,
}

impl Stream {
    pub(crate) async fn open(master: &str, body: &str) -> Self {
        let response = Asked::of(body).send(master).await;
        assert_eq!(response.status().as_u16(), 200);
        let id = response.headers()["Mesos-Stream-Id"].to_str().unwrap().to_owned();
        Self { id, body: response.bytes_stream().boxed(), heard: String::new() }
    }

    /// Reads on until a word is heard, or the end.
    pub(crate) async fn until(&mut self, word: &str) {
        while !self.heard.contains(word) {
            self.more().await;
        }
    }

    /// Reads on.
    pub(crate) async fn more(&mut self) {
        match self.body.next().await {
            Some(Ok(bytes)) => self.heard.push_str(std::str::from_utf8(&bytes).unwrap()),
            end => panic!("{end:?} came after {}", self.heard),
        }
    }

    pub(crate) fn framework(&self) -> String {
        let (_, rest) = self.heard.split_once(r#""framework_id":{"value":""#).unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

pub(crate) async fn streams_are_fenced<S: Site>() {
    let site = S::up(27_000..28_000, Wanted::ONE).await;
    let master = site.master();
    let mut first = Stream::open(&master, &subscribe(&json!({}))).await;
    first.until("HEARTBEAT").await;
    let id = first.framework();
    let revive = json!({ "type": "REVIVE", "framework_id": { "value": id } }).to_string();
    let call = async |stream: Option<&str>| Asked { stream, ..Asked::of(&revive) }.refused(&master).await;

    assert_eq!(call(Some(&first.id)).await, (202, String::new()));
    let none = "All non-subscribe calls should include the 'Mesos-Stream-Id' header".to_owned();
    assert_eq!(call(None).await, (400, none));
    let other = |id: &str, framework: &str| {
        format!(
            "The stream ID '{id}' included in this request didn't match the stream ID currently associated with framework ID {framework}"
        )
    };
    let made_up = "27c2cdb0-4797-458e-9188-381d67693e69";
    assert_eq!(call(Some(made_up)).await, (400, other(made_up, &id)));

    let mut again: Value = serde_json::from_str(&subscribe(&json!({ "id": { "value": id } }))).unwrap();
    again["framework_id"] = json!({ "value": id });
    let again = again.to_string();
    let mut second = Stream::open(&master, &again).await;
    second.until("HEARTBEAT").await;
    first.until("Framework failed over").await;
    assert_eq!(second.framework(), id);
    assert_eq!(call(Some(&first.id)).await, (400, other(&first.id, &id)), "the old stream counts no more");
    assert_eq!(call(Some(&second.id)).await.0, 202);

    let old = second.id.clone();
    drop((first, second));
    let gone = async || (call(Some(&old)).await == (403, "Framework is not subscribed".to_owned())).then_some(());
    until("the master to see that the stream is gone", gone).await;

    let mut third = Stream::open(&master, &again).await;
    third.until("HEARTBEAT").await;
    let teardown = json!({ "type": "TEARDOWN", "framework_id": { "value": id } }).to_string();
    let ended = Asked { stream: Some(&third.id), ..Asked::of(&teardown) }.refused(&master).await;
    assert_eq!(ended, (202, String::new()));
    assert_eq!(call(Some(&third.id)).await, (400, "Framework cannot be found".to_owned()));
    let mut fourth = Stream::open(&master, &again).await;
    fourth.until("Framework has been removed").await;
}
