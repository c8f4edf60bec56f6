//! Settings: every choice of a run, typed and whole. Flag, then environment, then `sdbuild.toml` beside
//! the configuration, then the user's own, then default.
//!
//! The only reader of the environment; nothing reads it after
//! `resolve`. May read files of the host to learn its habits; calls no other room.

mod boot;
mod build;
mod common;
mod environment;
mod file;
mod init;
mod mirrors;
mod project_policy;
mod resolver;
mod source;
mod source_date_epoch;
mod ssh_key;

pub use boot::Boot;
pub use build::Build;
pub use common::Common;
pub use environment::Environment;
pub use init::Init;
pub use source::{Setting, Source, Sources};
pub use ssh_key::SshKey;

use crate::cli;
use crate::common::failure::Failure;
use file::File;

/// The NixOS release that is built when nobody says otherwise.
pub const DEFAULT_RELEASE: &str = "26.05";
/// The binary cache of the NixOS project and the key that signs it.
const CACHE: &str = "https://cache.nixos.org";
const CACHE_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
/// The store volume when nobody says otherwise.
pub const STORE: &str = "sdbuild-store";
/// Where accounts have their public keys.
const GITHUB: &str = "https://github.com";

/// `sdbuild clean`.
#[derive(Clone, Debug)]
pub struct Clean {
    /// What every command needs to know.
    pub common: Common,
    /// Only list.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
}

/// A number from the environment.
fn number((name, text): (&str, Option<&String>), least: u32) -> Result<Option<u32>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let number = text
        .parse()
        .map_err(|_| Failure::usage(format!("{name} is `{text}`, which is no number")))?;
    at_least((name, Some(number)), least)
}

fn at_least((name, number): (&str, Option<u32>), least: u32) -> Result<Option<u32>, Failure> {
    match number {
        Some(number) if number < least => Err(Failure::usage(format!(
            "{name} is {number}; {least} is the least"
        ))),
        number => Ok(number),
    }
}

impl Clean {
    /// Puts together flags, environment and defaults.
    pub fn resolve(args: &cli::Clean, env: &Environment) -> Result<Self, Failure> {
        Ok(Self {
            common: Common::resolve(env, &File::default())?,
            dry_run: args.dry_run,
            yes: args.yes,
        })
    }
}
