//! Is the MDM cluster as the order says, and how does it become so?
//!
//! The cluster is asked before anything is done and after it; what it says is
//! in the report each time. A command is given once in a look: what the MDM
//! answers only tells whether another look is worth it. Nobody else uses
//! scli on the node meanwhile, and the session is ended again.

mod wanted;

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Found, State, Trouble, passing};
use crate::agent::host::{Call, Host, HostError};
use crate::agent::preflight;
use crate::agent::recipes::scli::refusal::Refusal;
use crate::agent::recipes::scli::{self, Said, read};
use crate::model::command::Command;
use crate::model::mdm::{Change, FOUND, MdmTask, MdmWord};
use crate::model::order::{Hidden, Order, Secrets};
use wanted::Stands;

/// The lock of a wrapper that others use around scli, since a session belongs to the host's user.
const LOCK: &str = "/var/lock/scli_wrap.lock";

/// What others do within it takes seconds.
const LOCK_WAITS: Duration = Duration::from_secs(30);

/// An MDM that leads answers in milliseconds; one that has just taken over, in seconds.
const ASKING: Duration = Duration::from_secs(20);

/// A change waits for the other members.
const CHANGING: Duration = Duration::from_secs(120);

pub(super) fn check(order: &Order, task: &MdmTask, host: &mut dyn Host, found: &mut Found) -> State {
    if let Some(state) = refused(task, &order.secrets) {
        return state;
    }
    let _held = match host.hold(LOCK, LOCK_WAITS) {
        Ok(held) => held,
        Err(error) => return State::Busy(format!("another program uses scli: {error}")),
    };
    let word = match look(task, &order.secrets, host) {
        Ok(word) => word,
        Err(state) => return state,
    };
    if let Ok(text) = serde_json::to_string(&word) {
        found.insert(FOUND.to_owned(), text);
    }
    match wanted::stands(&task.change, &word) {
        Stands::Wanted => State::So,
        Stands::Missing(what) => match taken(&task.change, host) {
            Some(why) => State::Impossible(why),
            None => State::NotSo(what),
        },
        Stands::Never(why) => State::Impossible(why),
        Stands::Otherwise => match &task.change {
            Change::Password => password(task, &order.secrets, host),
            Change::Licence { sha256 } => licence(sha256, &order.secrets, host),
            _ => State::Unclear("the cluster does not tell whether it is so".to_owned()),
        },
    }
}

/// Who has an address that the cluster that is to be made shall have, right before it gets it.
fn taken(change: &Change, host: &mut dyn Host) -> Option<String> {
    let Change::Create { virtual_ips, .. } = change else { return None };
    virtual_ips.iter().find_map(|ip| {
        let who = preflight::answers(*ip, host)?;
        Some(format!(
            "{ip} shall be a virtual address of the MDM cluster, and {who}; nothing was made. Choose another one"
        ))
    })
}

/// What stops before anything is asked.
fn refused(task: &MdmTask, secrets: &Secrets) -> Option<State> {
    let impossible = |why: String| Some(State::Impossible(why));
    if let Err(why) = task.commands().into_iter().try_for_each(|command| task.may(command)) {
        return impossible(why);
    }
    match task.change {
        Change::Look => return None,
        Change::Unknown => {
            return impossible(
                "this agent does not know the change; it is of another release than the controller".to_owned(),
            );
        }
        _ => {}
    }
    if !matches!(task.change, Change::Create { .. }) && secrets.mdm_admin.is_none() {
        return impossible("the MDM's administrator must log in, and the order has no password".to_owned());
    }
    None
}

/// What the cluster says of itself, or the node's own MDM where nobody else is to be asked.
fn look(task: &MdmTask, secrets: &Secrets, host: &mut dyn Host) -> Result<MdmWord, State> {
    let mut ask: &[_] = &task.ask;
    // A cluster is made at the node's own MDM, whatever others say.
    if matches!(task.change, Change::Create { .. }) {
        ask = &[];
    }
    let mut logged_in = false;
    loop {
        match run(scli::query_cluster(ask), ASKING, host).map_err(unclear)? {
            Said::Good(text) => {
                end_session(logged_in, task, host);
                return read::cluster(&text).map(MdmWord::Cluster).map_err(State::Unclear);
            }
            Said::Refused(Refusal::Free, _) if !logged_in => return Ok(MdmWord::Free),
            // The node's own word is enough to know that it is taken; others are asked for more.
            Said::Refused(Refusal::StandsBy, _) => {
                end_session(logged_in, task, host);
                return Ok(MdmWord::Bound);
            }
            Said::Refused(Refusal::Login | Refusal::SetPasswordFirst, text) if !logged_in => {
                let Some(password) = &secrets.mdm_admin else {
                    return Err(State::Unclear(format!("the MDM tells nothing to strangers ({text})")));
                };
                logged_in = log_in(task, password, host)?;
                if !logged_in {
                    return Err(State::Impossible(refusal_text(Refusal::Login, &text)));
                }
            }
            Said::Refused(_, text) => {
                end_session(logged_in, task, host);
                return Err(State::Unclear(format!("the MDM refuses to tell of its cluster: {text}")));
            }
            Said::NoAnswer(words) => return Err(State::Settling(format!("no MDM answers ({words})"))),
        }
    }
}

