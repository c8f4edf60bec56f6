//! The engine module and the binary against an engine with scripted replies: errors, truncated streams, other servers.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests fail by panicking; each tier uses its own part of the support"
)]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "each tier uses a part of it")]
mod support;

mod archives;
mod binary;
mod connecting;
mod doctor;
mod emulation;
mod images;
mod removal;
mod scripted;
mod server;
mod stale_objects;
mod waiting;
