//! Whether the controller brings nodes to work: real `sio run`, real agents'
//! endpoint, a simulated system behind a simulated gateway.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adding;
mod adopting;
mod badly;
mod bare;
mod cluster;
mod demo;
#[path = "../support/effects.rs"]
mod effects;
mod joining;
mod killed;
mod lia;
mod licence;
mod networks;
mod pools;
#[path = "../support/port.rs"]
mod port;
mod ready;
mod renamed;
mod site;
mod staged;
mod virtual_ips;
