//! The one engine for everything that touches a node or the MDM. Pure: facts
//! and a moment come in, records and effects go out.
//!
//! 1. [`book`] is all that is known of runs, tasks and obligations: the sum of
//!    the records of the [`journal`], and of nothing else.
//! 2. [`gate`] says whether a step may be taken now, and if not, why.
//! 3. [`advance`] is the one step function: what is written down next, and what
//!    is done after that was made durable.
//! 4. [`history`] tells it, and says whether all of it is there.
//! 5. [`check`] judges plans, and knows neither gate nor planner.
//!
//! Whoever runs it commits the records of a turn first and has the effects after.

pub mod advance;
pub mod book;
pub mod check;
pub mod clients;
pub mod command;
pub mod engine;
pub mod facts;
pub mod gate;
pub mod history;
pub mod journal;
pub mod observe;
pub mod record;
pub mod seam;
mod skew;
pub mod undo;

mod mutant;

pub use mutant::is as makes_mistake;
#[cfg(any(test, feature = "mutants"))]
pub use mutant::set as make_mistake;
