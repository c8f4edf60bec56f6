//! The lock of the flake that `init` has written.

use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::flake;
use crate::nixos::nixpkgs::Nixpkgs;
use crate::pipeline;
use crate::pipeline::SourceChoice;
use crate::settings;
use crate::settings::{BuildArgs, ConfigArgs, Environment};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events, Phase};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::new_file;
use sdbuild_core::new_file::Access;
use sdbuild_core::scratch_dir::ScratchDir;
use sdbuild_core::timeout::timeout;
use sdbuild_nix::flake_ref::{FlakeLocation, FlakeRef};

/// How long a server may be silent, at most: the lock can be made later, so that a network without an answer is given up sooner than
/// by `sdbuild lock`. Measured 30 s in all, with the attempts that Nix makes.
const MAX_STALL: Duration = Duration::from_secs(10);

/// How long the lock may take before it is said what is waited for: with an answer it takes some two seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// What is said then.
const WAITING: &str = "to write flake.lock, init asks GitHub for the newest commit of nixpkgs, for up to half a minute. \
                       Use --no-lock to skip it and run `sdbuild lock` later";

/// What is said where the user has a nixpkgs, and perhaps no Internet.
const OWN_NIXPKGS: &str = "flake.lock is not written, because your settings name a directory as nixpkgs. `sdbuild lock` \
                           downloads nixpkgs from the Internet and writes flake.lock";

/// Writes the `flake.lock` beside `flake`, a file with this `text`, owned by `owner`, as `sdbuild lock` would; its path. A lock that
/// exists is left alone. One that cannot be made is a warning: only a cancelled run, what could not be removed, and a mistake of sdbuild are failures.
pub(super) async fn write(
    flake: &Path,
    text: &str,
    owner: Option<(u32, u32)>,
    env: &Environment,
    context: &Context,
) -> Result<Option<PathBuf>, Failure> {
    let path = flake.with_file_name(flake::LOCK);
    if new_file::is_free(&path).is_err() {
        return Ok(None);
    }
    if has_own_nixpkgs(flake, env) {
        context.events.notice(OWN_NIXPKGS);
        return Ok(None);
    }
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::new(Notify::new());
    let quieter = Context {
        events: noting(
            without_warnings(&context.events, &warnings),
            Arc::clone(&asked),
        ),
        ..context.clone()
    };
    let made = Box::pin(make(text, &path, owner, env, &quieter));
    match telling_of_a_wait(made, &asked, &context.events).await {
        Ok(()) => {
            let warnings = mem::take(&mut *warnings.lock().unwrap_or_else(PoisonError::into_inner));
            for text in warnings {
                context.events.warn(text);
            }
            Ok(Some(path))
        }
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

/// The output of `work`, of which is said what it waits for if it takes longer than [`PATIENCE`] from when `asked` is notified.
async fn telling_of_a_wait<T>(
    mut work: Pin<Box<impl Future<Output = T>>>,
    asked: &Notify,
    events: &Events,
) -> T {
    tokio::select! {
        done = &mut work => return done,
        () = asked.notified() => {}
    }
    if let Some(done) = timeout(PATIENCE, &mut work).await {
        return done;
    }
    events.notice(WAITING);
    work.await
}

/// `events`, of which `asked` is notified when Nix begins.
fn noting(events: Events, asked: Arc<Notify>) -> Events {
    Events::new(move |event| {
        if matches!(event, Event::Started(Phase::Evaluate)) {
            asked.notify_one();
        }
        events.emit(event);
    })
}

/// `events` without the warnings, which are added to `warnings`: if no lock can be made, its failure says as much as they do.
fn without_warnings(events: &Events, warnings: &Arc<Mutex<Vec<String>>>) -> Events {
    let (events, warnings) = (events.clone(), Arc::clone(warnings));
    Events::new(move |event| {
        if let Event::Warning(text) = event {
            let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
            warnings.push(text);
        } else {
            events.emit(event);
        }
    })
}

/// Locks a flake with this `text` alone, so that nothing else of its directory is uploaded and git need not track it, and writes the lock
/// to `path`.
async fn make(
    text: &str,
    path: &Path,
    owner: Option<(u32, u32)>,
    env: &Environment,
    context: &Context,
) -> Result<(), Failure> {
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
    let outcome = pipeline::lock_flake(settings.request, Vec::new(), context).await?;
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
