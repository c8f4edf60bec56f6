//! Limits for a project's `sdbuild.toml`, which comes with a clone and may not have been read: it cannot replace files, name
//! directories outside the project, or give the builder more access to the kernel.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::source::{Setting, Source};
use super::source_choice::SourceChoice;
use crate::common::build_mode::EmulationChoice;
use crate::common::failure::{Failure, OrFail as _};

const HINT: &str = "put it into your own settings, ~/.config/sdbuild/sdbuild.toml";

/// The values that are limited.
#[derive(Debug)]
pub(super) struct Limited<'a> {
    /// Every setting, with its source.
    pub(super) settings: &'a [Setting],
    /// Whether to replace files.
    pub(super) force: bool,
    /// Requested emulation.
    pub(super) emulation: EmulationChoice,
    /// Directory, URL or release.
    pub(super) nixpkgs: &'a str,
    /// Keys of settings that are paths: they may not lead out of the project.
    pub(super) paths: [(&'static str, Option<&'a Path>); 3],
}

/// Refuses values that a project's file may not set.
pub(super) fn check(limited: &Limited<'_>) -> Result<(), Failure> {
    let settings = limited.settings;
    if let Some(file) = set_by_project(settings, "force").filter(|_| limited.force) {
        let shown = file.display();
        return Err(Failure::usage(format!(
            "{shown}: a project cannot set `force`: it replaces files"
        ))
        .hint(format!("give --force, or {HINT}")));
    }
    if let Some(file) = set_by_project(settings, "emulation")
        && limited.emulation == EmulationChoice::Private
    {
        let shown = file.display();
        return Err(Failure::usage(format!(
            "{shown}: a project cannot set `emulation = \"private\"`: it gives the build more access to the kernel"
        ))
        .hint(format!("give --emulation private, or {HINT}")));
    }
    for (key, path) in limited.paths {
        if let (Some(file), Some(path)) = (set_by_project(settings, key), path) {
            check_inside(file, key, path)?;
        }
    }
    let nixpkgs = Path::new(limited.nixpkgs);
    if let Some(file) = set_by_project(settings, "nixpkgs")
        && (nixpkgs.is_absolute() || nixpkgs.is_dir())
    {
        check_inside(file, "nixpkgs", nixpkgs)?;
    }
    Ok(())
}

/// Refuses a flake outside the project, whose files would be uploaded, and caches that the project itself names.
pub(super) fn check_flake(
    settings: &[Setting],
    source: &SourceChoice,
    accept_caches: bool,
) -> Result<(), Failure> {
    if let Some(file) = set_by_project(settings, "accept-flake-caches").filter(|_| accept_caches) {
        let shown = file.display();
        return Err(Failure::usage(format!(
            "{shown}: a project cannot set `accept-flake-caches`: it would choose whose packages you trust"
        ))
        .hint(format!("give --accept-flake-caches, or {HINT}")));
    }
    match (set_by_project(settings, "flake"), source) {
        (Some(file), SourceChoice::Flake { reference, .. }) => {
            let dir = reference.directory();
            dir.map_or(Ok(()), |dir| check_inside(file, "flake", &dir))
        }
        _ => Ok(()),
    }
}

/// The project's file, if `key` is set there.
fn set_by_project<'a>(settings: &'a [Setting], key: &str) -> Option<&'a Path> {
    match &settings.iter().find(|setting| setting.key == key)?.source {
        Source::Project(file) => Some(file),
        Source::Flag | Source::Environment(_) | Source::User(_) | Source::Default => None,
    }
}

/// Refuses a `path` that leads out of the directory of `file`.
fn check_inside(file: &Path, key: &str, path: &Path) -> Result<(), Failure> {
    let dir = file.parent().unwrap_or(file);
    let real = |path| real_path(path).or_usage(format!("resolve `{key}` of {}", file.display()));
    let (target, project) = (real(path)?, real(dir)?);
    if target.is_some_and(|target| project.is_some_and(|project| target.starts_with(project))) {
        return Ok(());
    }
    let (shown, path) = (file.display(), path.display());
    Err(Failure::usage(format!(
        "{shown}: `{key}` leads out of the project, to {path}"
    ))
    .hint(format!("give --{key}, or {HINT}")))
}

