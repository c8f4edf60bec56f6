//! The lock of the flake that `init` has written.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::commands::Session;
use crate::settings;
use crate::settings::{BuildArgs, ConfigArgs, Environment};
use sdbuild_build::SourceChoice;
use sdbuild_build::flake;
use sdbuild_build::nixpkgs::Nixpkgs;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::new_file;
use sdbuild_core::new_file::Access;
use sdbuild_core::scratch_dir::ScratchDir;
use sdbuild_nix::configuration_file::FLAKE_FILE;
use sdbuild_nix::flake_ref::{FlakeLocation, FlakeRef};

/// How long a server may be silent, at most: the lock can be made later, so that a network without an answer is given up sooner than
/// by `sdbuild lock`. Measured 30 s in all, with the attempts that Nix makes.
const MAX_STALL: Duration = Duration::from_secs(10);

/// Where the time goes if there is no Internet.
const WAITING: &str = "to write flake.lock, init asks GitHub for the newest commit of nixpkgs. Use --no-lock to skip it and run \
                       `sdbuild lock` later";

/// Where the user has a nixpkgs, and perhaps no Internet.
const OWN_NIXPKGS: &str = "flake.lock is not written, because your settings name a directory as nixpkgs. `sdbuild lock` \
                           downloads nixpkgs from the Internet and writes flake.lock";

/// Writes the `flake.lock` beside `flake`, a file with this `text`, owned by `owner`, as `sdbuild lock` would; its path. A lock that
/// exists is left alone. One that cannot be made is a warning: only a cancelled run, what could not be removed, and a mistake of sdbuild are failures.
pub(super) async fn write(
    flake: &Path,
    text: &str,
    owner: Option<(u32, u32)>,
    session: Session<'_>,
) -> Result<Option<PathBuf>, Failure> {
    let Session { env, context, .. } = session;
    let path = flake.with_file_name(flake::LOCK);
    if new_file::is_free(&path).is_err() {
        return Ok(None);
    }
    if has_own_nixpkgs(flake, env) {
        context.events.notice(OWN_NIXPKGS);
        return Ok(None);
    }
    context.events.notice(WAITING);
    match Box::pin(make(text, &path, owner, session)).await {
        Ok(()) => Ok(Some(path)),
        Err(failure)
            if matches!(failure.class, Class::Interrupted | Class::Internal)
                || !failure.teardown.is_empty() =>
        {
            Err(failure)
        }
        Err(failure) => {
            // Its hints are those of `sdbuild lock`, which is the next command then.
            let text = format!("{} is not written: {}", flake::LOCK, failure.sentence());
            context.events.warn(text);
            Ok(None)
        }
    }
}

/// Locks a flake with this `text` alone, so that nothing else of its directory is uploaded and git need not track it, and writes the lock
/// to `path`.
async fn make(
    text: &str,
    path: &Path,
    owner: Option<(u32, u32)>,
    session: Session<'_>,
) -> Result<(), Failure> {
    let Session { env, context, .. } = session;
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut settings = settings_of(dir, env)?;
    let stall_timeout = &mut settings.request.common.stall_timeout;
    *stall_timeout = MAX_STALL.min(*stall_timeout);
    let parent = &settings.request.common.cache_dir;
    let scratch = ScratchDir::create(parent)
        .or_environment(format!("create a directory in {}", parent.display()))?;
    let copy = scratch.path().join(FLAKE_FILE);
    fs::write(&copy, text).or_environment(format!("write {}", copy.display()))?;
    settings.request.source.choice = SourceChoice::Flake {
        reference: reference(scratch.path(), dir),
        found: false,
    };
    let outcome = sdbuild_build::lock_flake(settings.request, Vec::new(), context).await?;
    outcome.finish("flake.lock is written", |lock| {
        let lock = lock.ok_or_else(|| Failure::message(Class::Internal, "Nix wrote no lock"))?;
        let text = sdbuild_nix::flake_lock::formatted(&lock)?;
        new_file::write(path, &text, Access::Everybody, owner)
    })
}

/// The settings with which `sdbuild lock` locks the flake in `dir`.
fn settings_of(dir: &Path, env: &Environment) -> Result<settings::Build, Failure> {
    let config = ConfigArgs {
        flake: Some(reference(dir, dir)),
        ..ConfigArgs::default()
    };
    let build = BuildArgs {
        config,
        ..BuildArgs::default()
    };
    settings::Build::resolve(&build, env)
}

/// Whether the settings for the file `flake` name a nixpkgs of this machine.
fn has_own_nixpkgs(flake: &Path, env: &Environment) -> bool {
    let dir = flake.parent().unwrap_or(Path::new("/"));
    let nixpkgs = settings_of(dir, env).map(|settings| settings.request.source.nixpkgs.parse());
    matches!(nixpkgs, Ok(Ok(Nixpkgs::Dir(_))))
}

/// The flake in the directory `path`, as it is there without git, called `shown` in messages.
fn reference(path: &Path, shown: &Path) -> FlakeRef {
    FlakeRef {
        location: FlakeLocation::Directory {
            path: path.to_owned(),
            untracked: true,
        },
        text: shown.to_string_lossy().into_owned(),
        ..FlakeRef::here()
    }
}
