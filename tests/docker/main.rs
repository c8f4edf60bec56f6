//! A real engine, the real kernel table, real emulation, the miniature nixpkgs. What cannot run here
//! says so aloud; CI skips nothing.

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

#[path = "../support/registrar.rs"]
mod registrar;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each tier uses a part of it")]
mod support;

mod arm64;
mod binfmt_table;
mod boot;
mod build;
mod check;
mod commands;
mod containers;
mod copy_out;
mod desktop;
mod dry_run;
mod emulator;
mod engines;
mod exclusive;
mod explained_failures;
mod foreign_images;
mod glue;
mod handlers;
mod inputs;
mod interruptions;
mod lease;
mod output;
mod private;
mod products;
mod releases;
mod remote;
mod shell;
mod single_run;
mod terminal;
mod try_command;
