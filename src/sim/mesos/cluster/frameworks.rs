//! What happens when a framework subscribes, calls, goes away or is ended?

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Answer, Cluster, Framework, Kind, Stream, VERSION, heartbeat};
use crate::sim::mesos::refusal::Refused;
use crate::sim::mesos::wire::{Call, Roles, bytes, id, record, text};

/// Calls that a scheduler may make, and the part that each must have.
const CALLS: [(&str, &str); 13] = [
    ("ACCEPT", "accept"),
    ("DECLINE", "decline"),
    ("ACCEPT_INVERSE_OFFERS", "accept_inverse_offers"),
    ("DECLINE_INVERSE_OFFERS", "decline_inverse_offers"),
    ("KILL", "kill"),
    ("SHUTDOWN", "shutdown"),
    ("ACKNOWLEDGE", "acknowledge"),
    ("RECONCILE", "reconcile"),
    ("MESSAGE", "message"),
    ("SUPPRESS", ""),
    ("REVIVE", ""),
    ("REQUEST", ""),
    ("TEARDOWN", ""),
];

fn invalid(why: &str) -> Refused {
    Refused::bad(format!("Failed to validate scheduler::Call: {why}"))
}

impl Cluster {
    /// A call of a scheduler; `said` is the same call as JSON.
    pub(in crate::sim::mesos) fn scheduler(
        &mut self,
        call: &Call,
        said: &Value,
        stream: Option<&str>,
        principal: Option<&str>,
    ) -> Result<Answer, Refused> {
        let kind = call.kind.as_deref().unwrap_or_default();
        if kind == "SUBSCRIBE" {
            return self.subscribe(call, stream, principal);
        }
        let Some((_, part)) = CALLS.iter().find(|(name, _)| *name == kind) else {
            return Err(invalid("Expecting 'type' to be present"));
        };
        let Some(framework) = call.framework_id.as_ref().map(|id| id.value.clone()) else {
            return Err(invalid("Expecting 'framework_id' to be present"));
        };
        if !part.is_empty() && said.get(part).is_none_or(Value::is_null) {
            return Err(invalid(&format!("Expecting '{part}' to be present")));
        }
        if let Some(data) = call.message.as_ref().and_then(|message| message.data.as_deref()) {
            bytes("data", data).map_err(Refused::bad)?;
        }
        if let Some(uuid) = call.acknowledge.as_ref().and_then(|acknowledge| acknowledge.uuid.as_deref())
            && bytes("uuid", uuid).map_err(Refused::bad)?.len() != 16
        {
            return Err(invalid("Not a valid UUID"));
        }
        self.is_current(&framework, stream)?;
        self.obey(kind, &framework, call);
        Ok(Answer::Accepted)
    }

    /// Whether the stream of a call is the one that the framework has now.
    fn is_current(&self, framework: &str, stream: Option<&str>) -> Result<(), Refused> {
        let known = self.frameworks.get(framework).ok_or_else(|| Refused::bad("Framework cannot be found"))?;
        let Some(own) = &known.stream else {
            return Err(Refused::new(StatusCode::FORBIDDEN, "Framework is not subscribed"));
        };
        let stream = stream
            .ok_or_else(|| Refused::bad("All non-subscribe calls should include the 'Mesos-Stream-Id' header"))?;
        if stream == own.id {
            return Ok(());
        }
        Err(Refused::bad(format!(
            "The stream ID '{stream}' included in this request didn't match the stream ID currently associated with framework ID {framework}"
        )))
    }

    fn obey(&mut self, kind: &str, framework: &str, call: &Call) {
        match kind {
            "ACCEPT" => call.accept.iter().for_each(|accept| self.accept(framework, accept)),
            "DECLINE" => call.decline.iter().for_each(|refuse| self.decline(framework, refuse)),
            "ACCEPT_INVERSE_OFFERS" => {
                call.accept_inverse_offers.iter().for_each(|vote| self.vote(framework, "ACCEPT", vote));
            }
            "DECLINE_INVERSE_OFFERS" => {
                call.decline_inverse_offers.iter().for_each(|vote| self.vote(framework, "DECLINE", vote));
            }
            "KILL" => call.kill.iter().for_each(|named| self.kill(framework, named)),
            "SHUTDOWN" => {
                if let Some(named) = &call.shutdown {
                    self.shut_down(named.agent(), &(framework.to_owned(), named.executor_id.value.clone()));
                }
            }
            "ACKNOWLEDGE" => call.acknowledge.iter().for_each(|named| self.acknowledge(framework, named)),
            "RECONCILE" => call.reconcile.iter().for_each(|asked| self.reconcile(framework, asked)),
            "MESSAGE" => {
                if let Some(named) = &call.message {
                    let key = (framework.to_owned(), named.executor_id.value.clone());
                    let data = named.data.clone().unwrap_or_default();
                    self.tell_executor(named.agent(), &key, json!({ "type": "MESSAGE", "message": { "data": data } }));
                }
            }
            "SUPPRESS" => self.suppress(framework, call.suppress.as_ref(), true),
            "REVIVE" => self.suppress(framework, call.revive.as_ref(), false),
            "TEARDOWN" => self.remove_framework(framework),
            _ => {}
        }
    }

