//! What do people see of the page, who may do what, and does the API keep what its description says? The page is
//! looked at in a real Chromium.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, reason = "all of it is a test")]

mod act;
mod api;
mod browser;
mod login;
mod look;
mod nodes;
mod rights;
mod scene;

#[path = "../support/port.rs"]
mod port;

#[path = "../support/exposition.rs"]
mod exposition;
#[path = "../support/mailing.rs"]
#[allow(dead_code, reason = "shared with the tests of the monitor, of which this uses a part")]
mod mailing;
#[path = "../monitor/site.rs"]
#[allow(dead_code, reason = "shared with the tests of the monitor, of which this uses a part")]
mod site;
#[path = "../monitor/truth.rs"]
#[allow(dead_code, reason = "shared with the tests of the monitor, of which this uses a part")]
mod truth;
