//! Limits for a project's `sdbuild.toml`, which comes with a clone and may not have been read: it cannot replace files, name
//! directories outside the project, or give the builder more access to the kernel.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::Build;
use crate::settings::resolver::{Origin, Setting};
use sdbuild_build::SourceChoice;
use sdbuild_build::build_mode::EmulationChoice;
use sdbuild_core::failure::{Failure, OrFail as _};

const HINT: &str = "put it into your own settings, ~/.config/sdbuild/sdbuild.toml";

/// Settings that a project may not set, and why.
const REFUSED: [(&str, &str); 6] = [
    ("force", "it replaces files"),
    ("emulation", "it gives the build more access to the kernel"),
    (
        "accept-flake-caches",
        "it would choose whose packages you trust",
    ),
    (
        "on",
        "it would run a program on your machine or spend your money, and choose where your system is built",
    ),
    ("builders", OF_BUILDERS),
    ("builder-key", OF_BUILDERS),
];
const OF_BUILDERS: &str =
    "it would choose which machines build your system, and log in there with your key";

/// Refuses values of `build` that a project's file may not set.
pub(super) fn check(build: &Build) -> Result<(), Failure> {
    let settings = build.settings.as_slice();
    for (key, why) in REFUSED {
        // These values give a project nothing.
        let is_harmless = match key {
            "force" => !build.request.output.force,
            "emulation" => build.request.target.emulation != EmulationChoice::Private,
            "accept-flake-caches" => build.request.caches.accept_flake_caches != Some(true),
            "on" => !build.on.is_rented(),
            _ => false,
        };
        if let Some(file) = set_by_project(settings, key).filter(|_| !is_harmless) {
            let shown = file.display();
            let text = format!("{shown}: a project cannot set `{key}` so, because {why}");
            return Err(Failure::usage(text).hint(format!("give --{key}, or {HINT}")));
        }
    }
    for (key, path) in [
        ("output", Some(build.request.output.dir.as_path())),
        // What these name is sent into the builder.
        ("netrc-file", build.request.caches.netrc_file.as_deref()),
        ("ca-file", build.request.common.ca_file.as_deref()),
    ] {
        path.map_or(Ok(()), |path| check_inside(settings, key, path))?;
    }
    let nixpkgs = Path::new(&build.request.source.nixpkgs);
    if nixpkgs.is_absolute() || nixpkgs.is_dir() {
        check_inside(settings, "nixpkgs", nixpkgs)?;
    }
    check_flake(settings, &build.request.source.choice)
}

/// Refuses a flake outside the project, whose files would be uploaded.
fn check_flake(settings: &[Setting], source: &SourceChoice) -> Result<(), Failure> {
    let directory = match source {
        SourceChoice::Flake { reference, .. } => reference.directory(),
        SourceChoice::Config(_) => None,
    };
    directory.map_or(Ok(()), |dir| check_inside(settings, "flake", &dir))
}

/// The project's file, if `key` is set there.
pub(super) fn set_by_project<'a>(settings: &'a [Setting], key: &str) -> Option<&'a Path> {
    match &settings.iter().find(|setting| setting.key == key)?.origin {
        Origin::Project(file) => Some(file),
        Origin::Flag | Origin::Environment(_) | Origin::User(_) | Origin::Default => None,
    }
}

/// Refuses the value `path` of `key` if it was set in a project's file and leads out of the project.
fn check_inside(settings: &[Setting], key: &str, path: &Path) -> Result<(), Failure> {
    let Some(file) = set_by_project(settings, key) else {
        return Ok(());
    };
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
    use crate::settings::resolver::Resolver;
    use crate::settings::source_choice::flake_source;
    use crate::settings::{BuildArgs, ConfigArgs, Environment, Options};

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
        let dirs = [
            ("HOME", home.path().to_owned()),
            ("XDG_CONFIG_HOME", at("config")),
        ];
        let env = dirs.into_iter().collect();
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
            resolved(project, own, flags).map(|build| build.request.output.force)
        };
        let failure = force("force = true", "", None).unwrap_err();
        assert!(failure.hints[0].contains("--force"), "{failure}");
        assert!(!force("force = false", "force = true", None).unwrap());
        assert!(force("", "force = true", None).unwrap());
        assert!(force("force = true", "", Some(true)).unwrap());
    }

    /// A builder sees the configuration with its secrets, and what it sends back is not checked.
    #[test]
    fn a_project_cannot_choose_remote_builders() {
        let line = "builders = ['ssh-ng://root@evil aarch64-linux']";
        for (set, flag) in [
            (line, "--builders"),
            ("builder-key = './id'", "--builder-key"),
        ] {
            let failure = resolved(set, "", Options::default()).unwrap_err();
            assert!(failure.hints[0].contains(flag), "{failure}");
        }
        let own = resolved("", line, Options::default()).unwrap();
        assert_eq!(own.request.resources.builders.machines[0].host, "evil");
    }

    /// A clone would run its program on this machine.
    #[test]
    fn a_project_cannot_rent_a_machine() {
        let line = "on = 'command:./rent'";
        let failure = resolved(line, "", Options::default()).unwrap_err();
        assert!(failure.hints[0].contains("--on"), "{failure}");
        resolved("on = 'none'", line, Options::default()).unwrap();
        let own = resolved("", line, Options::default()).unwrap();
        let own = own.on.to_string();
        assert!(own.ends_with("/config/sdbuild/rent"), "{own}");
    }

    #[test]
    fn a_project_cannot_set_private_emulation() {
        let chosen = |project: &str, own: &str| {
            resolved(project, own, Options::default()).map(|build| build.request.target.emulation)
        };
        let private = "emulation = 'private'";
        let failure = chosen(private, "").unwrap_err();
        assert!(failure.hints[0].contains("--emulation"), "{failure}");
        assert_eq!(chosen("", private).unwrap(), EmulationChoice::Private);
        assert_eq!(
            chosen("emulation = 'register'", private).unwrap(),
            EmulationChoice::Register
        );
    }

    #[test]
    fn a_project_can_name_a_flake_inside_only() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().canonicalize().unwrap();
        fs::write(here.join("sdbuild.toml"), "flake = './sub#pi'").unwrap();
        fs::create_dir(here.join("sub")).unwrap();
        let env: Environment = [("HOME", "/home/me")].into_iter().collect();
        let mut resolver = Resolver::new(Options::default(), &env, Some(&here)).unwrap();
        let flake = resolver.optional("flake", |o| o.flake.clone());
        let flake = flake.unwrap().unwrap();
        assert_eq!(
            (flake.directory(), flake.attribute),
            (Some(here.join("sub")), vec!["pi".to_owned()])
        );
        let settings = resolver.into_settings();
        let check = |path: &Path| {
            let location = path.to_str().unwrap();
            let source = flake_source(format!("{location}#pi").parse().unwrap());
            check_flake(&settings, &source)
        };
        check(&here.join("sub")).unwrap();
        let failure = check(Path::new("/")).unwrap_err().to_string();
        assert!(failure.contains("leads out"), "{failure}");
    }
}
