//! What a build starts from.

use sha2::{Digest as _, Sha256};

use super::cli_module::CliModule;
use super::command::BuildRequest;
use super::config_dir::ConfigDir;
use super::layout;
use super::lock::Locked;
use super::nixpkgs::LocalNixpkgs;
use super::source::Configuration;
use crate::common::hash::Sha256Hash;
use crate::common::nix_string::nix_string;

/// A configuration ready to be built: what is uploaded, what is evaluated and what pins it.
///
/// Today it comes from a module file. Everything after it takes this value, wherever it comes from.
#[derive(Clone, Debug)]
pub struct BuildSource {
    /// The file that is evaluated.
    pub configuration: Configuration,
    /// What the command line adds to it.
    pub cli_module: CliModule,
    /// The nixpkgs that it is evaluated with.
    pub nixpkgs: LocalNixpkgs,
    /// The lock entry of that nixpkgs; `None` for a local directory, which only its content identifies.
    pub locked: Option<Locked>,
    /// The directory that is uploaded with the file.
    pub files: ConfigDir,
}

impl BuildSource {
    /// SHA-256 of everything that the builder sees of the configuration, without nixpkgs; `files` is that of the uploaded
    /// directory.
    pub(super) fn sha256(&self, files: Sha256Hash) -> Sha256Hash {
        with_cli_module(files.into(), &self.cli_module)
    }

    /// The module that imports the user's file by its path, so that errors name it, and the module that sdbuild adds.
    pub(super) fn wrapper(&self) -> String {
        wrapper(self.configuration.file())
    }

    /// The expressions that depend on this source: name and content.
    pub(super) fn expressions(&self, request: &BuildRequest) -> [(&'static str, String); 3] {
        let system = nix_string(&request.system.to_string());
        [
            (
                "source.nix",
                format!("import ./module.nix {{ system = {system}; }}\n"),
            ),
            ("format.nix", nix_lists(request.format.candidates)),
            ("command-line.nix", self.cli_module.module()),
        ]
    }
}

fn wrapper(file: &str) -> String {
    let path = nix_string(&format!("/{file}"));
    let (dir, expressions) = (layout::CONFIG, layout::EXPRESSIONS);
    format!("{{ imports = [ ({dir} + {path}) {expressions}/additions.nix ]; }}\n")
}

/// Lists of names as a Nix expression.
fn nix_lists(lists: &[&[&str]]) -> String {
    let list = |names: &&[&str]| {
        let names: String = names.iter().map(|name| nix_string(name) + " ").collect();
        format!("[ {names}] ")
    };
    let lists: String = lists.iter().map(list).collect();
    format!("[ {lists}]\n")
}

/// The digest of the files, or of that digest and the command line's definitions when there are any.
fn with_cli_module(files: [u8; 32], cli_module: &CliModule) -> Sha256Hash {
    let digest = match cli_module.lines() {
        [] => files,
        lines => {
            let hash = Sha256::new_with_prefix(files).chain_update(lines.join("\n"));
            hash.finalize().into()
        }
    };
    digest.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::image_format::SD_IMAGE;

    #[test]
    fn the_wrapper_imports_the_users_file() {
        let text = wrapper("my \"pi\".nix");
        assert_eq!(
            text,
            "{ imports = [ (/build/config + \"/my \\\"pi\\\".nix\") /build/sdbuild/expressions/additions.nix ]; }\n"
        );
    }

    #[test]
    fn the_formats_attributes_are_lists_of_names() {
        assert_eq!(
            nix_lists(SD_IMAGE.candidates),
            "[ [ \"sdImage\" ] [ \"images\" \"sd-card\" ] [ \"image\" ] ]\n"
        );
    }
}
