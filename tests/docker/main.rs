//! A real engine, the real kernel table, real emulation, the miniature nixpkgs. What cannot run here
//! says so aloud; CI skips nothing.

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

#[path = "../support/registrar.rs"]
mod registrar;
#[path = "../support/mod.rs"]
mod support;

mod arm64;
mod bench;
mod boot;
mod check;
mod conditions;
mod containers;
mod copy_out;
mod desktop;
mod emulator;
mod endings;
mod engines;
mod exclusive;
mod forecast;
mod foreign_images;
mod glue;
mod handlers;
mod inputs;
mod lease;
mod output;
mod private;
mod products;
mod releases;
mod remote;
mod shell;
mod table;
mod talk;
mod terminal;
mod trial;
mod whole;
