//! A flake in a git repository, over the miniature nixpkgs as a relative input: no network is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{TestUser, mini_nixpkgs};

/// A git repository below the user's working directory, with the miniature nixpkgs in `nixpkgs`.
pub struct FlakeRepository<'a> {
    user: &'a TestUser,
    name: String,
}

impl<'a> FlakeRepository<'a> {
    /// The repository `name` with `files` in it, which are tracked and not committed.
    pub fn new(user: &'a TestUser, name: &str, files: &[(&str, &str)]) -> Self {
        let name = name.to_owned();
        let repository = Self { user, name };
        fs::create_dir_all(repository.path("")).unwrap();
        let nixpkgs = repository.path("nixpkgs");
        let copied = Command::new("cp").arg("-r").arg(mini_nixpkgs()).arg(nixpkgs).status();
        assert!(copied.unwrap().success());
        repository.git(&["init", "-q"]);
        for (file, text) in files {
            repository.write(file, text);
        }
        repository.git(&["add", "-A"]);
        repository
    }

    /// The path of a file in it.
    pub fn path(&self, file: &str) -> PathBuf {
        let path: PathBuf = self.user.home.path().join(&self.name);
        if file.is_empty() { path } else { path.join(file) }
    }

    pub fn write(&self, file: &str, text: &str) {
        let file = Path::new(&self.name).join(file);
        self.user.write(file.to_str().unwrap(), text);
    }

    /// Runs git there; returns what it writes, without white space at the ends.
    pub fn git(&self, words: &[&str]) -> String {
        let settings = ["user.name=x", "user.email=x@x.example", "protocol.file.allow=always"];
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        let mut git = Command::new("git");
        let output = git.args(settings).args(words).current_dir(self.path("")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits everything; returns the commit.
    pub fn commit(&self) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

/// The text of a `flake.nix` with the miniature nixpkgs from `nixpkgs` and `outputs`.
pub fn flake_text(nixpkgs: &str, outputs: &str) -> String {
    format!(
        "{{\n  inputs.nixpkgs.url = \"path:{nixpkgs}\";\n  outputs = {{ self, nixpkgs, ... }}@inputs: {{\n{outputs}\n  }};\n}}\n"
    )
}

/// A module with the SD card image, and `body`.
pub fn flake_module(body: &str) -> String {
    format!(
        "({{ config, lib, pkgs, modulesPath, ... }}: {{ imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ]; \
         system.stateVersion = \"26.05\"; {body} }})"
    )
}

/// The outputs of a flake with the configuration `name` of `modules`, in Nix's syntax for elements of a list.
pub fn flake_configuration(name: &str, modules: &str) -> String {
    format!(
        "nixosConfigurations.{name} = nixpkgs.lib.nixosSystem {{ system = \"aarch64-linux\"; modules = [ {modules} ]; }};"
    )
}
