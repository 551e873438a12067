//! What is known of ScaleIO's packages on each operating system and in each
//! generation: data, and small code that reads what tools say.
//!
//! Nothing here touches a node. Each command carries how well it is known.

pub mod bare;
pub mod component;
pub mod dpkg;
pub mod driver;
pub mod drv_cfg;
pub mod mesos;
pub mod os;
pub mod package;
pub mod prerequisites;
pub mod release;
pub mod rpm;
pub mod scli;
pub mod volumes;

/// How an installed package stands in the package manager's own books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It is not there.
    Absent,
    /// It is there, once and whole.
    Whole(release::Release),
    /// It is there more than once, or not whole.
    Half(String),
    /// The books cannot be read.
    Unclear(String),
}
