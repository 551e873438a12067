//! How does each node come from bare to ready, and why is it no further?
//!
//! ```text
//! Wanted -> Launching -> Installing{step} -> Joining -> Ready
//!    \__________\______________\_______________\_____> Failed{why, tries, retry_at} (and back)
//!                               \_______________\____> Lost, while its agent is silent
//! ```
//!
//! Nodes proceed on their own: none waits for another. [`decide`] says for one
//! node what is next, from what its agent tells, what the MDM shows and what
//! is written down of it; [`steps`] says what its agent shall make so, and in
//! which order; [`consume`] what follows so that tasks get volumes; [`add`] brings what the MDM lacks to it, each addition with
//! [`leave`] of its own moment; `run` is the loop.
//! [`cluster`] does the same for the MDM cluster of a system that shall have one,
//! [`spread`] says when it may be changed where servers are found,
//! [`lost`] says whether a member may be replaced, and [`licence`] whether it is time for the licence. [`disks`] knows disks
//! again that have other names. [`restart`] says whether a node must be started anew first.
//!
//! What an agent says moves a node to `Joining` at most. Only a snapshot makes
//! it `Ready`.

pub mod add;
pub mod cluster;
pub mod consume;
pub mod decide;
pub mod disks;
pub mod leave;
pub mod licence;
pub mod lost;
pub mod record;
pub mod restart;
pub mod run;
pub mod spread;
pub mod steps;
pub mod view;
