//! The agent becomes another program.
//!
//! ```text
//! staged -> tried beside (it must reach a controller) -> this one kept, the new one in its place -> started anew
//!                                                                                                       |
//!     the old one back, and the step failed <-- 60 s without an answer, or three starts <-- on probation +--> heard: kept
//! ```

use std::time::Duration;

use super::{Found, State, Trouble, passing};
use crate::agent::host::{Call, Host};
use crate::agent::probation::{self, Probation};
use crate::model::order::{Artefact, Order};

/// Time for the new program to reach a controller beside the one that works.
const TRIAL: Duration = Duration::from_secs(60);

/// What a distribution's package manager owns is renewed by it.
const PACKAGED: &str = "/usr/";

pub(super) fn check(order: &Order, artefact: &Artefact, host: &mut dyn Host, found: &mut Found) -> State {
    let program = match host.program() {
        Ok(Some(program)) => program,
        Ok(None) => return State::Impossible("the agent here has no program that could be renewed".to_owned()),
        Err(error) => return State::Unclear(error.to_string()),
    };
    found.insert("program".to_owned(), program.sha256.clone());
    let note = match probation::read(host) {
        Ok(note) => note,
        Err(why) => return State::Unclear(why),
    };
    if program.sha256 == artefact.sha256 {
        return match note {
            Some(Probation::Begun { .. }) => State::Settling("no controller has answered the new program".to_owned()),
            // The next life is the old program's, and tells.
            Some(Probation::FellBack { order: of, why, .. }) if of == order.id => State::Settling(why),
            _ => State::So,
        };
    }
    if program.path.starts_with(PACKAGED) {
        let path = program.path;
        return State::Impossible(format!("{path} belongs to a package of this host; renew it by that package"));
    }
    match note {
        Some(Probation::FellBack { order: of, why, .. }) if of == order.id => {
            State::Impossible(format!("{why}, so the agent from before is back"))
        }
        _ => State::NotSo(format!("the agent is not {}", artefact.name)),
    }
}

pub(super) fn act(order: &Order, artefact: &Artefact, host: &mut dyn Host) -> Result<(), Trouble> {
    let lasting = |why: &str| Trouble::Lasting(why.to_owned());
    let program = host.program().map_err(|error| passing(&error))?;
    let program = program.ok_or_else(|| lasting("the agent here has no program"))?;
    let staged = host.stage(artefact).map_err(|error| passing(&error))?;
    let content = |host: &mut dyn Host, path: &str| match host.read(path) {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(Trouble::Passing(format!("{path} is gone"))),
        Err(error) => Err(passing(&error)),
    };
    let new = content(host, &staged)?;
    let beside = format!("{}.new", program.path);
    host.write(&beside, &new, 0o755).map_err(|error| passing(&error))?;
    let args = program.args.iter().map(String::as_str).chain(["--trial"]);
    let tried = host.run(&Call { within: TRIAL, ..Call::new(&beside, args) });
    match tried {
        Ok(output) if output.is_good() => {}
        Ok(output) => {
            return Err(Trouble::Lasting(format!(
                "{} was tried beside this agent and does not work here: {}",
                artefact.name,
                output.last_words()
            )));
        }
        Err(error) => return Err(Trouble::Lasting(format!("{} cannot be tried here: {error}", artefact.name))),
    }
    let old = content(host, &program.path)?;
    host.write(&probation::previous(&program.path), &old, 0o755).map_err(|error| passing(&error))?;
    let begun = Probation::Begun { order: order.id.clone(), sha256: artefact.sha256.clone(), starts: 0 };
    probation::write(&begun, host).map_err(Trouble::Passing)?;
    host.write(&program.path, &new, 0o755).map_err(|error| passing(&error))?;
    host.remove(&beside).map_err(|error| passing(&error))?;
    // What comes after is another life: the ledger leads it back to `check`.
    Err(Trouble::Passing(host.restart(&program).to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::agent::fixture::Fake;
    use crate::model::order::{OrderId, Secrets, Task};
    use crate::model::unit::Timestamp;

    const PATH: &str = "/opt/scaleio-framework/sio";

    fn artefact() -> Artefact {
        Artefact { name: "sio".to_owned(), sha256: "new".to_owned(), size: 3, url: None }
    }

    fn order() -> Order {
        Order {
            id: OrderId::new("renew.1"),
            epoch: 1,
            expires: Timestamp::UNIX_EPOCH,
            within_s: 300,
            task: Task::RenewAgent { artefact: artefact() },
            secrets: Secrets::default(),
        }
    }

    fn host(trial: i32) -> Fake {
        let mut host = Fake::with_program(PATH, "old");
        host.staged.insert("sio".to_owned(), b"new".to_vec());
        host.answers.insert(format!("{PATH}.new agent --folder /x --trial"), trial);
        host
    }

    fn state(host: &mut Fake) -> State {
        check(&order(), &artefact(), host, &mut BTreeMap::new())
    }

    #[test]
    fn a_program_that_reaches_no_controller_never_takes_the_place_of_one_that_works() {
        let mut host = host(1);
        assert!(matches!(state(&mut host), State::NotSo(_)));
        let told = act(&order(), &artefact(), &mut host).unwrap_err();
        assert!(matches!(&told, Trouble::Lasting(why) if why.contains("does not work here")), "{told:?}");
        assert_eq!((host.files[PATH].as_slice(), host.restarts), (b"old".as_slice(), 0));
        assert_eq!(probation::read(&mut host), Ok(None));
    }

    #[test]
    fn one_that_does_is_put_in_its_place_with_the_old_one_kept_beside() {
        let mut host = host(0);
        act(&order(), &artefact(), &mut host).unwrap_err();
        assert_eq!((host.files[PATH].as_slice(), host.restarts), (b"new".as_slice(), 1));
        assert_eq!(host.files[&probation::previous(PATH)], b"old");
        assert!(matches!(probation::read(&mut host), Ok(Some(Probation::Begun { starts: 0, .. }))));
        host.program_sha = "new".to_owned();
        assert!(matches!(state(&mut host), State::Settling(_)), "it is not done before it was answered");
        probation::passed(&mut host).unwrap();
        assert_eq!(state(&mut host), State::So);
    }

    #[test]
    fn a_program_that_is_giving_way_does_not_say_that_it_is_done() {
        let mut host = Fake::with_program(PATH, "new");
        let fell = Probation::FellBack { order: order().id, sha256: "new".to_owned(), why: "unheard".to_owned() };
        probation::write(&fell, &mut host).unwrap();
        assert_eq!(state(&mut host), State::Settling("unheard".to_owned()));
    }

    #[test]
    fn after_a_fall_back_the_same_order_fails_and_another_one_is_a_new_try() {
        let mut host = host(0);
        let fell =
            Probation::FellBack { order: order().id, sha256: "new".to_owned(), why: "it said nothing".to_owned() };
        probation::write(&fell, &mut host).unwrap();
        assert!(matches!(state(&mut host), State::Impossible(why) if why.contains("it said nothing")));
        let other = Order { id: OrderId::new("renew.2"), ..order() };
        let seen = check(&other, &artefact(), &mut host, &mut BTreeMap::new());
        assert!(matches!(seen, State::NotSo(_)), "{seen:?}");
    }

    #[test]
    fn what_a_package_of_the_host_owns_is_left_to_it() {
        let mut host = Fake::with_program("/usr/bin/sio", "old");
        assert!(matches!(state(&mut host), State::Impossible(why) if why.contains("package")));
    }
}
