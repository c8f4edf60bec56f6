//! Nix: what goes into the builder, what runs in it, and what its log means.
//!
//! Promises: the configuration and nixpkgs are uploaded, never mounted; arguments are arrays, no
//! shell ever sees a value that a user wrote; every line of Nix's log is kept; a failure says
//! whose it is (the configuration, the build, this machine). Refuses: to read the environment, to
//! download anything itself, to give the builder a host path or a capability.

mod build_log;
pub mod build_source;
pub mod builder;
pub mod check;
pub mod cli_module;
pub mod command;
mod config_dir;
mod diagnosis;
mod expensive_builds;
mod follow;
pub mod forecast;
mod ignore_rules;
mod interactive;
mod layout;
pub mod lock;
pub mod log;
pub mod nix_conf;
pub mod nixpkgs;
mod nixpkgs_tree;
pub mod shell_session;
pub mod source;
mod store_path;
mod tar_writer;
