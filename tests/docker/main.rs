//! Tests with a real engine, the kernel's table of handlers, emulation and the miniature nixpkgs. A test that cannot
//! run on this machine is skipped with a message; with `CI` set it fails.

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

#[path = "../cli/aws_double.rs"]
#[expect(dead_code, reason = "each tier uses a part of it")]
mod aws_double;

/// The CLI tier checks calls against the models of AWS.
mod aws_model {
    use std::collections::BTreeMap;

    pub fn violation(_: &str, _: &str, _: &BTreeMap<String, String>, _: &[u8]) -> Option<String> {
        None
    }
}

mod arm64;
mod aws;
mod binfmt_table;
mod boards;
mod boot;
mod build;
mod build_directory;
mod builders;
mod caches;
mod check;
mod ci_workflow;
mod commands;
mod configuration_page;
mod container_image;
mod containers;
mod copy_out;
mod deploy;
mod desktop;
mod dry_run;
mod emulator;
mod engines;
mod exclusive;
mod explained_failures;
mod flakes;
mod foreign_images;
mod formats;
mod glue;
mod handlers;
mod image_files;
mod inputs;
mod installer;
mod interruptions;
mod iso;
mod lease;
mod machines;
mod old_results;
mod output;
mod personalise;
mod private;
mod products;
mod rebuild;
mod releases;
mod remote;
mod shell;
mod single_run;
mod terminal;
mod tool_flake;
mod try_command;
mod unchanged;
mod upload;