    fn suppress(&mut self, framework: &str, roles: Option<&Roles>, hold: bool) {
        let Some(framework) = self.frameworks.get_mut(framework) else { return };
        let said: Vec<String> =
            roles.map(|roles| roles.roles.iter().chain(&roles.role).cloned().collect()).unwrap_or_default();
        let meant = if said.is_empty() { framework.roles.clone() } else { said };
        for role in meant.into_iter().filter(|role| framework.roles.contains(role)) {
            if hold {
                framework.suppressed.insert(role);
            } else {
                framework.suppressed.remove(&role);
                framework.filters.retain(|(_, filtered), _| *filtered != role);
            }
        }
    }

    fn subscribe(&mut self, call: &Call, stream: Option<&str>, principal: Option<&str>) -> Result<Answer, Refused> {
        let part = call.subscribe.as_ref().ok_or_else(|| invalid("Expecting 'subscribe' to be present"))?;
        let info = &part["framework_info"];
        for needed in ["user", "name"] {
            if info[needed].as_str().is_none() {
                return Err(Refused::bad(format!(
                    "Failed to convert JSON into Call protobuf: Missing required fields: subscribe.framework_info.{needed}"
                )));
            }
        }
        let own = text(info, "/id/value");
        if call.framework_id.as_ref().map_or("", |id| id.value.as_str()) != own {
            return Err(invalid("'framework_id' differs from 'subscribe.framework_info.id'"));
        }
        if let (Some(principal), said) = (principal, text(info, "/principal"))
            && !said.is_empty()
            && said != principal
        {
            return Err(invalid(&format!(
                "Authenticated principal '{principal}' does not match principal '{said}' set in `FrameworkInfo`"
            )));
        }
        if stream.is_some() {
            return Err(Refused::bad("Subscribe calls should not include the 'Mesos-Stream-Id' header"));
        }
        let (sink, events) = mpsc::unbounded_channel();
        let stream = self.dashed();
        if let Some(message) = self.objection(info, own) {
            // The stream ends with it: nobody holds the sink any more.
            let _ = sink.send(record(&json!({ "type": "ERROR", "error": { "message": message } })));
            return Ok(Answer::Stream { id: Some(stream), events });
        }
        let framework = if own.is_empty() { self.next(Kind::Framework) } else { own.to_owned() };
        self.take_offers_back(&framework);
        self.take_in(&framework, part, Stream { id: stream.clone(), sink });
        let mut said = json!({ "framework_id": id(&framework), "master_info": self.master_info() });
        said["heartbeat_interval_seconds"] = json!(self.times.heartbeat.as_secs_f64());
        self.tell(&framework, &json!({ "type": "SUBSCRIBED", "subscribed": said }));
        self.tell(&framework, &heartbeat());
        self.send_again(&framework);
        Ok(Answer::Stream { id: Some(stream), events })
    }

