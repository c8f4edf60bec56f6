//! Nix: the builder's input, the programs that it runs, and the meaning of their log.
//!
//! Guarantees: the configuration and nixpkgs are uploaded, never mounted; arguments are arrays, and no shell sees a value
//! that the user wrote; every line of Nix's log is kept; a failure is attributed to the configuration, the build or this
//! machine. This module does not read the environment, does not download, and gives the builder no path of the host
//! and no capability.

pub mod build_source;
pub mod builder;
pub mod command;
pub mod config_dir;
pub mod configuration;
pub mod flake;
mod follow;
mod git;
mod interactive;
pub mod lock;
pub mod network_access;
pub mod nixpkgs;
mod nixpkgs_tree;
mod tar_writer;
