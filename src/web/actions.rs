//! What people do on the page: acknowledge, silence, end a silence. Each is a page of its own with a form, which is the
//! confirmation, works without script and by keyboard, and is sent by POST with a word that no other site knows.

use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use url::form_urlencoded;

use super::api::{Shown, html};
use super::handling::{answer, via};
use super::overview::{self, AlertShown};
use super::page::sheet::{self, Did, Reader};
use super::problem::Problem;
use super::routes::{Answers, Body, Param, Route};
use crate::clock;
use crate::model::alerting::{Answer, Fingerprint, Matcher, Order, SilenceId, Target, exactly};
use crate::model::person::{Person, Role};

/// Makes the word by which a form is known to be ours. A form from before a restart is asked for anew.
#[derive(Clone)]
pub struct FormKey([u8; 64]);

impl FormKey {
    /// Another one for each process.
    pub fn random() -> Self {
        Self(rand::random())
    }

    fn word(&self, person: &Person) -> String {
        let tag = self.mac(person).finalize().into_bytes();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag)
    }

    fn knows(&self, word: &str, person: &Person) -> bool {
        let tag = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(word).unwrap_or_default();
        self.mac(person).verify_slice(&tag).is_ok()
    }

    fn mac(&self, person: &Person) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(person.name.as_deref().unwrap_or_default().as_bytes());
        mac
    }
}

/// Pages and their forms.
pub(super) fn routes() -> Vec<Route> {
    const DID: &[Param] = &[Param { name: "did", what: "what was just done: acknowledged, silenced or ended" }];
    vec![
        Route::get("/alert/{fingerprint}", Answers::Page, "One alert, and what can be done about it.", look)
            .query(DID)
            .refuses(REFUSED),
        Route::post(
            "/alert/{fingerprint}/acknowledge",
            Role::Operator,
            Answers::Page,
            "Say who works on an alert.",
            acknowledge,
        )
        .takes(Body::Form(&["form", "by", "comment", "seconds"]))
        .refuses(ACTS),
        Route::post(
            "/alert/{fingerprint}/silence",
            Role::Operator,
            Answers::Page,
            "Say nothing of an alert for a while.",
            silence,
        )
        .takes(Body::Form(&["form", "by", "reason", "scope", "seconds"]))
        .refuses(ACTS),
        Route::get("/silence/{id}", Answers::Page, "One silence, and the way to end it.", look_at_silence)
            .refuses(REFUSED),
        Route::post("/silence/{id}/end", Role::Operator, Answers::Page, "End a silence now.", end)
            .takes(Body::Form(&["form", "by"]))
            .refuses(ACTS),
    ]
}

const REFUSED: &[u16] = &[400, 404, 410, 503];
const ACTS: &[u16] = &[303, 400, 404, 409, 410, 413, 415, 503];

/// What was filled in.
struct Form(Bytes);

impl Form {
    /// Takes a form that our page made for this person.
    fn read(shown: &Shown, person: &Person, headers: &HeaderMap, body: Bytes) -> Result<Self, Problem> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "This is not the form of the page."));
        }
        let form = Self(body);
        if shown.forms.knows(&form.field("form"), person) {
            return Ok(form);
        }
        let detail = "The form is from before a restart of the controller, or not ours: open the page again.";
        Err(Problem::new(StatusCode::CONFLICT, detail))
    }

    fn field(&self, name: &str) -> String {
        let found = form_urlencoded::parse(&self.0).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    /// Who, by the name of the form and of the login.
    fn by(&self, person: &Person) -> Result<String, Problem> {
        let by = person.called(Some(&self.field("by")));
        if by.is_empty() {
            Err(Problem::new(StatusCode::BAD_REQUEST, "Say who you are: fill in your name."))
        } else {
            Ok(by)
        }
    }

    fn seconds(&self) -> Result<Option<u64>, Problem> {
        match self.field("seconds").trim() {
            "" => Ok(None),
            text => match text.parse() {
                Ok(seconds) => Ok(Some(seconds)),
                Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "For how long? A number of seconds is expected.")),
            },
        }
    }
}

async fn look(
    State(shown): State<Shown>,
    Extension(person): Extension<Person>,
    Path(fingerprint): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let did = query.iter().find(|(key, _)| key == "did").map(|(_, did)| did.as_str());
    let did = did.and_then(|word| Did::ALL.into_iter().find(|did| did.as_str() == word));
    let made = find(&shown, &fingerprint).map(|found| {
        let token = shown.forms.word(&person);
        let reader = Reader { person: &person, token: &token, can_act: shown.switchboard.is_some() };
        sheet::alert(&found, &reader, did, clock::now())
    });
    page("../", made)
}

