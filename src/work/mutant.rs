//! Was this build told to make a certain mistake, so that tests can show that it is noticed? Never in a release.

#[cfg(any(test, feature = "mutants"))]
mod told {
    use std::cell::RefCell;

    thread_local! {
        static ACTIVE: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// Makes this thread make the mistake of this name, or none.
    pub fn set(name: Option<&str>) {
        ACTIVE.with(|active| *active.borrow_mut() = name.map(str::to_owned));
    }

    /// Whether this thread makes the mistake of this name.
    pub fn is(name: &str) -> bool {
        ACTIVE.with(|active| active.borrow().as_deref() == Some(name))
    }

    /// Mistakes that show only when the gate behind them makes one too, and forgets this reason.
    const BEHIND: &[(&str, &str)] = &[
        ("hand over unseen", "MdmOwned"),
        ("take for staged", "NotStaged"),
        ("leave unseen", "OwnSdsAway"),
        ("take what others began", "MaintenanceForeign"),
        ("plan for the controller", "HostsController"),
    ];

    /// Whether the gate forgets this reason.
    pub(in crate::work) fn forgets(reason: &str) -> bool {
        is(reason) || BEHIND.iter().any(|(mistake, behind)| *behind == reason && is(mistake))
    }
}

#[cfg(not(any(test, feature = "mutants")))]
mod told {
    /// No mistake is made on purpose.
    pub const fn is(_: &str) -> bool {
        false
    }

    /// No reason is forgotten on purpose.
    pub(in crate::work) const fn forgets(_: &str) -> bool {
        false
    }
}

pub use told::*;
