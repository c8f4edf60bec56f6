//! `sdbuild.toml`, beside the configuration: what a person does not want to type each time.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Failure, OrFail};
use crate::plain_file;

/// Name of the settings file.
pub(super) const NAME: &str = "sdbuild.toml";
/// Nobody's settings are longer.
const LONGEST: u64 = 1 << 20;

/// The file's contents; every key may be absent, an unknown one is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    /// See `--nixpkgs`; a relative folder is taken from the file's own folder.
    pub(super) nixpkgs: Option<String>,
    /// See `--system`.
    pub(super) system: Option<String>,
    /// See `--builder-image`.
    pub(super) builder_image: Option<String>,
    /// See `--output`; relative to the file's own folder.
    pub(super) output: Option<PathBuf>,
    /// See `--compress`.
    pub(super) compress: Option<String>,
    /// Binary caches.
    pub(super) substituters: Option<Vec<String>>,
    /// Their public keys.
    pub(super) trusted_public_keys: Option<Vec<String>>,
    /// See `--cores`.
    pub(super) cores: Option<u32>,
    /// See `--jobs`.
    pub(super) jobs: Option<u32>,
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
    /// Reads `folder/sdbuild.toml`; an absent file is an empty one.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(NAME);
        let text = match plain_file::read_text(&path, LONGEST) {
            Ok(text) => text,
            // A folder that is not one is the configuration check's to report.
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
        toml::from_str(&text).or_usage(format!("read {}", path.display()))
    }
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
        assert_eq!(failure.class, crate::failure::Class::Usage);
        assert!(failure.to_string().contains("nixpkg"), "{failure}");
        assert!(failure.to_string().contains("sdbuild.toml"), "{failure}");
    }

    #[test]
    fn a_pipe_or_a_device_is_no_settings_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let refused = || {
            let failure = File::read(dir.path()).unwrap_err();
            assert_eq!(failure.class, crate::failure::Class::Usage);
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
        /// A settings file is understood or refused as the person's mistake.
        #[test]
        fn any_text_is_settings_or_a_usage_error(text in "(?s).{0,200}") {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(NAME), text).unwrap();
            if let Err(failure) = File::read(dir.path()) {
                proptest::prop_assert_eq!(failure.class, crate::failure::Class::Usage);
            }
        }
    }
}
