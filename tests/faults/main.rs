//! Processes are killed, disks filled up and connections cut: afterwards the machine is unchanged and nothing is
//! lost.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]
#![expect(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests print why they are skipped, read the environment and wait"
)]
#![expect(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "each tier uses a part of it")]
mod support;

mod deploy;
mod disk;
mod engine;
mod exclusive;
mod injection;
mod private;
mod registrar;
mod store_in_use;
