//! What does each component ask of its host?
//!
//! Ports are the product's. Memory and space are our own margins, so being
//! below them warns; what stops is far below them, or what an order asks for by
//! number.

use crate::model::order::Component;
use crate::model::version::Generation;

/// The needs of one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// Memory it works well with, in MiB.
    pub(super) memory_mib: u64,
    /// Space for its package, what it writes and its logs, in MiB.
    pub(super) space_mib: u64,
}

/// Beyond what the operating system itself takes.
pub(super) const fn of(component: Component) -> Needs {
    let (memory_mib, space_mib) = match component {
        // The original asked for 3 GB on the host of a manager; its repository and traces are written all the time.
        Component::Mdm => (3072, 3072),
        Component::Tb => (512, 1024),
        // Without the cache in memory, which is chosen by its owner.
        Component::Sds => (1024, 1024),
        Component::Sdc => (256, 256),
        // It keeps the packages that it is shown.
        Component::Lia => (128, 1024),
        // A Java server with its logs.
        Component::Gateway => (2048, 2048),
    };
    Needs { memory_mib, space_mib }
}

/// Ports that a component opens.
pub(super) fn ports(component: Component, generation: Option<Generation>) -> &'static [u16] {
    match component {
        // Which port the clients use changed with 4.x.
        Component::Mdm if generation.is_some_and(|generation| generation >= Generation::V4) => &[9011, 8611],
        Component::Mdm => &[9011, 6611],
        Component::Tb => &[9011],
        Component::Sds => &[7072],
        Component::Sdc => &[],
        Component::Lia => &[9099],
        Component::Gateway => &[443, 80],
    }
}

/// Whether clients find the managers of the MDM at a port.
pub(super) const fn is_of_managers(port: u16) -> bool {
    matches!(port, 6611 | 8611)
}

/// Who is behind a port, in the words of people.
pub(super) const fn service(port: u16) -> &'static str {
    match port {
        6611 | 8611 => "MDM, for clients",
        9011 => "MDM, for its members",
        7072 => "SDS",
        9099 => "LIA",
        443 | 80 => "gateway",
        _ => "service",
    }
}
