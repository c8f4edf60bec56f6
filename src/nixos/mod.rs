//! Nix: what goes into the builder, what runs in it, and what its log means.
//!
//! Promises: the configuration and nixpkgs are uploaded, never mounted; arguments are arrays, no
//! shell ever sees a value that a user wrote; every line of Nix's log is kept; a failure says
//! whose it is (the configuration, the build, this machine). Refuses: to read the environment, to
//! download anything itself, to give the builder a host path or a capability.

mod attend;
pub mod builder;
mod bundle;
pub mod check;
pub mod command;
pub mod diagnosis;
mod follow;
pub mod forecast;
mod giants;
mod ignoring;
mod image;
mod journal;
mod layout;
pub mod lock;
pub mod log;
mod mistake;
pub mod nix_conf;
pub mod nixpkgs;
pub mod overlay;
mod pack;
mod pulse;
pub mod session;
pub mod source;
mod store_path;
pub mod symptom;
mod text;
mod tree;
mod upload;
mod warning;
mod wording;
