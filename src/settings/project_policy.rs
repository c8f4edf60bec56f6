//! How far a project's `sdbuild.toml` reaches: it comes along with a clone, and nobody may have read it. It
//! does not say what of the user's is replaced, names no directory outside its own, and does not widen what its
//! builder may ask of the kernel.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::Build;
use super::source::Source;
use crate::common::build_mode::EmulationChoice;
use crate::common::failure::{Failure, OrFail as _};

const HINT: &str = "put it into your own settings, ~/.config/sdbuild/sdbuild.toml";

impl Build {
    /// Refuses what the project's file may not say.
    pub(super) fn check_project_policy(&self) -> Result<(), Failure> {
        if let Some(file) = self.projects("force").filter(|_| self.force) {
            let shown = file.display();
            return Err(Failure::usage(format!(
                "{shown}: `force` is not a project's to give: it replaces files"
            ))
            .hint(format!("give --force, or {HINT}")));
        }
        if let Some(file) = self.projects("emulation")
            && self.emulation == EmulationChoice::Private
        {
            let shown = file.display();
            return Err(Failure::usage(format!(
                "{shown}: `emulation = \"private\"` is not a project's to give: it opens more of the kernel to the build"
            ))
            .hint(format!("give --emulation private, or {HINT}")));
        }
        if let Some(file) = self.projects("output") {
            stays(file, ("output", &self.output))?;
        }
        let nixpkgs = Path::new(&self.nixpkgs);
        if let Some(file) = self.projects("nixpkgs")
            && (nixpkgs.is_absolute() || nixpkgs.is_dir())
        {
            stays(file, ("nixpkgs", nixpkgs))?;
        }
        Ok(())
    }

    /// The project's file, when that is where `key` comes from.
    fn projects(&self, key: &str) -> Option<&Path> {
        match self.sources.get(key)? {
            Source::Project(file) => Some(file),
            Source::Flag | Source::Environment(_) | Source::User(_) | Source::Default => None,
        }
    }
}

fn stays(file: &Path, (key, path): (&str, &Path)) -> Result<(), Failure> {
    let dir = file.parent().unwrap_or(file);
    let real =
        |path| real(path).or_usage(format!("look where `{key}` of {} leads", file.display()));
    let (leads, home) = (real(path)?, real(dir)?);
    if leads.is_some_and(|leads| home.is_some_and(|home| leads.starts_with(home))) {
        return Ok(());
    }
    let (shown, path) = (file.display(), path.display());
    Err(Failure::usage(format!(
        "{shown}: `{key}` leads out of the project, to {path}"
    ))
    .hint(format!("give --{key}, or {HINT}")))
}

/// Where `path` leads, links followed as far as it exists; `None` when that cannot be told.
fn real(path: &Path) -> io::Result<Option<PathBuf>> {
    for there in path.ancestors() {
        let real = match there.canonicalize() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
        // A link to nothing, or a way back out of what is not there.
        let exists = rest.components().next().map(|first| there.join(first));
        let is_link = exists.is_some_and(|next| next.symlink_metadata().is_ok());
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
    use crate::cli;
    use crate::settings::Environment;

    /// A project in a directory of its own, beside the user's settings and something else of theirs.
    fn resolved(project: &str, own: &str, args: cli::Build) -> Result<Build, Failure> {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for dir in ["clone/images", "clone/tree", "config/sdbuild", "mine"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        symlink("../mine", at("clone/out")).unwrap();
        symlink("../nowhere", at("clone/dangling")).unwrap();
        fs::write(at("clone/sdbuild.toml"), project).unwrap();
        fs::write(at("config/sdbuild/sdbuild.toml"), own).unwrap();
        let args = cli::Build {
            subject: cli::ConfigArgs {
                config: Some(at("clone/sd-card.nix")),
                ..cli::ConfigArgs::default()
            },
            ..args
        };
        let env = Environment {
            home: Some(home.path().to_owned()),
            config_home: Some(at("config")),
            ..Environment::default()
        };
        Build::resolve(&args, &env)
    }

    #[test]
    fn a_cloned_project_names_no_dir_outside_its_own() {
        for key in ["output", "nixpkgs"] {
            for leads in [
                "../mine",
                "./out",
                "/etc",
                "images/../../mine",
                "./dangling",
                "no/../../x",
            ] {
                let failure = resolved(&format!("{key} = '{leads}'"), "", cli::Build::default());
                let failure = failure.expect_err(leads);
                assert!(
                    failure.to_string().contains("out of the project"),
                    "{failure}"
                );
                assert!(failure.hints[0].contains(&format!("--{key}")));
                // The same is the user's to say.
                resolved("", &format!("{key} = '{leads}'"), cli::Build::default()).unwrap();
            }
            for leads in ["./images", "./tree", "./yet/to/be/made", "./images/../tree"] {
                resolved(&format!("{key} = '{leads}'"), "", cli::Build::default()).unwrap();
            }
        }
        let flag = cli::Build {
            output: Some("/etc".into()),
            ..cli::Build::default()
        };
        resolved("output = '/etc'", "", flag).unwrap();
    }

    #[test]
    fn a_cloned_project_replaces_nothing_unasked() {
        let asked = |project: &str, own: &str, force| {
            let args = cli::Build {
                force,
                ..cli::Build::default()
            };
            resolved(project, own, args).map(|build| build.force)
        };
        let failure = asked("force = true", "", false).unwrap_err();
        assert!(failure.hints[0].contains("--force"), "{failure}");
        assert!(!asked("force = false", "force = true", false).unwrap());
        assert!(asked("", "force = true", false).unwrap());
        assert!(asked("force = true", "", true).unwrap());
    }

    #[test]
    fn a_cloned_project_does_not_open_more_of_the_kernel() {
        let chosen = |project: &str, own: &str| {
            resolved(project, own, cli::Build::default()).map(|build| build.emulation)
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
