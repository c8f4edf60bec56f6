//! The builder: an unprivileged container that runs Nix and nothing else.
//!
//! It has no capability, no path of the host and no engine socket; the store volume is its `/nix`. Input is uploaded
//! before it starts, output stays on the volume after it has ended. Heartbeats on its standard input keep it alive:
//! when the future that follows it is dropped, or this process dies, its entry stops Nix. The caller's guard removes
//! the container.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Event, Events, Phase};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_core::timeout::finish_within;
use sdbuild_engine::labels::{labels, store_filler_name};
use sdbuild_engine::{
    Container, ContainerGuard, ContainerSpec, EntryWrapper, Exit, Heartbeat, ImageInfo, Input,
    PauseHandle, Role,
};
use sdbuild_nix::forecast::{self, Forecast};
use sdbuild_nix::layout;
use sdbuild_nix::reports::{self, FlakeReport};
use sdbuild_nix::store_path::result;

use crate::build_source::BuildSource;
use crate::check_memory;
use crate::check_memory::Evaluated;
use crate::command::{NixCommand, StorePaths, Task};
use crate::flake::Flake;
use crate::follow::{Followed, LogView, follow, of_evaluation};
use crate::interactive::run_interactive;
use crate::network_access::NetworkAccess;
use crate::output::read_small_file;
use crate::tar_writer::Owner;
use collect::await_collector;
use program::start;
use sdbuild_nix::build_log::BuildLog;
use sdbuild_nix::check;
use sdbuild_nix::check::{CheckResult, OwnDefinitions};
use sdbuild_nix::diagnosis::{DerivationFacts, ExitContext, FailedBuild, Findings, diagnose};
use sdbuild_nix::shell_session::ShellSession;
use upload::Uploaded;

pub(crate) use closure::{ClosureProgram, Part};
pub(crate) use collect::{Collected, Collector, Task as CollectorTask, has_builder};
pub(crate) use export::{Export, Report};
pub(crate) use program::Containers;
pub(crate) use sdbuild_nix::reports::NoConfiguration;
pub(crate) use trial::{Trial, TrialRun};

mod closure;
mod collect;
mod export;
mod program;
mod trial;
mod upload;

/// A builder with all its input that has not been started.
#[derive(Debug)]
pub(crate) struct PreparedBuilder {
    container: Arc<ContainerOfJob>,
    heartbeat: Heartbeat,
    uploaded: Uploaded,
}

/// The container of a job.
#[derive(Debug)]
struct ContainerOfJob {
    container: Container,
    job: BuildJob,
    store: String,
    foreign: bool,
    /// The derivation of the image, once it is evaluated, where that is before the build. Untrusted.
    image: Arc<OnceLock<String>>,
}

/// A successful build.
#[derive(Debug)]
pub(crate) struct BuildResult {
    /// The stopped container, which the image is copied from.
    pub container: Container,
    /// The result, `/nix/store/…`.
    pub out_path: String,
    /// The result's derivation.
    pub derivation: String,
    /// SHA-256 of the configuration that was uploaded.
    pub configuration_sha256: Sha256Hash,
    /// The flake that it was built from.
    pub flake: Option<FlakeReport>,
    /// The key of the evaluation, if it was pure and nothing else than what was uploaded decided it: the same key gives the same
    /// result.
    pub evaluation: Option<Sha256Hash>,
    /// If it is not of a configuration: what is instead of one.
    pub as_it_is: Option<NoConfiguration>,
    /// Which image it is, and who chose it; `None` if the evaluation did not say it.
    pub image: Option<ImageChoice>,
}

/// Bytes of a derivation's file that is read: one that lists all packages of a system has less than one million.
const MAX_DERIVATION_BYTES: u64 = 16 << 20;
/// What takes minutes on a slow disk, when the first container with a new store volume is created: the engine copies the image's store
/// to it.
const FILLING_STORE: &str = "filling the new store volume";

