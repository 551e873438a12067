//! The loop between the outbox and the servers.
