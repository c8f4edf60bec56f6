//! `init --ci`: the workflow that builds the configuration.

use std::path::{Path, PathBuf};

use crate::settings::Init;
use crate::template;
use crate::template::CiService;
use sdbuild_core::failure::Failure;
use sdbuild_core::new_file;
use sdbuild_core::new_file::Access;
use sdbuild_nix::configuration_file::CONFIG_NAME;

/// A workflow to be written.
#[derive(Debug)]
pub(super) struct Workflow {
    pub(super) path: PathBuf,
    text: String,
}

impl Workflow {
    /// The workflow that the user asked for.
    ///
    /// # Errors
    ///
    /// When its file exists, or its text cannot contain the path of the configuration.
    pub(super) fn new(settings: &Init<'_>) -> Result<Option<Self>, Failure> {
        let Some(service) = settings.args.ci else {
            return Ok(None);
        };
        let dir = settings.config.parent().unwrap_or(Path::new("/"));
        let root = repository_root(dir);
        let path = root.join(service.workflow());
        let shown = path.display();
        if path.symlink_metadata().is_ok() {
            let text = format!("{shown} already exists and is not replaced");
            return Err(Failure::usage(text).hint("move this file away to have it written again"));
        }
        let whole_dir = settings.flake.is_some() || settings.config.ends_with(CONFIG_NAME);
        let built = if whole_dir { dir } else { &settings.config };
        let built = built.strip_prefix(root).unwrap_or(built);
        let text = built
            .to_str()
            .and_then(|built| template::workflow(service, built));
        let text = text.ok_or_else(|| {
            let built = built.display();
            Failure::usage(format!("{shown} cannot contain the path {built}"))
                .hint("rename the directory")
        })?;
        Ok(Some(Self { path, text }))
    }

    /// What the user must set while no release of sdbuild is published that the workflow of `service` could install.
    pub(super) fn missing_release(service: CiService) -> Option<String> {
        if !env!("CARGO_PKG_REPOSITORY").contains("/OWNER/") {
            return None;
        }
        let place = match service {
            CiService::GitHub => "GitHub (Settings, Secrets and variables, Actions, Variables)",
            CiService::GitLab => "GitLab (Settings, CI/CD, Variables)",
        };
        Some(format!(
            "no release of sdbuild is published yet: set the variable SDBUILD_REPOSITORY in {place} to the URL of a git \
             repository with sdbuild's source, which the workflow then compiles"
        ))
    }

    /// Writes it, owned by `owner` (user and group id; `None`: this user).
    pub(super) fn write(&self, owner: Option<(u32, u32)>) -> Result<(), Failure> {
        new_file::make_dir(&self.path, owner)?;
        new_file::write(&self.path, &self.text, Access::Everybody, owner)
    }
}

/// The root of the git repository that `dir` is in, or `dir`: services read workflows there only.
fn repository_root(dir: &Path) -> &Path {
    for above in dir.ancestors() {
        if above.join(".git").exists() {
            return above;
        }
        // Without its last part that path would not be the directory above.
        if above.ends_with("..") {
            break;
        }
    }
    dir
}