fn run(call: Call, within: Duration, host: &mut dyn Host) -> Result<Said, HostError> {
    match host.run(&Call { within, ..call }) {
        Ok(output) => Ok(scli::said(&output)),
        // It waits for an MDM that does not answer.
        Err(HostError::TooSlow { program, within }) => {
            Ok(Said::NoAnswer(format!("{program} had no answer within {} s", within.as_secs())))
        }
        Err(error) => Err(error),
    }
}

fn unclear(error: HostError) -> State {
    match error {
        HostError::Missing { .. } => {
            State::Impossible("there is no scli on the node; install the MDM as manager first".to_owned())
        }
        other => State::Unclear(other.to_string()),
    }
}

/// Whether the MDM takes the password.
fn log_in(task: &MdmTask, password: &Hidden, host: &mut dyn Host) -> Result<bool, State> {
    let call = scli::login(password, task.password_in_sight, &task.ask);
    match run(call, ASKING, host) {
        Ok(Said::Good(_)) => Ok(true),
        Ok(Said::Refused(Refusal::Login | Refusal::Other, _)) => Ok(false),
        // It is right, and nothing else may be done with it.
        Ok(Said::Refused(Refusal::SetPasswordFirst, _)) => Ok(true),
        // A prompt that comes again is a no, too.
        Err(HostError::Asks { .. }) => Ok(false),
        Ok(Said::Refused(_, text)) => Err(State::Unclear(format!("the MDM does not let us log in: {text}"))),
        Ok(Said::NoAnswer(words)) => Err(State::Settling(format!("no MDM answers ({words})"))),
        Err(error) => Err(unclear(error)),
    }
}

/// What is left of a session ends by itself, so nobody waits for this to go well.
fn end_session(logged_in: bool, task: &MdmTask, host: &mut dyn Host) {
    if logged_in {
        let _ = run(scli::logout(&task.ask), ASKING, host);
    }
}

fn refusal_text(refusal: Refusal, text: &str) -> String {
    match refusal.mend() {
        Some(mend) => format!("the MDM says: {text}; {mend}"),
        None => format!("the MDM says: {text}"),
    }
}

/// Which password the administrator has: the wanted one, the first one, or one that nobody told us.
fn password(task: &MdmTask, secrets: &Secrets, host: &mut dyn Host) -> State {
    let Some(wanted) = &secrets.mdm_admin else { return State::Impossible("the order has no password".to_owned()) };
    for (password, state) in [
        (wanted.clone(), State::So),
        (Hidden::new(scli::FIRST_PASSWORD), State::NotSo("the administrator has the first password still".to_owned())),
    ] {
        match log_in(task, &password, host) {
            Ok(true) => {
                end_session(true, task, host);
                return state;
            }
            Ok(false) => {}
            Err(state) => return state,
        }
    }
    State::Impossible(
        "the MDM takes neither the password of the order nor the first one; set the right one in the configuration"
            .to_owned(),
    )
}

fn licence_note(host: &dyn Host) -> String {
    format!("{}/licence", host.state_folder())
}

/// Where the text of a licence lies while scli reads it.
fn licence_text(host: &dyn Host) -> String {
    format!("{}/licence.text", host.state_folder())
}

/// scli does not tell which licence the MDM has, so a note is kept.
fn licence(sha256: &str, secrets: &Secrets, host: &mut dyn Host) -> State {
    // What a kill left there.
    let path = licence_text(host);
    if host.exists(&path)
        && let Err(error) = host.remove(&path)
    {
        return State::Unclear(error.to_string());
    }
    match &secrets.licence {
        None => return State::Impossible("the order has no licence".to_owned()),
        Some(text) if hash(text) != sha256 => {
            return State::Impossible("the licence of the order is another one than it names".to_owned());
        }
        Some(_) => {}
    }
    match host.read(&licence_note(host)) {
        Ok(Some(note)) if String::from_utf8_lossy(&note).trim() == sha256 => State::So,
        Ok(_) => State::NotSo("this licence was not set".to_owned()),
        Err(error) => State::Unclear(error.to_string()),
    }
}

