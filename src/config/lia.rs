//! How `[systems.NAME.rollout.lia]` is read: the product's own agent, by which the vendor's tools reach a node.

use super::section::{Section, complain};
use super::{Hidden, Secret, system};

/// `[systems.NAME.rollout.lia]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLia {
    /// What the vendor's tools show LIA. It is nobody else's password.
    pub token: Hidden,
    /// Which nodes get it.
    pub nodes: LiaNodes,
}

/// Which nodes get LIA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiaNodes {
    /// All that get any component, as the vendor's own installers do it up to 3.6.
    #[default]
    All,
    /// Those with a member of the MDM cluster.
    Mdm,
}

/// Reads the section; nothing when a part that must be there is not.
pub(super) fn read(mut section: Section<'_>) -> Option<WantedLia> {
    let variable = super::source::variable_of(&section.full("token"));
    let inline = section.take("token", |found| {
        if !found.is_variable() {
            let mend = format!("put it into a file of mode 0600 and name that as token_file, or set {variable}");
            return Err(complain("a token does not belong into this file", mend));
        }
        match found.text()? {
            "" => Err(complain("the token is empty", "set the variable to the token")),
            token => Ok(Secret::new(token)),
        }
    });
    let filed = section
        .take("token_file", |found| system::read_password(&found.path()?).map_err(|(what, mend)| complain(what, mend)));
    if !section.said("token") && !section.said("token_file") {
        let mend = format!("name a file of mode 0600 that holds only the token, or set {variable}");
        section.note("token_file", complain("the token of LIA is missing", mend));
    }
    let nodes = section.take("nodes", |found| match found.text()? {
        "all" => Ok(LiaNodes::All),
        "mdm" => Ok(LiaNodes::Mdm),
        other => Err(complain(format!("{other:?} are no nodes"), "write \"all\" or \"mdm\"")),
    });
    section.finish();
    Some(WantedLia { token: Hidden(inline.or(filed)?), nodes: nodes.unwrap_or_default() })
}
