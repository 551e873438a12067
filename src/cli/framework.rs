//! `sio framework`: what only a person may decide about our framework at Mesos.

use clap::Subcommand;

use super::controller::{Asker, Question, Where};
use crate::model::framework::FrameworkAsked;
use crate::model::id::FrameworkId;

#[derive(Debug, Subcommand)]
pub(super) enum Framework {
    /// After the masters have removed it: registers under a new id. Every executor starts anew
    RegisterAnew {
        #[command(flatten)]
        whom: Where,
    },
    /// Has offers held back at the masters: no executor is launched, what runs goes on
    Hold {
        #[command(flatten)]
        whom: Where,
    },
    /// Asks for offers again
    GoOn {
        #[command(flatten)]
        whom: Where,
    },
    /// Ends the framework for good: the masters kill its tasks. Node agents and ScaleIO go on
    TearDown {
        /// Its id, as /api/v1/framework tells it
        framework: String,
        /// Who says so [default: the user that runs this]
        #[arg(long)]
        by: Option<String>,
        #[command(flatten)]
        whom: Where,
    },
}

pub(super) async fn framework(what: Framework, asker: &mut Asker<'_>) -> u8 {
    let (asked, whom) = match what {
        Framework::RegisterAnew { whom } => (FrameworkAsked::RegisterAnew, whom),
        Framework::Hold { whom } => (FrameworkAsked::Hold, whom),
        Framework::GoOn { whom } => (FrameworkAsked::GoOn, whom),
        Framework::TearDown { framework, by, whom } => {
            let by = asker.name(by).into();
            (FrameworkAsked::TearDown { framework: FrameworkId::new(&framework), by }, whom)
        }
    };
    asker.json = true;
    asker.show(&whom, &Question::post("/api/v1/framework/orders", &asked), |(): ()| String::new()).await
}
