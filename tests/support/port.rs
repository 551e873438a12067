//! Ports of servers that are ended and started again: none that an outgoing connection may get in between.

use std::net::TcpListener;

/// A port that is free now, below those of the clusters of tests/mesos and those that the kernel gives to connections.
pub(crate) fn free_port() -> u16 {
    let mut tries = (0..1000).map(|_| rand::random_range(10_000..19_000));
    tries.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