impl Builder<'_> {
    /// Creates the container and uploads its input (`Phase::Upload`). `guard` removes it.
    pub(crate) async fn prepare(
        &self,
        guard: &mut ContainerGuard,
        job: BuildJob,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<PreparedBuilder, Failure> {
        let prepared = async {
            let Containers { engine, run, image } = self.containers;
            let paths = StorePaths {
                run: run.to_string(),
                configuration: job.configuration.clone(),
                live: self.containers.live_runs().await?,
            };
            let store_labels = labels(Role::Store, run);
            let is_new = engine.ensure_volume(self.store, store_labels).await?;
            if is_new {
                events.detail(Phase::Upload, FILLING_STORE);
            }
            let container = guard.create(&self.spec(&job, &paths)?).await?;
            if is_new {
                events.detail(Phase::Upload, "");
            }
            await_collector(engine, self.store, events).await?;
            if let Some((wrapper, source)) = self.wrapper {
                let copied = wrapper.copy_into(source, &container, image.foreign);
                let copied = copied.await;
                copied
                    .map_err(|e| Failure::from(e).context("copy an emulator into the builder"))?;
            }
            let uploaded = upload::configuration(&container, &job, image, events).await?;
            upload::kept(&container, &job, self, cancel, events).await?;
            let container = ContainerOfJob {
                container,
                job,
                store: self.store.to_owned(),
                foreign: self.containers.image.foreign,
                image: Arc::default(),
            };
            Ok(PreparedBuilder {
                container: Arc::new(container),
                heartbeat: Heartbeat::default(),
                uploaded,
            })
        };
        cancel.race(Box::pin(prepared)).await?
    }
}

impl PreparedBuilder {
    /// Pauses the builder's watchdog before this process is stopped.
    pub(crate) fn pause_handle(&self) -> PauseHandle {
        self.heartbeat.pause_handle()
    }