/// `path` with links followed as far as it exists; `None` if the rest could lead anywhere.
fn real_path(path: &Path) -> io::Result<Option<PathBuf>> {
    for existing in path.ancestors() {
        let real = match existing.canonicalize() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
        // A link whose target does not exist, or `..` after a missing directory.
        let next = rest.components().next().map(|first| existing.join(first));
        let is_link = next.is_some_and(|next| next.symlink_metadata().is_ok());
        let plain = rest
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        return Ok((plain && !is_link).then(|| real.join(rest)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::settings::{Build, BuildArgs, ConfigArgs, Environment, Options};

    /// Resolves settings with a project's file, the user's own file, and flags.
    fn resolved(project: &str, own: &str, options: Options) -> Result<Build, Failure> {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for dir in ["clone/images", "clone/tree", "config/sdbuild", "mine"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        symlink("../mine", at("clone/out")).unwrap();
        symlink("../nowhere", at("clone/dangling")).unwrap();
        fs::write(at("clone/sdbuild.toml"), project).unwrap();
        fs::write(at("config/sdbuild/sdbuild.toml"), own).unwrap();
        let args = BuildArgs {
            config: ConfigArgs {
                config: Some(at("clone/sd-card.nix")),
                ..ConfigArgs::default()
            },
            options,
            login_key: None,
            dry_run: None,
        };
        let env = Environment {
            home: Some(home.path().to_owned()),
            config_home: Some(at("config")),
            ..Environment::default()
        };
        Build::resolve(&args, &env)
    }

    #[test]
    fn a_project_cannot_name_directories_outside() {
        for key in ["output", "nixpkgs", "netrc-file", "ca-file"] {
            for leads in [
                "../mine",
                "./out",
                "/etc",
                "images/../../mine",
                "./dangling",
                "no/../../x",
            ] {
                let failure = resolved(&format!("{key} = '{leads}'"), "", Options::default());
                let failure = failure.expect_err(leads);
                assert!(
                    failure.to_string().contains("out of the project"),
                    "{failure}"
                );
                assert!(failure.hints[0].contains(&format!("--{key}")));
                // The user's own file may.
                resolved("", &format!("{key} = '{leads}'"), Options::default()).unwrap();
            }
            for leads in ["./images", "./tree", "./yet/to/be/made", "./images/../tree"] {
                resolved(&format!("{key} = '{leads}'"), "", Options::default()).unwrap();
            }
        }
        let flag = Options {
            output: Some("/etc".into()),
            ..Options::default()
        };
        resolved("output = '/etc'", "", flag).unwrap();
    }

    #[test]
    fn a_project_cannot_replace_files() {
        let force = |project: &str, own: &str, flag| {
            let flags = Options {
                force: flag,
                ..Options::default()
            };
            resolved(project, own, flags).map(|build| build.force)
        };
        let failure = force("force = true", "", None).unwrap_err();
        assert!(failure.hints[0].contains("--force"), "{failure}");
        assert!(!force("force = false", "force = true", None).unwrap());
        assert!(force("", "force = true", None).unwrap());
        assert!(force("force = true", "", Some(true)).unwrap());
    }

    #[test]
    fn a_project_cannot_set_private_emulation() {
        let chosen = |project: &str, own: &str| {
            resolved(project, own, Options::default()).map(|build| build.emulation)
        };
        let private = "emulation = 'private'";
        let failure = chosen(private, "").unwrap_err();
        assert!(
            failure.hints[0].contains("--emulation private"),
            "{failure}"
        );
        assert_eq!(chosen("", private).unwrap(), EmulationChoice::Private);
        assert_eq!(
            chosen("emulation = 'register'", private).unwrap(),
            EmulationChoice::Register
        );
    }
}
