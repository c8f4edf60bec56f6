//! Which configuration a command is about: a module file or a flake.

use std::path::{Path, PathBuf};

use sdbuild_build::SourceChoice;
use sdbuild_core::absolute_path::absolute;
use sdbuild_core::failure::Failure;
use sdbuild_nix::configuration_file::{CONFIG_NAME, FLAKE_FILE, configuration_in};
use sdbuild_nix::flake_ref::{FlakeLocation, FlakeRef, has_scheme};

/// The name of the configuration in the current directory, if there is one.
pub fn configuration_here() -> Option<&'static str> {
    configuration_in(Path::new(""))
}

/// What the flags `--flake` or `--config` name, relative to `here`; `None` without such a flag. A file `flake.nix` is the
/// flake of its directory, as no module is called so.
pub(super) fn given_source(
    flake: Option<&FlakeRef>,
    config: Option<&Path>,
    here: &Path,
) -> Result<Option<SourceChoice>, Failure> {
    if let Some(reference) = flake {
        let reference = reference.clone().relative_to(here);
        return Ok(Some(flake_source(reference)));
    }
    config.map_or(Ok(None), |path| {
        let text = path.to_str().unwrap_or_default();
        let full = absolute(path, here);
        if full.is_dir() {
            return Ok(Some(directory_source(&full, text, false)));
        }
        if full.is_file() && full.file_name().is_some_and(|name| name == FLAKE_FILE) {
            let shown = path.parent().and_then(Path::to_str);
            let shown = shown.filter(|dir| !dir.is_empty()).unwrap_or(".");
            let dir = full.parent().unwrap_or(here);
            return Ok(Some(flake_source(in_directory(dir, shown))));
        }
        if full.exists() || !is_reference(text) {
            return Ok(Some(SourceChoice::Config(full)));
        }
        let reference: FlakeRef = text.parse().map_err(Failure::usage)?;
        Ok(Some(flake_source(reference.relative_to(here))))
    })
}

/// What is built in `here` if nothing is named.
pub(super) fn default_source(here: &Path) -> SourceChoice {
    directory_source(here, ".", true)
}

/// A flake that the user named.
pub(super) fn flake_source(reference: FlakeRef) -> SourceChoice {
    SourceChoice::Flake {
        reference,
        found: false,
    }
}

/// The configuration in the directory `dir`, which the user wrote as `text`, or which was `found` without that.
fn directory_source(dir: &Path, text: &str, found: bool) -> SourceChoice {
    // Without the last component of `/pi/.`, which messages would show.
    let dir: PathBuf = dir.components().collect();
    let module = dir.join(CONFIG_NAME);
    if module.exists() || !dir.join(FLAKE_FILE).is_file() {
        return SourceChoice::Config(module);
    }
    SourceChoice::Flake {
        reference: in_directory(&dir, text),
        found,
    }
}

/// The directory whose `sdbuild.toml` applies; `None` for a flake elsewhere.
pub(super) fn project_of(source: &SourceChoice) -> Option<PathBuf> {
    match source {
        SourceChoice::Config(file) => file.parent().map(Path::to_owned),
        SourceChoice::Flake { reference, .. } => reference.directory(),
    }
}

/// The flake in the directory `dir`, which the user wrote as `text`.
fn in_directory(dir: &Path, text: &str) -> FlakeRef {
    FlakeRef {
        location: FlakeLocation::Directory {
            path: dir.components().collect(),
            untracked: false,
        },
        text: text.to_owned(),
        ..FlakeRef::here()
    }
}

/// Whether `text`, which no file has as its name, was meant as a reference to a flake.
fn is_reference(text: &str) -> bool {
    let is_remote = |reference: FlakeRef| {
        !matches!(
            reference.location,
            FlakeLocation::Directory {
                untracked: false,
                ..
            }
        )
    };
    // Addresses of repositories, without a scheme.
    let mut hosts = ["git@", "github.com/", "gitlab.com/"].iter();
    let is_repository = hosts.any(|start| text.starts_with(start));
    text.contains('#') || is_repository || has_scheme(text) || text.parse().is_ok_and(is_remote)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_path_is_a_file_a_directory_or_a_reference() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        fs::create_dir_all(here.join("flake")).unwrap();
        fs::create_dir_all(here.join("both")).unwrap();
        for file in [
            "flake/flake.nix",
            "both/flake.nix",
            "both/sd-card.nix",
            "a#b",
        ] {
            fs::write(here.join(file), "").unwrap();
        }
        let given = |path: &str| match given_source(None, Some(Path::new(path)), here)
            .unwrap()
            .unwrap()
        {
            SourceChoice::Config(path) => path.strip_prefix(here).unwrap().display().to_string(),
            SourceChoice::Flake { reference, found } => format!("{reference} {found}"),
        };
        for (path, choice) in [
            ("flake", "flake false"),
            ("flake/flake.nix", "flake false"),
            ("both", "both/sd-card.nix"),
            // The file itself is named.
            ("both/flake.nix", "both false"),
            ("none", "none"),
            ("a#b", "a#b"),
            ("both#pi", "both#pi false"),
            (".#pi", ".#pi false"),
            ("github:o/r", "github:o/r false"),
            ("github:o/r.nix", "github:o/r.nix false"),
            (
                "git+https://h.example/r.nix",
                "git+https://h.example/r.nix false",
            ),
        ] {
            assert_eq!(given(path), choice, "{path}");
        }
        let SourceChoice::Flake { found: true, .. } = default_source(&here.join("flake")) else {
            panic!("no flake");
        };
    }
}
