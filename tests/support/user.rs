//! A user with their own home directory and environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Outcome, STORE, file_names, mini_nixpkgs, run, shared, write_program};

/// A user with a directory for configurations, a home directory, environment variables, and the shared cache of
/// downloads.
pub struct TestUser {
    /// The working directory, with the configuration and the output directory.
    pub home: tempfile::TempDir,
    /// The home directory (`HOME`), with sdbuild's state.
    pub state: tempfile::TempDir,
    pub environment: BTreeMap<String, String>,
}

impl TestUser {
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("sdbuild test ü").tempdir().unwrap();
        fs::create_dir(home.path().join("out")).unwrap();
        let mut environment = BTreeMap::new();
        for name in ["PATH", "SDBUILD_DEBIAN_MIRROR", "SDBUILD_LOCKS", "LD_LIBRARY_PATH"] {
            if let Ok(value) = std::env::var(name) {
                environment.insert(name.to_owned(), value);
            }
        }
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let state = tempfile::tempdir().unwrap();
        environment.insert("HOME".into(), text(state.path()));
        environment.insert("XDG_CACHE_HOME".into(), text(&shared("cache")));
        environment.insert("SDBUILD_SUBSTITUTERS".into(), String::new());
        environment.insert("SDBUILD_STORE".into(), STORE.into());
        // Most tests read the image; those of the default format unset this.
        environment.insert("SDBUILD_COMPRESS".into(), "none".into());
        Self { home, state, environment }
    }

    /// Sets an environment variable of all programs that this user runs.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Builds what the store has everything for: without a network containers start sooner.
    pub fn offline(self) -> Self {
        self.with("SDBUILD_OFFLINE", "true")
    }

    pub fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    /// Gives the user a cache of their own with the contents of the shared one, which `clean` may empty.
    pub fn with_own_cache(self) -> Self {
        let cache = self.state.path().join("cache");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--link"]).arg(shared("cache")).arg(&cache);
        assert!(copy.status().unwrap().success());
        let cache = cache.to_str().unwrap().to_owned();
        self.with("XDG_CACHE_HOME", cache)
    }

    /// Writes a file below the working directory; returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program below the working directory; returns its path.
    pub fn write_program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_program(&path, text);
        path
    }

    /// The text of a file below the working directory.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name)).unwrap()
    }

    /// Writes an image of `size` bytes, all holes but the start, which makes it a squashfs: nothing on it boots.
    pub fn write_unbootable(&self, name: &str, size: u64) -> PathBuf {
        let path = self.write(name, "hsqs");
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(size).unwrap();
        path
    }

    /// `sdbuild` with the arguments `words`, in the working directory, with an empty standard input.
    pub fn sdbuild(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdbuild"));
        command
            .args(words)
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// `sdbuild build` of `sd-card.nix` in the working directory with the miniature nixpkgs.
    pub fn build(&self, more: &[&str]) -> Command {
        let mini = mini_nixpkgs();
        let mut command = self.sdbuild(&["build", "--nixpkgs", mini.to_str().unwrap()]);
        command.arg("--output").arg(self.out()).args(more);
        command
    }

    /// Builds the configuration with this `text`.
    pub fn build_of(&self, text: &str, more: &[&str]) -> Outcome {
        self.write("sd-card.nix", text);
        run(&mut self.build(more))
    }

    /// The sorted file names of `image` and its sidecars.
    pub fn with_sidecars(image: &Path) -> Vec<String> {
        let name = image.file_name().unwrap().to_str().unwrap();
        let mut names =
            [".sha256", ".bmap", ".json", ""].map(|ending| format!("{name}{ending}")).to_vec();
        names.sort();
        names
    }

    /// The sorted names of the files in the output directory.
    pub fn outputs(&self) -> Vec<String> {
        file_names(&self.out())
    }
}
