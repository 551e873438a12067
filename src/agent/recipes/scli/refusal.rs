//! What does it mean when the MDM says no?
//!
//! Texts are those of the product's own list. Wordings differ between
//! releases, so a part of the text is looked for, whatever its letters' case.

/// A kind of no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The MDM belongs to no cluster.
    Free,
    /// It stands by, and another one must be asked.
    StandsBy,
    /// What was asked for is so, or something of that name is: a look tells which.
    LookAgain,
    /// The host has something of its time in this same cluster.
    WasHere,
    /// The host belongs to another cluster, or did.
    Elsewhere,
    /// Nobody is logged in, or with a wrong password.
    Login,
    /// The password of a new cluster must be set before anything else.
    SetPasswordFirst,
    /// It passes: something is under way.
    Wait,
    /// The order cannot be carried out as it is.
    Wrong,
    /// No text that we know.
    Other,
}

/// Parts of texts, in small letters, and what they mean. The first that fits counts.
const TEXTS: &[(&str, Refusal)] = &[
    ("not attached to a system", Refusal::Free),
    ("cluster state is incorrect", Refusal::Free),
    ("not supported on the standby mdm", Refusal::StandsBy),
    ("master mdm is already configured", Refusal::LookAgain),
    ("same ip address already exists", Refusal::LookAgain),
    ("same name already exists", Refusal::LookAgain),
    ("already in this cluster mode", Refusal::LookAgain),
    ("already the master", Refusal::LookAgain),
    ("system name already in use", Refusal::LookAgain),
    ("not found", Refusal::LookAgain),
    ("could not find", Refusal::LookAgain),
    ("previously part of this cluster", Refusal::WasHere),
    ("configured to a different cluster", Refusal::Elsewhere),
    ("part of another cluster", Refusal::Elsewhere),
    ("password change", Refusal::SetPasswordFirst),
    ("must be changed", Refusal::SetPasswordFirst),
    ("invalid session", Refusal::Login),
    ("permission denied", Refusal::Login),
    ("password", Refusal::Login),
    ("login", Refusal::Login),
    ("logged in", Refusal::Login),
    ("blocked during upgrade", Refusal::Wait),
    ("upgrade", Refusal::Wait),
    ("busy", Refusal::Wait),
    ("try again", Refusal::Wait),
    ("wrong number of mdms", Refusal::Wrong),
    ("wrong mdm role", Refusal::Wrong),
    ("part of the current cluster and cannot be removed", Refusal::Wrong),
    ("is the master, not a slave", Refusal::Wrong),
];

/// The kind of a text.
pub fn of(text: &str) -> Refusal {
    let text = text.to_lowercase();
    TEXTS.iter().find(|(part, _)| text.contains(part)).map_or(Refusal::Other, |(_, refusal)| *refusal)
}

impl Refusal {
    /// What helps, for people; none where the agent itself goes on.
    pub const fn mend(self) -> Option<&'static str> {
        match self {
            Self::Elsewhere => Some(
                "the host belongs to another MDM cluster or was not taken out of it; look there, then remove and install its MDM package again",
            ),
            Self::Wrong => {
                Some("the cluster is not as the order took it to be; it is looked at again before the next one")
            }
            Self::Login => Some("the password is not the cluster's; set the right one in the configuration"),
            Self::SetPasswordFirst => Some("the administrator's password must be set first"),
            Self::Other => Some("look at the MDM's log on the node"),
            Self::Free | Self::StandsBy | Self::LookAgain | Self::WasHere | Self::Wait => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_s_own_texts_are_known_by_their_meaning() {
        for (text, refusal) in [
            ("This MDM is not attached to a system.", Refusal::Free),
            ("The MDM cluster state is incorrect", Refusal::Free),
            ("The Master MDM is already configured", Refusal::LookAgain),
            ("The MDM is already configured to a different cluster", Refusal::Elsewhere),
            ("An MDM with the same IP address already exists.", Refusal::LookAgain),
            ("An MDM with the same name already exists.", Refusal::LookAgain),
            ("MDM was previously part of this cluster and was not properly removed", Refusal::WasHere),
            ("MDM is part of another cluster or was not properly removed", Refusal::Elsewhere),
            ("The MDM is already in this cluster mode.", Refusal::LookAgain),
            ("Wrong number of MDMs for this transition", Refusal::Wrong),
            ("The MDM is part of the current cluster and cannot be removed", Refusal::Wrong),
            ("This command is not supported on the Standby MDM", Refusal::StandsBy),
            ("Invalid session. Please login and try again.", Refusal::Login),
            ("System name already in use", Refusal::LookAgain),
            ("A password change is required", Refusal::SetPasswordFirst),
            ("CLUSTER COMMANDS are BLOCKED DURING UPGRADE", Refusal::Wait),
            ("the moon is full", Refusal::Other),
            ("", Refusal::Other),
        ] {
            assert_eq!(of(text), refusal, "{text}");
        }
    }
}