pub(super) fn act(order: &Order, task: &MdmTask, host: &mut dyn Host) -> Result<(), Trouble> {
    let _held = host.hold(LOCK, LOCK_WAITS).map_err(|error| passing(&error))?;
    match &task.change {
        Change::Password => set_password(task, &order.secrets, host),
        Change::Look | Change::Unknown => Ok(()),
        Change::Create { .. } => tell(task, "", host),
        _ => {
            let password = order.secrets.mdm_admin.as_ref();
            let password = password.ok_or_else(|| Trouble::Lasting("the order has no password".to_owned()))?;
            if !log_in(task, password, host).map_err(super::trouble)? {
                return Err(Trouble::Lasting("the MDM does not take the password of the order".to_owned()));
            }
            let told = match &task.change {
                Change::Licence { sha256 } => set_licence(task, sha256, &order.secrets, host),
                _ => tell(task, "", host),
            };
            end_session(true, task, host);
            told
        }
    }
}

/// Sets a licence. Its text is on the node only while scli reads it.
fn set_licence(task: &MdmTask, sha256: &str, secrets: &Secrets, host: &mut dyn Host) -> Result<(), Trouble> {
    let text = secrets.licence.as_ref().ok_or_else(|| Trouble::Lasting("the order has no licence".to_owned()))?;
    let (path, note) = (licence_text(host), licence_note(host));
    host.write_secret(&path, text.reveal().as_bytes()).map_err(|error| passing(&error))?;
    let told = tell(task, &path, host);
    host.remove(&path).map_err(|error| passing(&error))?;
    told?;
    host.write(&note, sha256.as_bytes(), 0o600).map_err(|error| passing(&error))
}

fn hash(text: &Hidden) -> String {
    Sha256::digest(text.reveal()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives the command of a change, once.
fn tell(task: &MdmTask, licence: &str, host: &mut dyn Host) -> Result<(), Trouble> {
    let Some((_, call)) = scli::command(&task.change, licence, &task.ask) else { return Ok(()) };
    let answer = run(call.clone(), CHANGING, host).map_err(|error| passing(&error))?;
    let is_standby = matches!(task.change, Change::AddStandby { .. });
    match answer {
        Said::Refused(Refusal::WasHere, text) if is_standby => {
            // The MDM itself says that nothing but our own past is in the way.
            task.may(Command::AddStandbyAgain).map_err(|why| Trouble::Lasting(format!("{text}; {why}")))?;
            judge(run(scli::again(call), CHANGING, host).map_err(|error| passing(&error))?)
        }
        other => judge(other),
    }
}

fn judge(said: Said) -> Result<(), Trouble> {
    match said {
        Said::Good(_) | Said::Refused(Refusal::LookAgain, _) => Ok(()),
        Said::NoAnswer(words) => Err(Trouble::Passing(format!("no MDM answers ({words})"))),
        Said::Refused(refusal @ (Refusal::Wait | Refusal::Free | Refusal::StandsBy), text) => {
            Err(Trouble::Passing(refusal_text(refusal, &text)))
        }
        Said::Refused(refusal, text) => Err(Trouble::Lasting(refusal_text(refusal, &text))),
    }
}

fn set_password(task: &MdmTask, secrets: &Secrets, host: &mut dyn Host) -> Result<(), Trouble> {
    let wanted = secrets.mdm_admin.as_ref();
    let wanted = wanted.ok_or_else(|| Trouble::Lasting("the order has no password".to_owned()))?;
    let first = Hidden::new(scli::FIRST_PASSWORD);
    if !log_in(task, &first, host).map_err(super::trouble)? {
        return Err(Trouble::Passing("the MDM does not take the first password any more".to_owned()));
    }
    let call = scli::set_password(&first, wanted, task.password_in_sight, &task.ask);
    let said = run(call, ASKING, host);
    end_session(true, task, host);
    match said.map_err(|error| passing(&error))? {
        Said::Refused(Refusal::Login, text) => {
            Err(Trouble::Lasting(format!("the MDM does not take the new password: {text}; choose another one")))
        }
        other => judge(other),
    }
}
