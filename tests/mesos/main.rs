//! Whether the framework and its executors do what they promise at a real
//! Mesos (masters, agents and ZooKeeper of release 1.11, each its own process),
//! and whether the simulated Mesos of the demo is like it.
//!
//! Each case is one function that knows nothing of where it is played; the list
//! below plays it at both. Stories of one cluster follow each other in one case,
//! since a real cluster takes seconds to start. What only one of the two has
//! stands beside: `failover` needs ZooKeeper, and `masters` tells a simulated
//! master to do what a real one does only by chance.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stderr, reason = "cases tell how far they came; it is shown of those that fail")]

mod calls;
mod cluster;
mod controller;
mod crash;
mod doctor;
mod failover;
mod login;
mod masters;
mod nodes;
mod refusals;
mod simulated;
mod site;
mod workloads;

/// Plays each case at both places.
macro_rules! cases {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod at_the_real_one {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                Box::pin(crate::$module::$case::<crate::cluster::Cluster>()).await;
            })*
        }
        mod at_the_simulated_one {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                Box::pin(crate::$module::$case::<crate::simulated::Simulated>()).await;
            })*
        }
    };
}

cases! {
    calls::a_task_is_killed_and_its_last_word_repeated_until_it_is_acknowledged,
    calls::a_framework_that_stays_away_too_long_is_removed,
    calls::offers_come_and_stay_away_as_they_were_asked_to,
    calls::operators_see_and_move_agents,
    calls::what_cannot_be_launched_is_told_and_questions_are_answered,
    crash::a_controller_that_is_killed_at_any_effect_resumes_without_a_second_launch,
    crash::what_a_person_asked_of_the_framework_is_done_though_the_controller_is_killed_at_it,
    login::a_master_that_wants_a_login_gets_it_and_a_wrong_one_is_told,
    nodes::an_executor_is_fetched_checked_and_heard,
    nodes::tasks_follow_their_agents_whatever_happens_to_them,
    refusals::calls_of_no_meaning_are_refused_in_the_words_of_mesos,
    refusals::streams_are_fenced,
    workloads::tasks_are_named_with_their_application_and_their_volumes,
}

/// What this program would run, as it says itself: nothing may be played at one place only.
#[test]
fn the_same_cases_are_played_at_both() {
    let output = std::process::Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let at = |place: &str| -> Vec<String> {
        let all = listed.lines().filter_map(|line| line.strip_prefix(place)?.strip_suffix(": test"));
        all.map(str::to_owned).collect()
    };
    let (real, simulated) = (at("at_the_real_one::"), at("at_the_simulated_one::"));
    eprintln!("{} cases at the real Mesos, {} at the simulated one", real.len(), simulated.len());
    assert_eq!(real, simulated);
    assert!(real.len() >= 12, "{real:?}");
}
