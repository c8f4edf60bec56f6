//! Settings: every choice of a run, typed and complete. [`Options`] defines the settings that flags and settings files share;
//! `Build::resolve` applies the precedence.
//!
//! The only reader of the environment: nothing reads it after the settings are resolved. May read files of the host to
//! learn its defaults.

mod boot;
mod build;
mod build_args;
mod builders;
mod caches;
mod common;
mod environment;
mod file;
mod init;
mod mirrors;
mod options;
mod resolver;
mod source_choice;
mod ssh_key;
mod value;
mod variables;

pub use boot::{BootArgs, common_of_boot};
pub use build::{Build, source_date_epoch};
pub use build_args::{BuildArgs, ConfigArgs, DryRun};
pub use common::{common_without_file, output_dir};
pub use environment::{Environment, user_file};
pub use file::{NAME as SETTINGS_NAME, parse_toml};
pub use init::{Init, InitArgs};
pub use options::Options;
pub(crate) use options::{MACHINE, NIX, help_of};
pub use resolver::{Origin, Setting};
pub use source_choice::configuration_here;
pub use ssh_key::SshKey;
pub use value::{NixpkgsSource, Number, StoreName, WordList, memory_mib};
pub use variables::{VARIABLES, VariableGroup};

/// The default NixOS release.
pub const DEFAULT_RELEASE: &str = "26.05";
/// Name of the default store volume, and prefix of every other.
pub const STORE: &str = "sdbuild-store";
/// The binary cache of the NixOS project.
const CACHE: &str = "https://cache.nixos.org";
/// The key that signs it.
const CACHE_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/// The `words` in their order, without repetitions.
fn each_once(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let is_new = |word: &String| seen.insert(word.clone());
    words.into_iter().filter(is_new).collect()
}