async fn acknowledge(
    State(shown): State<Shown>,
    Extension(person): Extension<Person>,
    Path(fingerprint): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let done = async {
        let form = Form::read(&shown, &person, &headers, body)?;
        let found = find(&shown, &fingerprint)?;
        let (on, by) = (Target::Alert(found.fingerprint), form.by(&person)?);
        let (comment, seconds) = (form.field("comment"), form.seconds()?);
        answer(&shown, Order::Acknowledge { on, by, comment, seconds, via: via(&person) }).await?;
        Ok(format!("../{}?did={}", found.fingerprint, Did::Acknowledged.as_str()))
    };
    went(done.await)
}

async fn silence(
    State(shown): State<Shown>,
    Extension(person): Extension<Person>,
    Path(fingerprint): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let done = async {
        let form = Form::read(&shown, &person, &headers, body)?;
        let found = find(&shown, &fingerprint)?;
        let alert = &found.alert;
        let matchers: Vec<Matcher> = if form.field("scope") == "name" {
            let system = alert.system.as_ref().map(|system| Matcher::equal("system", system.as_str()));
            std::iter::once(Matcher::equal("alertname", &alert.name)).chain(system).collect()
        } else {
            exactly(&alert.labels)
        };
        let nothing = || Problem::new(StatusCode::BAD_REQUEST, "For how long? A silence needs an end.");
        let (owner, reason, seconds) = (form.by(&person)?, form.field("reason"), form.seconds()?.ok_or_else(nothing)?);
        answer(&shown, Order::Silence { matchers, owner, reason, seconds, via: via(&person) }).await?;
        Ok(format!("../{}?did={}", found.fingerprint, Did::Silenced.as_str()))
    };
    went(done.await)
}

async fn look_at_silence(
    State(shown): State<Shown>,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
) -> Response {
    let made = async {
        let id = SilenceId::parse(&id).map_err(|error| Problem::not_found(error.to_string()))?;
        let Answer::Silences(silences) = answer(&shown, Order::Silences).await? else {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "This is no list of silences."));
        };
        let found = silences.into_iter().find(|silence| silence.id == id);
        let found = found.ok_or_else(|| Problem::not_found(format!("There is no silence {id} any more.")))?;
        let token = shown.forms.word(&person);
        let reader = Reader { person: &person, token: &token, can_act: true };
        Ok(sheet::silence(&found, &reader, clock::now()))
    };
    page("../", made.await)
}

async fn end(
    State(shown): State<Shown>,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let done = async {
        let form = Form::read(&shown, &person, &headers, body)?;
        let id = SilenceId::parse(&id).map_err(|error| Problem::not_found(error.to_string()))?;
        answer(&shown, Order::Expire { id, by: form.by(&person)?, via: via(&person) }).await?;
        Ok("../../".to_owned())
    };
    went(done.await)
}

/// An alert that fires.
fn find(shown: &Shown, fingerprint: &str) -> Result<AlertShown, Problem> {
    let gone = || Problem::not_found("This alert does not fire any more, so there is nothing to do about it.");
    let fingerprint = u64::from_str_radix(fingerprint, 16).map(Fingerprint).map_err(|_| gone())?;
    let sources = shown.sources(Vec::new(), Vec::new());
    let firing = sources.firing.clone().ok_or_else(gone)?;
    let alert = firing.alerts.get(&fingerprint).filter(|alert| alert.is_firing()).ok_or_else(gone)?;
    Ok(AlertShown {
        fingerprint,
        alert: alert.clone(),
        handled: sources.handled.get(&fingerprint).cloned(),
        hurt: overview::hurt(&sources, alert),
    })
}

fn page(root: &str, made: Result<maud::Markup, Problem>) -> Response {
    let (status, page) = match made {
        Ok(page) => (StatusCode::OK, page),
        Err(problem) => (problem.code(), sheet::missing(root, problem.detail())),
    };
    html(status, page.into_string())
}

/// Back to where the result is seen, so that a reload does nothing again.
fn went(done: Result<String, Problem>) -> Response {
    match done {
        Ok(to) => match HeaderValue::try_from(to) {
            Ok(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
            Err(_) => StatusCode::NO_CONTENT.into_response(),
        },
        Err(problem) => html(problem.code(), sheet::refused("../../", problem.detail()).into_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::person::Door;

    #[test]
    fn a_form_is_good_for_the_person_it_was_made_for() {
        let (key, other) = (FormKey::random(), FormKey::random());
        let anna = Person { name: Some("anna".to_owned()), role: Role::Operator, door: Door::Network };
        let nobody = Person::unnamed(Role::Admin, Door::Network);
        let word = key.word(&anna);
        assert!(key.knows(&word, &anna));
        assert!(!key.knows(&word, &nobody) && !other.knows(&word, &anna));
        for bad in ["", "x", &word[1..], "AAAA"] {
            assert!(!key.knows(bad, &anna), "{bad}");
        }
    }
}
