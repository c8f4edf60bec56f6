//! Things are killed, filled up and unplugged: the machine is as it was, and nothing is lost.

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
    dead_code,
    unused_imports,
    reason = "tests fail by panicking; each tier uses its own part of the support"
)]

#[path = "../support/mod.rs"]
mod support;

mod disk;
mod engine;
mod exclusive;
mod injection;
mod private;
mod registrar;