    /// Runs the build to its end (`Phase::Build`). When the future is dropped the heartbeats stop, and the builder
    /// ends by itself. `lost_handler` finds out whether emulated programs can no longer be run, if the log suggests it.
    pub(crate) async fn build(
        self,
        lost_handler: impl Future<Output = bool>,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<BuildResult, Failure> {
        let run = self.container.run_logged(self.heartbeat, cancel, events);
        let (followed, mut findings) = Box::pin(run).await?;
        let container = self.container;
        if followed.exit.code != 0 {
            findings.machine.lost_handler =
                findings.suspects_handler() && Box::pin(lost_handler).await;
            return Err(container.diagnosis(followed.exit, findings, cancel).await?);
        }
        let (out_path, derivation) = match (result(&followed.said.out), followed.incomplete) {
            (Ok(printed), _) => printed,
            (Err(_), Some(cut)) => return Err(container.with_log(cut.into())),
            (Err(failure), None) => return Err(container.with_log(failure)),
        };
        // The builder's word counts for what was uploaded, and for nothing else.
        let pure = |key: &Sha256Hash| *key == self.uploaded.evaluation;
        let decides = container.job.source.is_uploaded();
        let confirmed = followed.said.evaluation.filter(pure).filter(|_| decides);
        Ok(BuildResult {
            container: container.container.clone(),
            out_path,
            derivation,
            configuration_sha256: self.uploaded.configuration,
            flake: followed.said.flake,
            evaluation: confirmed,
            as_it_is: followed.said.as_it_is,
            image: followed.said.image,
        })
    }

    /// Evaluates what the configuration sets (`Phase::Evaluate`); the file `memory` gets what need not be evaluated again. When the
    /// future is dropped the heartbeats stop, and the builder ends by itself.
    pub(crate) async fn check(
        self,
        memory: &Path,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<CheckResult, Failure> {
        let container = self.container;
        let run = container.run_logged(self.heartbeat, cancel, events);
        let (mut followed, findings) = Box::pin(run).await?;
        if let Some(flake) = &followed.said.flake {
            // The files of a flake are in the store, those of a module in a directory.
            let (source, known) = (format!("{}/", flake.source), layout::CONFIG_DIR);
            followed.said.out = vec![followed.said.out.concat().replace(&source, known)];
        }
        let facts = check::facts(&followed.said.out);
        let found = facts.as_ref().map_or(&[][..], |facts| &facts.warnings);
        let job = &container.job;
        job.warn_of_others(&followed.said.kept_warnings, found, events);
        let definitions = job.definitions();
        let failure = if followed.exit.code == 0 {
            None
        } else {
            Some(container.diagnosis(followed.exit, findings, cancel).await?)
        };
        match (facts, failure, followed.incomplete) {
            (Some(facts), failure, incomplete) => {
                let is_whole = failure.is_none() && incomplete.is_none();
                // A key that lets somebody in may be there by mistake in place of its public half.
                if is_whole && job.is_remembered() && facts.has_no_private_key() {
                    let evaluated = Evaluated {
                        key: self.uploaded.evaluation,
                        out: followed.said.out,
                        warnings: followed.said.kept_warnings,
                    };
                    check_memory::remember(memory, evaluated);
                }
                Ok(CheckResult {
                    facts,
                    definitions,
                    failure,
                })
            }
            (None, Some(failure), _) => Err(failure),
            (None, None, Some(cut)) => Err(container.with_log(cut.into())),
            (None, None, None) => Err(Failure::message(
                Class::Internal,
                "read what the configuration sets: Nix's output cannot be parsed",
            )),
        }
    }

    /// Evaluates what a build would do (`Phase::Evaluate`). When the future is dropped the heartbeats stop, and
    /// the builder ends by itself.
    pub(crate) async fn forecast(
        self,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Forecast, Failure> {
        let shown_dir = self.container.job.source.source.shown_dir();
        let collector = forecast::Collector::default();
        let events = collector.intercept(events);
        let followed = self.finished(cancel, &events).await?;
        let mut forecast = collector.finish(&followed.said.out)?;
        forecast.evaluator_memory = followed.said.evaluator_memory;
        forecast.image = followed.said.image;
        forecast.caches = followed.said.caches;
        let (changes, without) = followed.said.changes;
        let changes = changes.map(|changes| changes.shown(&shown_dir));
        Ok(forecast.explained(changes.as_ref(), without))
    }

    /// Completes or updates the flake's lock (`Phase::Evaluate`); the text of the new one, `None` if nothing has changed. When
    /// the future is dropped the heartbeats stop, and the builder ends by itself.
    pub(crate) async fn lock(
        self,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Option<String>, Failure> {
        // Very long lines arrive in pieces.
        let text = self.finished(cancel, events).await?.said.out.concat();
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Evaluates which configurations a flake has (`Phase::Evaluate`).
    pub(crate) async fn machines(
        self,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Vec<Vec<String>>, Failure> {
        let text = self.finished(cancel, events).await?.said.out.concat();
        reports::machines(&text).ok_or_else(|| {
            let text = "read which configurations the flake has: Nix's output cannot be parsed";
            Failure::message(Class::Internal, text)
        })
    }

    /// What a builder that succeeded said; a failure if lines of its standard output may be missing.
    async fn finished(self, cancel: &Cancel, events: &Events) -> Result<Followed, Failure> {
        let container = self.container;
        let run = container.run_logged(self.heartbeat, cancel, events);
        let (followed, findings) = Box::pin(run).await?;
        if followed.exit.code != 0 {
            return Err(container.diagnosis(followed.exit, findings, cancel).await?);
        }
        match followed.incomplete {
            Some(cut) => Err(container.with_log(cut.into())),
            None => Ok(followed),
        }
    }

    /// Runs the shell with the user's terminal; returns the shell's exit status. When the future is dropped the
    /// heartbeats stop, and the builder ends by itself.
    pub(crate) async fn run_interactive(self, cancel: &Cancel) -> Result<i64, Failure> {
        let ContainerOfJob { container, job, .. } = &*self.container;
        let interactive = job.is_interactive();
        let session = run_interactive(container, self.heartbeat, &job.access, interactive);
        let exit = cancel.race(Box::pin(session));
        Ok(exit.await??.code)
    }
}

impl ContainerOfJob {
    /// Runs the builder to its end and writes its log file.
    async fn run_logged(
        &self,
        heartbeat: Heartbeat,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<(Followed, Findings), Failure> {
        let path = self.job.log.clone();
        let mut log = BuildLog::create(&path)?;
        events.emit(Event::LogFile(path.clone()));
        let followed = cancel
            .race(Box::pin(self.follow(heartbeat, &mut log, events)))
            .await;
        let (findings, write_error) = log.finish();
        if let Some(error) = write_error {
            events.warn(format!("the log {} is incomplete: {error}", path.display()));
        }
        match followed.flatten() {
            Ok(followed) => Ok((followed, findings)),
            Err(failure) => Err(self.with_log(failure)),
        }
    }

    async fn follow(
        &self,
        heartbeat: Heartbeat,
        log: &mut BuildLog,
        events: &Events,
    ) -> Result<Followed, Failure> {
        let events = with_shown_paths(events, &self.job.source.source.shown_dir());
        // Held until the output is drained: the builder ends with its input.
        let (_heartbeat, drain) = start(&self.container, heartbeat, &self.job.access).await?;
        let view = LogView {
            copying_flake: self.job.tell_of_copying(&events),
            slow: self.job.command.nix.stall_timeout,
            offline: self.job.access.offline,
            awaits_flake: self.job.source.flake().is_some(),
            caches: self.job.command.nix.flake_caches.clone(),
            substituters: self.job.command.nix.substituters.clone(),
            shown: self.job.source.shown_references(),
            image: self.image.clone(),
            definitions: self.job.definitions(),
            keeps_warnings: matches!(self.job.command.task, Task::Check),
            naming_result: (self.job.command.task == Task::Build).then_some(Phase::Build),
        };
        follow(drain, log, &events, view).await
    }

    /// The failure that the exit status and the findings show. The search takes a while in large files: it has a thread of its own, and a
    /// signal ends the wait for it.
    async fn diagnosis(
        self: &Arc<Self>,
        exit: Exit,
        mut findings: Findings,
        cancel: &Cancel,
    ) -> Result<Failure, Failure> {
        if let Some(failed) = &mut findings.failed {
            failed.facts = cancel.race(Box::pin(self.facts(failed))).await?;
        }
        let container = Arc::clone(self);
        let search = tokio::task::spawn_blocking(move || container.diagnosed(exit, &findings));
        let found = cancel.race(search).await;
        let found = found.and_then(|found| found.or_internal("find the cause of the failure"));
        found.map_err(|failure| self.with_log(failure))
    }

    /// What the file of the derivation that failed says.
    async fn facts(&self, failed: &FailedBuild) -> Option<DerivationFacts> {
        let path = failed.derivation.as_ref()?.path();
        let file = read_small_file(&self.container, path, MAX_DERIVATION_BYTES).await;
        DerivationFacts::parse(&String::from_utf8(file.ok()?).ok()?)
    }

    /// The failure that the exit status and the findings show.
    fn diagnosed(&self, exit: Exit, findings: &Findings) -> Failure {
        let files = self.job.source.user_files();
        let source = &self.job.source.source;
        let (shown_dir, shown) = (source.shown_dir(), source.shown());
        let in_words = source.in_words();
        let flake = source.flake();
        let overrides = flake.map(Flake::remote_overrides).unwrap_or_default();
        let lock = flake.and_then(Flake::lock);
        let context = ExitContext {
            code: exit.code,
            oom_killed: exit.oom_killed,
            emulated: self.job.command.emulated_system(),
            image: self.image.get().map(String::as_str),
            command: self.job.command.task.before_flake(),
            only_evaluates: self.job.command.task.only_evaluates(),
            foreign: self.foreign,
            offline: self.job.access.offline,
            store: &self.store,
            overrides: &overrides,
            lock: lock.as_ref(),
            shown_dir: &shown_dir,
            source: &shown,
            in_words: &in_words,
            is_flake: flake.is_some(),
            release: self.job.source.release(),
            files: files.as_ref(),
            cli_module: Some(self.job.source.cli_module()),
        };
        let failure = diagnose(&context, findings);
        let said = findings.nix_errors.first().map(|error| &error.summary);
        let hint = said.and_then(|said| flake?.hint_for_input(said));
        self.with_log(match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        })
    }

    fn with_log(&self, failure: Failure) -> Failure {
        Failure {
            log: Some(self.job.log.clone()),
            ..failure
        }
    }
}

/// `events` with `shown_dir` in messages in place of the configuration's directory in the builder.
fn with_shown_paths(events: &Events, shown_dir: &str) -> Events {
    let (events, shown_dir) = (events.clone(), shown_dir.to_owned());
    Events::new(move |mut event| {
        use sdbuild_core::nix_event::NixEvent::Message;
        if let Event::Nix(Message { text, .. }) | Event::Warning(text) = &mut event {
            *text = text.replace(layout::CONFIG_DIR, &shown_dir);
        }
        events.emit(event);
    })
}

/// Processes of the builder. An emulated program counts twice; a parallel build of something large needs thousands.
const MAX_PROCESSES: i64 = 16_384;
/// Timeout for copying an image's store to a new volume: a hundred megabytes in thousands of files, on a slow disk.
const FILL_TIMEOUT: Duration = Duration::from_mins(30);
/// From this size on, it takes seconds or minutes that Nix copies a flake to its store, about which it says nothing.
const MIN_COPIED_BYTES: u64 = 16 << 20;

/// One run of the builder.
#[derive(Clone, Debug)]
pub(crate) struct BuildJob {
    /// The configuration and its nixpkgs.
    pub source: BuildSource,
    /// Tells the configuration, with its host and system, from every other one of the store volume, without its path.
    pub configuration: String,
    /// The request that Nix is run for.
    pub command: NixCommand,
    /// Network access of the builder.
    pub access: NetworkAccess,
    /// Memory limit in bytes; `None`: unlimited.
    pub memory: Option<u64>,
    /// Path of the log file.
    pub log: PathBuf,
    /// The jobs of other configurations of the same flake that are next: what evaluates this one evaluates them too.
    pub next: Vec<BuildJob>,
}

impl BuildJob {
    /// Whether what it evaluates to is remembered: only an evaluation that nothing else than its key decides.
    fn is_remembered(&self) -> bool {
        self.source.flake().is_some() && self.source.is_uploaded()
    }

    /// What the configuration sets, if the file `memory` has it for the container image `image`, a reference that names its content.
    pub(crate) fn remembered_check(
        &self,
        memory: &Path,
        image: &str,
        events: &Events,
    ) -> Result<Option<CheckResult>, Failure> {
        let key = if self.is_remembered() {
            self.evaluation_key(image)?
        } else {
            None
        };
        let Some(known) = key.and_then(|key| check_memory::recall(memory, key)) else {
            return Ok(None);
        };
        let facts = check::facts(&known.out);
        Ok(facts.map(|facts| {
            if let Some(image) = &facts.image {
                events.emit(Event::ImageChosen(image.clone()));
            }
            self.warn_of_others(&known.warnings, &facts.warnings, events);
            CheckResult {
                facts,
                definitions: self.definitions(),
                failure: None,
            }
        }))
    }

    /// Shows those of the evaluation's `warnings` that are not `found`: findings tell of these.
    fn warn_of_others(&self, warnings: &[String], found: &[String], events: &Events) {
        let events = with_shown_paths(events, &self.source.source.shown_dir());
        // The rest of a long one may be cut off.
        let first_line = |text: &str| text.trim().lines().next().unwrap_or_default().to_owned();
        let found: Vec<String> = found.iter().map(|text| first_line(text)).collect();
        let others = warnings
            .iter()
            .filter(|text| !found.contains(&first_line(text)));
        others.for_each(|text| events.warn(of_evaluation(text)));
    }

    /// What the user's files define.
    fn definitions(&self) -> OwnDefinitions {
        let source = &self.source;
        let files = source.user_files();
        let files = files.as_ref();
        OwnDefinitions::read(files, &source.source.shown_dir(), source.cli_module())
    }

    /// Whether the user's terminal is attached to it.
    fn is_interactive(&self) -> bool {
        let session = self.command.task.session();
        session.is_some_and(ShellSession::is_interactive)
    }

    /// Says that Nix copies a large flake to its store; the phase that does it.
    fn tell_of_copying(&self, events: &Events) -> Option<Phase> {
        let bytes = self.source.uploaded_bytes();
        if self.source.flake().is_none() || bytes < MIN_COPIED_BYTES {
            return None;
        }
        let phase = match self.command.task {
            Task::Build => Phase::Build,
            Task::Check | Task::Forecast | Task::Machines | Task::Shell(_) | Task::Lock(_) => {
                Phase::Evaluate
            }
        };
        let text = format!("copying {} of flakes to the Nix store", human_bytes(bytes));
        events.detail(phase, text);
        Some(phase)
    }
}

/// What a builder is created from.
#[derive(Clone, Debug)]
pub(crate) struct Builder<'a> {
    /// What its container is made of.
    pub containers: Containers<'a>,
    /// Name of the store volume, which is created if it is missing.
    pub store: &'a str,
    /// The wrapper that gives the builder a private handler, and the container that has the wrapper's files.
    pub wrapper: Option<(&'a EntryWrapper, &'a Container)>,
}

impl Builder<'_> {
    /// The specification of the container for `job`.
    fn spec(&self, job: &BuildJob, paths: &StorePaths) -> Result<ContainerSpec, Failure> {
        let arguments = job.command.arguments();
        let (role, store) = (Role::Builder, Some(self.store));
        let mut spec = self.containers.spec(role, arguments, [], store);
        spec.environment = job.command.environment(paths)?;
        let source = job.source.environment(&job.command.task).into_iter();
        let source = source.map(|(name, value)| (name.to_owned(), value));
        spec.environment.extend(source);
        if job.is_interactive() {
            spec.input = Input::Terminal;
        }
        spec.tmpfs.push(empty_home());
        job.access.apply_to(&mut spec);
        spec.pids_limit = Some(MAX_PROCESSES);
        spec.memory = job.memory;
        if let Some((wrapper, _)) = self.wrapper {
            wrapper.apply_to(&mut spec);
        }
        Ok(spec)
    }

    /// Copies the image's `/nix` to a new store volume where the engine does that only when a first container with
    /// the volume starts (Podman).
    async fn fill_store(&self, cancel: &Cancel) -> Result<(), Failure> {
        let Containers { engine, run, .. } = self.containers;
        if !engine.facts().podman {
            return Ok(());
        }
        let no_command = ["/bin/sh", "-c", ":"].map(str::to_owned).to_vec();
        let spec = ContainerSpec {
            name: store_filler_name(run),
            input: Input::None,
            ..self
                .containers
                .spec(Role::Probe, no_command, [], Some(self.store))
        };
        let guard = ContainerGuard::arm(engine, &spec.name).grace(0);
        let fill = async |guard: &mut ContainerGuard| {
            finish_within(FILL_TIMEOUT, guard.output(&spec, 1)).await??;
            Ok(())
        };
        guard.run("fill the store volume", cancel, fill).await
    }
}

/// The home directory of a run, in memory: a build could leave settings of Nix and of git in one on the store volume, which name
/// programs.
fn empty_home() -> (String, String) {
    (layout::HOME_OF_NIX.to_owned(), "mode=1777".to_owned())
}

/// The user of sdbuild's own container image.
const OWN_USER: Owner = Owner {
    uid: 1000,
    gid: 1000,
};

/// A container image that Nix runs in, and the user that it runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuilderImage {
    reference: String,
    user: String,
    owner: Owner,
    foreign: bool,
}

impl BuilderImage {
    /// sdbuild's own image: it runs as user 1000, who owns its `/nix`.
    pub(crate) fn ours(reference: impl Into<String>) -> Self {
        let (reference, user) = (reference.into(), "1000:1000".to_owned());
        Self {
            reference,
            user,
            owner: OWN_USER,
            foreign: false,
        }
    }

    /// Reference or id of the image in the engine.
    pub(crate) fn reference(&self) -> &str {
        &self.reference
    }

    /// Whether the user chose it (`--builder-image`).
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Whether it runs as the container's root.
    pub(crate) fn is_root(&self) -> bool {
        self.user == "0:0"
    }

    /// An image of the user's choice (`--builder-image`). It runs as its own user, who owns its `/nix`. If that is
    /// root, it has no capabilities: it can write what root owns in the container and nothing else.
    pub(crate) fn foreign(info: &ImageInfo, events: &Events) -> Self {
        let user = info.user.clone().unwrap_or_default();
        let (name, group) = user.split_once(':').unwrap_or((&user, ""));
        let reference = info.id.clone();
        if matches!(name, "" | "0" | "root") {
            events.warn("the builder image runs as root: all its capabilities are dropped");
            let owner = Owner { uid: 0, gid: 0 };
            return Self {
                reference,
                user: "0:0".to_owned(),
                owner,
                foreign: true,
            };
        }
        // The id of a user name is known only inside the image. Uploaded files are readable by all, and the directories
        // that must be written to are writable by all.
        let uid = name.parse().unwrap_or(OWN_USER.uid);
        let owner = Owner {
            uid,
            gid: group.parse().unwrap_or(uid),
        };
        Self {
            reference,
            user,
            owner,
            foreign: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_users_paths() {
        let received = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = std::sync::Arc::clone(&received);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        let text = "error at /build/config/sd-card.nix:1:1".to_owned();
        let message = |text: String| {
            Event::Nix(sdbuild_core::nix_event::NixEvent::Message { level: 0, text })
        };
        with_shown_paths(&events, "pi/").emit(message(text));
        assert_eq!(
            received.lock().unwrap()[0],
            message("error at pi/sd-card.nix:1:1".into())
        );
    }

    #[test]
    fn a_foreign_image_runs_as_its_own_user() {
        let image = |user: Option<&str>| {
            let info = ImageInfo::of_user(user);
            let image = BuilderImage::foreign(&info, &Events::none());
            (image.user, image.owner.uid, image.owner.gid)
        };
        for root in [None, Some("root"), Some("0"), Some("0:0")] {
            assert_eq!(image(root), ("0:0".into(), 0, 0));
        }
        assert_eq!(image(Some("1001:100")), ("1001:100".into(), 1001, 100));
        assert_eq!(image(Some("nix")), ("nix".into(), 1000, 1000));
    }
}
