//! What a build starts from, read whole.

use std::io;

use sha2::{Digest as _, Sha256};

use super::cli_module::CliModule;
use super::command;
use super::config_dir::ConfigDir;
use super::lock::Locked;
use super::nixpkgs::NixpkgsIn;
use super::source::Configuration;

/// A configuration ready to be built: what is uploaded, what is evaluated and what pins it.
///
/// Today it comes from a module file. Everything after it takes this value, wherever it comes from.
#[derive(Clone, Debug)]
pub struct BuildSource {
    /// The file that is evaluated.
    pub configuration: Configuration,
    /// The directory that is uploaded with it.
    pub files: ConfigDir,
    /// What the command line adds to it.
    pub cli_module: CliModule,
    /// The nixpkgs that it is evaluated with.
    pub nixpkgs: NixpkgsIn,
    /// The lock entry of that nixpkgs; `None` for a local directory, which only its content identifies.
    pub locked: Option<Locked>,
}

impl BuildSource {
    /// SHA-256 of everything that the builder sees of the configuration, without nixpkgs. Reads all files.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        let files = self.files.digest()?;
        Ok(match self.cli_module.lines() {
            [] => files,
            lines => {
                let hash = Sha256::new_with_prefix(files).chain_update(lines.join("\n"));
                hash.finalize().into()
            }
        })
    }

    /// The module that is evaluated: it imports the configuration and what the command line adds.
    pub(super) fn wrapper(&self) -> String {
        command::wrapper(self.configuration.file())
    }
}
