//! `sdbuild.toml`, beside the configuration or in the user's directory of settings: what they do not want
//! to type each time.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::common::failure::{Failure, OrFail};
use crate::common::plain_file;

/// Name of the settings file.
pub(super) const NAME: &str = "sdbuild.toml";
/// Every key: what is not among them is refused with the nearest one.
pub(super) const KEYS: [&str; 19] = [
    "nixpkgs",
    "system",
    "emulation",
    "glue",
    "builder-image",
    "output",
    "force",
    "compress",
    "rpi-imager",
    "boot-test",
    "substituters",
    "trusted-public-keys",
    "cores",
    "jobs",
    "connections",
    "memory-mib",
    "store",
    "debian-mirror",
    "stall-timeout",
];
/// Words that are less alike than this (Jaro-Winkler) are different ones, as clap has it.
const ALIKE: f64 = 0.7;
/// Nobody's settings are longer.
const LONGEST: u64 = 1 << 20;

/// The file's contents; every key may be absent, an unknown one is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    /// See `--nixpkgs`; a relative directory is taken from the file's own directory.
    pub(super) nixpkgs: Option<String>,
    /// See `--system`.
    pub(super) system: Option<String>,
    /// See `--emulation`.
    pub(super) emulation: Option<String>,
    /// See `--force`.
    pub(super) force: Option<bool>,
    /// See `--glue`.
    pub(super) glue: Option<String>,
    /// See `--builder-image`.
    pub(super) builder_image: Option<String>,
    /// See `--output`; relative to the file's own directory.
    pub(super) output: Option<PathBuf>,
    /// See `--compress`.
    pub(super) compress: Option<String>,
    /// See `--rpi-imager`; empty for a list of where the image is.
    pub(super) rpi_imager: Option<String>,
    /// See `--boot-test`.
    pub(super) boot_test: Option<bool>,
    /// Binary caches.
    pub(super) substituters: Option<Vec<String>>,
    /// Their public keys.
    pub(super) trusted_public_keys: Option<Vec<String>>,
    /// See `--cores`.
    pub(super) cores: Option<u32>,
    /// See `--jobs`.
    pub(super) jobs: Option<u32>,
    /// See `--connections`.
    pub(super) connections: Option<u32>,
    /// Memory limit of the builder in MiB.
    pub(super) memory_mib: Option<u64>,
    /// Name of the store volume.
    pub(super) store: Option<String>,
    /// Debian mirror for the pinned packages.
    pub(super) debian_mirror: Option<String>,
    /// Seconds without a byte after which a download is given up.
    pub(super) stall_timeout: Option<u32>,
}

impl File {
    /// Reads `dir/sdbuild.toml`; an absent file is an empty one.
    pub(super) fn read(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join(NAME);
        let text = match plain_file::read_text(&path, LONGEST) {
            Ok(text) => text,
            // A directory that is not one is the configuration check's to report.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Self::default());
            }
            Err(e) => return Err(e).or_usage(format!("read {}", path.display())),
        };
        let operation = format!("read {}", path.display());
        let table: toml::Table = toml::from_str(&text).or_usage(&operation)?;
        known(table.keys()).map_err(|failure| failure.context(&operation))?;
        // From the text again: only then does an error tell the line.
        toml::from_str(&text).or_usage(&operation)
    }
}

/// Refuses the first key that is none, and names the one that was meant.
fn known<'a>(mut keys: impl Iterator<Item = &'a String>) -> Result<(), Failure> {
    let Some(unknown) = keys.find(|key| !KEYS.contains(&key.as_str())) else {
        return Ok(());
    };
    let failure = Failure::usage(format!("`{unknown}` is no setting"));
    let alike = KEYS.map(|key| (strsim::jaro_winkler(unknown, key), key));
    let nearest = alike.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b));
    Err(match nearest.filter(|(how, _)| *how > ALIKE) {
        Some((_, key)) => failure.hint(format!("did you mean `{key}`?")),
        None => failure.hint(format!("the settings are {}", KEYS.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_file_is_empty_and_an_unknown_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(File::read(dir.path()).unwrap().nixpkgs.is_none());
        std::fs::write(dir.path().join(NAME), "nixpkg = '26.05'\n").unwrap();
        let failure = File::read(dir.path()).unwrap_err();
        assert_eq!(failure.class, crate::common::failure::Class::Usage);
        assert!(failure.to_string().contains("nixpkg"), "{failure}");
        assert!(failure.to_string().contains("sdbuild.toml"), "{failure}");
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_one_as_a_suggestion() {
        let hint = |key: &str| {
            let failure = known([key.to_owned()].iter()).unwrap_err();
            failure.hints[0].clone()
        };
        assert_eq!(hint("outptu"), "did you mean `output`?");
        assert_eq!(hint("builder_image"), "did you mean `builder-image`?");
        assert!(hint("zzz").starts_with("the settings are nixpkgs, system"));
    }

    #[test]
    fn every_key_is_read_and_every_option_of_build_has_one() {
        use clap::CommandFactory as _;
        for key in KEYS {
            // Of a type that no setting has: what is read complains of that, not of the key.
            let error = toml::from_str::<File>(&format!("{key} = 1979-05-27\n")).unwrap_err();
            assert!(error.to_string().contains("invalid type"), "{key}: {error}");
        }
        let cli = crate::cli::Cli::command();
        let build = cli.find_subcommand("build").unwrap();
        for option in build.get_arguments().filter_map(|arg| arg.get_long()) {
            // Where the file is, that nothing shall be done, what is printed and whose key it is are not the
            // file's to say.
            let own = ["config", "dry-run", "hostname", "json", "set", "ssh-key"].contains(&option);
            assert!(own || KEYS.contains(&option), "--{option} has no key");
        }
    }

    #[test]
    fn a_pipe_or_a_device_is_no_settings_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let refused = || {
            let failure = File::read(dir.path()).unwrap_err();
            assert_eq!(failure.class, crate::common::failure::Class::Usage);
            assert!(
                failure.to_string().contains("not a plain file"),
                "{failure}"
            );
            std::fs::remove_file(&path).unwrap();
        };
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        refused();
    }

    proptest::proptest! {
        /// A settings file is understood or refused as the user's mistake.
        #[test]
        fn any_text_is_settings_or_a_usage_error(text in "(?s).{0,200}") {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(NAME), text).unwrap();
            if let Err(failure) = File::read(dir.path()) {
                proptest::prop_assert_eq!(failure.class, crate::common::failure::Class::Usage);
            }
        }
    }
}
