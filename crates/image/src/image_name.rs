//! The names of image files and of the files beside them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::image_format::{OF_NIXPKGS, SD_CARD, all, extension_of};

/// Whether `name` is that of a disk image: `x.img`, `x.img.zst`, …
pub fn is_image(name: &str) -> bool {
    let disks = all().filter(|format| format.is_disk);
    let extensions = disks.flat_map(|format| format.extensions.iter().copied());
    extension_of(name, extensions).is_some()
}

/// The host name in the name that a build gives to an image: `kitchen` of `nixos-kitchen-sd-card-26.05-aarch64-linux.img.zst`.
pub fn host_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("nixos-")?;
    let ends = all().filter_map(|format| rest.find(&format!("-{}-", format.name)));
    let (host, _) = rest.split_at_checked(ends.min()?)?;
    (!host.is_empty()).then_some(host)
}

/// Whether `name` is that of an image for a card: `x.img`, `x.img.zst`, …
pub fn is_for_card(name: &str) -> bool {
    extension_of(name, SD_CARD.extensions.iter().copied()).is_some()
}

/// Whether the file `path` was written by a build, or lies beside such a file: a disk image by its name, an archive, whose name
/// other files have too, by the hash and the manifest beside it.
pub fn is_output(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else {
        return false;
    };
    let mut sidecars = Sidecar::ALL.iter();
    let of = sidecars.find_map(|sidecar| sidecar.image(name));
    is_image_or_sidecar(name) || is_build_result(&path.with_file_name(of.unwrap_or(name)))
}

/// Whether a build wrote the file `path`, whatever its name is: its hash and its manifest are beside it.
pub fn is_build_result(path: &Path) -> bool {
    let has = |sidecar: Sidecar| sidecar.path(path).is_file();
    has(Sidecar::Checksum) && has(Sidecar::Manifest)
}

/// Whether `name` is that of an image or of a file beside one.
pub fn is_image_or_sidecar(name: &str) -> bool {
    let mut images = Sidecar::ALL
        .iter()
        .filter_map(|sidecar| name.strip_suffix(sidecar.suffix()));
    is_image(name) || images.any(is_image)
}

/// Patterns of a `.gitignore` for the images of all formats and the files beside them.
pub fn gitignore_patterns() -> Vec<String> {
    let formats = all().chain([&OF_NIXPKGS]);
    let names = formats.flat_map(|format| format.extensions.iter().copied().map(image_pattern));
    let mut patterns = Vec::new();
    for name in names {
        // The second is for compressed images too.
        for pattern in [name.clone(), format!("{name}.*")] {
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    patterns
}

/// The pattern of the names that builds give to images with an `extension`: firmware and archives of the user's have the same ones.
fn image_pattern(extension: &str) -> String {
    const ARCHIVE: &str = "tar";
    let is_archive = extension.split('.').any(|part| part == ARCHIVE);
    let ending = if is_archive { ARCHIVE } else { extension };
    format!("nixos-*.{ending}")
}

/// A kind of file beside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sidecar {
    /// The image file's hash, for `sha256sum -c`.
    Checksum,
    /// The block map, for `bmaptool`.
    BlockMap,
    /// The manifest.
    Manifest,
    /// The list for Raspberry Pi Imager.
    ImagerList,
}

impl Sidecar {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::Checksum,
        Self::BlockMap,
        Self::Manifest,
        Self::ImagerList,
    ];

    fn suffix(self) -> &'static str {
        match self {
            Self::Checksum => ".sha256",
            Self::BlockMap => ".bmap",
            Self::Manifest => ".json",
            Self::ImagerList => ".rpi-imager.json",
        }
    }

    /// The name beside the file `image`. It begins with the whole name, so that the same image in another
    /// format keeps its own sidecars; bmaptool looks for such a name first.
    pub fn name(self, image: &str) -> String {
        format!("{image}{}", self.suffix())
    }

    /// The image that the file `name` is such a sidecar of, by its name.
    pub fn image(self, name: &str) -> Option<&str> {
        name.strip_suffix(self.suffix())
    }

    /// The path beside the file `image`.
    pub fn path(self, image: &Path) -> PathBuf {
        let mut path = image.as_os_str().to_owned();
        path.push(self.suffix());
        path.into()
    }

    /// Whether `name` is the name of a sidecar of the file `image`.
    pub fn is_name(name: &str, image: &str) -> bool {
        Self::ALL.iter().any(|sidecar| sidecar.name(image) == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::compression::Compression;

    #[test]
    fn the_name_of_an_image_has_its_host() {
        for (name, host) in [
            (
                "nixos-kitchen-sd-card-26.05-aarch64-linux.img.zst",
                Some("kitchen"),
            ),
            ("nixos-a-b-qcow2-26.05-x86_64-linux.qcow2", Some("a-b")),
            ("nixos-sd-card-26.05.img", None),
            ("kitchen-sd-card-26.05.img", None),
            ("nixos-kitchen.img", None),
        ] {
            assert_eq!(host_of(name), host, "{name}");
        }
    }

    #[test]
    fn an_archive_is_recognized_by_the_files_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["a.tar.xz", "a.tar.xz.sha256", "b.tar.xz", "b.tar.xz.json"] {
            std::fs::write(path(name), "").unwrap();
        }
        assert!(!is_output(&path("a.tar.xz")) && !is_output(&path("b.tar.xz")));
        std::fs::write(path("a.tar.xz.json"), "").unwrap();
        assert!(is_output(&path("a.tar.xz")) && is_output(&path("a.tar.xz.json")));
        assert!(!is_output(&path("b.tar.xz")) && is_output(&path("c.img.zst")));
    }

    #[test]
    fn git_ignores_what_a_build_writes() {
        let mut rules = ignore::gitignore::GitignoreBuilder::new("/pi");
        for pattern in gitignore_patterns() {
            rules.add_line(None, &pattern).unwrap();
        }
        let rules = rules.build().unwrap();
        let is_ignored = |name: &str| rules.matched(name, false).is_ignore();
        for format in all() {
            for extension in format.extensions {
                for compression in Compression::ALL {
                    let image = format!("nixos-26.05.{extension}{}", compression.suffix());
                    let sidecars = Sidecar::ALL.map(|sidecar| sidecar.name(&image));
                    for name in sidecars.iter().chain([&image]) {
                        assert!(is_ignored(name), "{name}");
                    }
                }
            }
        }
        for kept in [
            "flake.nix",
            "flake.lock",
            "sdbuild.toml",
            "a.json",
            "a.tar.gz",
            "idbloader.img",
            "u-boot.img",
            "disk.img.nix",
        ] {
            assert!(!is_ignored(kept), "{kept}");
        }
    }

    #[test]
    fn images_and_their_sidecars_are_recognized_by_name() {
        for image in ["a.img", "a.img.zst", "a.img.xz", "a.img.gz", "a.b.img"] {
            assert!(is_image(image) && is_image_or_sidecar(image), "{image}");
            for sidecar in Sidecar::ALL {
                let name = sidecar.name(image);
                assert!(!is_image(&name) && is_image_or_sidecar(&name), "{name}");
                assert_eq!(sidecar.path(Path::new(image)), Path::new(&name));
            }
        }
        for other in ["a", "img", "a.zst", "a.json", "a.img.bak", "a.img.zst.xz"] {
            assert!(!is_image(other) && !is_image_or_sidecar(other), "{other}");
        }
    }
}