    /// What a master says in a stream of 200 instead of taking a framework.
    fn objection(&self, info: &Value, own: &str) -> Option<String> {
        let roles = info["roles"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(role) = roles.clone().find(|role| role.contains(char::is_whitespace)) {
            return Some(format!(
                "'FrameworkInfo.roles' contains invalid role: Role component '{role}' is invalid because it contains backspace or whitespace"
            ));
        }
        if can(info, "MULTI_ROLE") && info["role"].is_string() {
            return Some("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable".to_owned());
        }
        self.removed.contains(own).then(|| "Framework has been removed".to_owned())
    }

    fn take_in(&mut self, framework: &str, part: &Value, stream: Stream) {
        let mut info = part["framework_info"].clone();
        info["id"] = id(framework);
        let words = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
        };
        let mut roles = words(&info["roles"]);
        if !can(&info, "MULTI_ROLE") {
            roles = vec![info["role"].as_str().unwrap_or("*").to_owned()];
        }
        let failover = info["failover_timeout"].as_f64().unwrap_or(0.0);
        let before = self.frameworks.remove(framework);
        if let Some(old) = before.as_ref().and_then(|before| before.stream.as_ref()) {
            let over = json!({ "type": "ERROR", "error": { "message": "Framework failed over" } });
            let _ = old.sink.send(record(&over));
        }
        let (kept, tasks, completed) = match before {
            Some(before) => (Some(before.is_checkpointing), before.tasks, before.completed),
            None => (None, BTreeMap::new(), VecDeque::new()),
        };
        let said = Framework {
            suppressed: words(&part["suppressed_roles"]).into_iter().collect::<BTreeSet<_>>(),
            is_partition_aware: can(&info, "PARTITION_AWARE"),
            is_checkpointing: kept.unwrap_or_else(|| info["checkpoint"].as_bool().unwrap_or(false)),
            failover: Duration::try_from_secs_f64(failover).unwrap_or_default(),
            roles,
            stream: Some(stream),
            away_since: None,
            beat_at: self.now + self.times.heartbeat,
            tasks,
            completed,
            filters: BTreeMap::new(),
            info,
        };
        self.frameworks.insert(framework.to_owned(), said);
    }

    /// Tells each framework of an error; its stream stays open, with heartbeats.
    pub(in crate::sim::mesos) fn say_error(&mut self, message: &str) {
        for stream in self.frameworks.values().filter_map(|framework| framework.stream.as_ref()) {
            let _ = stream.sink.send(record(&json!({ "type": "ERROR", "error": { "message": message } })));
        }
    }

    pub(super) fn master_info(&self) -> Value {
        let at = match self.lead {
            super::Lead::Master(at) | super::Lead::Recovering(at) => at,
            super::Lead::Nobody => 0,
        };
        let Some(address) = self.masters.get(at) else { return Value::Null };
        let (ip, port) = (address.ip().to_string(), address.port());
        json!({
            "id": self.id, "ip": 16_777_343, "port": port, "pid": format!("master@{address}"), "hostname": ip,
            "version": VERSION, "address": { "hostname": ip, "ip": ip, "port": port },
            // The real one ends its list with a capability that its JSON cannot name.
            "capabilities": [{ "type": "AGENT_UPDATE" }, { "type": "AGENT_DRAINING" }, {}],
        })
    }

    /// Streams that went, heartbeats that are due, frameworks that were away for too long.
    pub(super) fn tick_frameworks(&mut self) {
        let now = self.now;
        let mut left = Vec::new();
        let mut over = Vec::new();
        for (id, framework) in &mut self.frameworks {
            if framework.stream.as_ref().is_some_and(|stream| stream.sink.is_closed()) {
                framework.stream = None;
                framework.away_since = Some(now);
                left.push(id.clone());
            }
            if framework.away_since.is_some_and(|since| now >= since + framework.failover) {
                over.push(id.clone());
            }
            if let Some(stream) = &framework.stream
                && framework.beat_at <= now
            {
                framework.beat_at = now + self.times.heartbeat;
                let _ = stream.sink.send(record(&heartbeat()));
            }
            framework.filters.retain(|_, refused| {
                refused.retain(|(_, until)| *until > now);
                !refused.is_empty()
            });
        }
        left.iter().for_each(|id| self.take_offers_back(id));
        over.iter().for_each(|id| self.remove_framework(id));
    }

    /// Ends a framework for good, with everything that it runs.
    pub(super) fn remove_framework(&mut self, framework: &str) {
        self.take_offers_back(framework);
        self.removed.insert(framework.to_owned());
        let running: Vec<(String, (String, String))> = self
            .agents
            .iter()
            .flat_map(|(id, agent)| agent.executors.keys().map(|key| (id.clone(), key.clone())))
            .filter(|(_, (of, _))| of == framework)
            .collect();
        for (agent, key) in running {
            self.shut_down(&agent, &key);
        }
        if let Some(gone) = self.frameworks.remove(framework) {
            for task in gone.tasks.values() {
                self.free(&task.agent, task);
            }
        }
        self.inverse.retain(|_, inverse| inverse.framework != framework);
    }
}

/// Whether a framework has a capability.
fn can(info: &Value, word: &str) -> bool {
    info["capabilities"].as_array().into_iter().flatten().any(|one| one["type"] == word)
}
