//! The builder: an unprivileged container that runs Nix and nothing else.
//!
//! It has no capability, no path of the host and no engine socket; the store volume is its `/nix`.
//! Input goes in by upload before it starts, output stays on the volume when it has ended. Its
//! standard input is a leash: when the future that follows it is dropped, or this process dies, the
//! entry sees the end of it and stops Nix. Removing the container is the caller's, whose guard makes it.

use std::path::PathBuf;
use std::time::Duration;

use super::build_log::BuildLog;
use super::build_source::BuildSource;
use super::check::{self, CheckResult};
use super::command::{BuildRequest, StorePaths};
use super::diagnosis::{ExitContext, Findings, diagnose};
use super::follow::{Followed, follow};
use super::forecast::{Collector, Forecast};
pub use super::image::BuilderImage;
use super::interactive::run_interactive;
use super::shell_session::ShellSession;
use super::store_path::result;
use super::upload;
use crate::common::cancel::Cancel;
use crate::common::event::{Event, Events};
use crate::common::failure::{Class, Failure};
use crate::common::timeout::timeout;
use crate::engine::labels::{labels, store_filler_name};
use crate::engine::{
    Attached, Container, ContainerGuard, ContainerSpec, Engine, EntryWrapper, Heartbeat, Input,
    Network, PauseHandle, Role, RunId,
};

/// Every emulated process counts twice; a parallel build of something large needs thousands.
const PIDS: i64 = 16_384;
/// For a hundred megabytes in thousands of files, on the slowest of disks.
const FILLING: Duration = Duration::from_secs(1800);

/// What is to be built.
#[derive(Clone, Debug)]
pub struct BuildJob {
    /// The configuration and its nixpkgs.
    pub source: BuildSource,
    /// The call of `nix-build`.
    pub request: BuildRequest,
    /// Bytes of memory at most.
    pub memory: Option<u64>,
    /// Where the whole log is kept.
    pub log: PathBuf,
}

impl BuildJob {
    /// Whether a user sits at a terminal that it is to have.
    fn is_attended(&self) -> bool {
        let session = self.request.task.session();
        session.is_some_and(ShellSession::attended)
    }
}

/// Where a builder is made.
#[derive(Clone, Debug)]
pub struct Builder<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Whose it is.
    pub run: &'a RunId,
    /// The container image.
    pub image: &'a BuilderImage,
    /// Name of the store volume; made when it is not there.
    pub store: &'a str,
    /// What it is put into, and who has the files for that.
    pub enclosure: Option<(&'a EntryWrapper, &'a Container)>,
}

/// A builder with everything in it, not started yet.
#[derive(Debug)]
pub struct PreparedBuilder {
    container: Container,
    job: BuildJob,
    store: String,
    foreign: bool,
    heartbeat: Heartbeat,
}

/// A build that went well.
#[derive(Debug)]
pub struct BuildResult {
    /// The stopped container: the image is copied out of it.
    pub container: Container,
    /// The result, `/nix/store/…`.
    pub out_path: String,
    /// The derivation that it is the output of, where Nix knows it.
    pub derivation: Option<String>,
}

impl Builder<'_> {
    /// Makes the container and uploads what it needs (`Phase::Upload`). The guard removes it.
    pub async fn prepare(
        &self,
        guard: &mut ContainerGuard,
        job: BuildJob,
        (cancel, events): (&Cancel, &Events),
    ) -> Result<PreparedBuilder, Failure> {
        let prepared = async {
            let places = self.places(&job).await?;
            self.engine
                .ensure_volume(self.store, labels(Role::Store, self.run))
                .await?;
            let container = guard.create(&self.spec(&job, &places)?).await?;
            if let Some((enclosure, source)) = self.enclosure {
                let equipped = enclosure.copy_into((source, &container), self.image.foreign);
                let equipped = equipped.await;
                equipped.map_err(|e| Failure::from(e).context("give the builder an emulator"))?;
            }
            upload::configuration(&container, &job, self.image.owner).await?;
            upload::nixpkgs(&container, &job, self, (cancel, events)).await?;
            let (store, foreign) = (self.store.to_owned(), self.image.foreign);
            Ok(PreparedBuilder {
                container,
                job,
                store,
                foreign,
                heartbeat: Heartbeat::default(),
            })
        };
        cancel.race(Box::pin(prepared)).await?
    }

    async fn places(&self, job: &BuildJob) -> Result<StorePaths, Failure> {
        // Whatever has a builder's container may have files on the volume, also before it runs.
        let containers = self.engine.our_containers().await?;
        let builders = containers
            .into_iter()
            .filter(|c| c.role == Some(Role::Builder));
        Ok(StorePaths {
            run: self.run.to_string(),
            nixpkgs: job.source.nixpkgs.name(),
            root: job.source.configuration.root_name(),
            live: builders.filter_map(|c| Some(c.run?.to_string())).collect(),
        })
    }

    /// Puts the image's content into a fresh volume where the engine does so late: Podman, when the
    /// first container that has the volume is started.
    pub(super) async fn fill_store(&self, cancel: &Cancel) -> Result<(), Failure> {
        if !self.engine.facts().podman {
            return Ok(());
        }
        let nothing = ["/bin/sh", "-c", ":"].map(str::to_owned).to_vec();
        let reference = &self.image.reference;
        let spec = ContainerSpec {
            name: store_filler_name(self.run),
            user: Some(self.image.user.clone()),
            volumes: vec![(self.store.to_owned(), "/nix".to_owned())],
            ..ContainerSpec::new(Role::Probe, self.run, reference, nothing)
        };
        let mut guard = ContainerGuard::arm(self.engine, &spec.name).grace(0);
        let fill = timeout(FILLING, guard.output(&spec, 1));
        let filled = cancel.race(Box::pin(fill)).await;
        let left: Vec<_> = guard.remove(cancel).await.into_iter().collect();
        match filled {
            Ok(Some(Ok(_))) if left.is_empty() => Ok(()),
            Ok(Some(Ok(_))) => {
                Err(Failure::environment("fill the store volume").with_teardown(left))
            }
            Ok(None) => {
                let text = "fill the store volume: the engine is still at it after 30 min";
                Err(Failure::environment(text).with_teardown(left))
            }
            Ok(Some(Err(error))) => Err(Failure::from(error).with_teardown(left)),
            Err(interrupted) => Err(interrupted.with_teardown(left)),
        }
    }

    fn spec(&self, job: &BuildJob, places: &StorePaths) -> Result<ContainerSpec, Failure> {
        let arguments = job.request.arguments(places);
        let mut spec =
            ContainerSpec::new(Role::Builder, self.run, &self.image.reference, arguments);
        spec.environment = job.request.environment(places)?;
        spec.user = Some(self.image.user.clone());
        spec.working_dir = Some("/".to_owned());
        spec.input = if job.is_attended() {
            Input::Terminal
        } else {
            Input::Pipe
        };
        spec.network = Network::Default;
        spec.volumes = vec![(self.store.to_owned(), "/nix".to_owned())];
        spec.pids_limit = Some(PIDS);
        spec.memory = job.memory;
        if let Some((enclosure, _)) = self.enclosure {
            enclosure.apply_to(&mut spec);
        }
        Ok(spec)
    }
}

impl PreparedBuilder {
    /// Pauses the builder's watchdog before this process is stopped.
    pub fn pause_handle(&self) -> PauseHandle {
        self.heartbeat.pause_handle()
    }

    /// Starts it and follows it to its end (`Phase::Build`). Dropping the future lets go of the
    /// leash, and the builder stops by itself.
    pub async fn build(mut self, cancel: &Cancel, events: &Events) -> Result<BuildResult, Failure> {
        let (followed, findings) = Box::pin(self.watched(cancel, events)).await?;
        let (out_path, derivation) = self.result(&followed, &findings)?;
        Ok(BuildResult {
            container: self.container,
            out_path,
            derivation,
        })
    }

    /// Starts it and reads what the configuration sets (`Phase::Evaluate`). Dropping the future lets go
    /// of the leash.
    pub async fn check(mut self, cancel: &Cancel, events: &Events) -> Result<CheckResult, Failure> {
        let (followed, findings) = Box::pin(self.watched(cancel, events)).await?;
        let failure = (followed.exit.code != 0).then(|| self.diagnosis(&followed, &findings));
        match (check::facts(&followed.out), failure) {
            (Some(facts), failure) => Ok(CheckResult { facts, failure }),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Failure::message(
                Class::Internal,
                "read what the configuration sets: Nix printed something else",
            )),
        }
    }

    /// Starts it and reads what a build would do (`Phase::Evaluate`). Dropping the future lets go of the
    /// leash.
    pub async fn forecast(mut self, cancel: &Cancel, events: &Events) -> Result<Forecast, Failure> {
        let collector = Collector::default();
        let events = collector.listen(events);
        let (followed, findings) = Box::pin(self.watched(cancel, &events)).await?;
        match followed.exit.code {
            0 => collector.finish(&followed.out),
            _ => Err(self.diagnosis(&followed, &findings)),
        }
    }

    /// Follows it to its end; every line of Nix's log is kept.
    async fn watched(
        &mut self,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<(Followed, Findings), Failure> {
        let log = self.job.log.clone();
        let mut journal = BuildLog::create(&log)?;
        events.emit(Event::LogFile(log.clone()));
        let followed = cancel
            .race(Box::pin(self.follow(&mut journal, events)))
            .await;
        let (findings, trouble) = journal.finish();
        if let Some(error) = trouble {
            events.warn(format!("the log {} is not whole: {error}", log.display()));
        }
        let followed = followed.and_then(|followed| followed);
        Ok((
            followed.map_err(|failure| self.with_log(failure))?,
            findings,
        ))
    }

    /// Starts it and hands the user's terminal to the shell in it; the shell's exit status. Dropping
    /// the future lets go of the leash, and the builder stops by itself.
    pub async fn attend(mut self, cancel: &Cancel) -> Result<i64, Failure> {
        let attended = self.job.is_attended();
        let heartbeat = std::mem::take(&mut self.heartbeat);
        let attend = run_interactive(&self.container, heartbeat, attended);
        let exit = cancel.race(Box::pin(attend));
        Ok(exit.await??.code)
    }

    async fn follow(
        &mut self,
        journal: &mut BuildLog,
        events: &Events,
    ) -> Result<Followed, Failure> {
        let events = show(events, self.job.source.configuration.shown_dir());
        // Before the start: nothing that it says is missed, and the watchdog has an input from the start.
        let Attached { input, output } = self.container.attach().await?;
        self.container.start().await?;
        // Until the output is drained: the builder ends with its input.
        let _heartbeat = std::mem::take(&mut self.heartbeat).keep_alive(input);
        follow(self.container.drain(output), journal, &events).await
    }

    /// The result's store path and derivation, or why there is none.
    fn result(
        &self,
        followed: &Followed,
        findings: &Findings,
    ) -> Result<(String, Option<String>), Failure> {
        if followed.exit.code == 0 {
            return result(&followed.out).map_err(|failure| self.with_log(failure));
        }
        Err(self.diagnosis(followed, findings))
    }

    /// Why it ended as it did.
    fn diagnosis(&self, followed: &Followed, findings: &Findings) -> Failure {
        let ending = ExitContext {
            code: followed.exit.code,
            oom_killed: followed.exit.oom_killed,
            emulated: self.job.request.emulated,
            only_evaluates: self.job.request.task.only_evaluates(),
            foreign: self.foreign,
            store: &self.store,
            keys: &self.job.request.nix.keys,
            shown_dir: self.job.source.configuration.shown_dir(),
            file: self.job.source.configuration.file(),
        };
        self.with_log(diagnose(&ending, findings))
    }

    fn with_log(&self, failure: Failure) -> Failure {
        Failure {
            log: Some(self.job.log.clone()),
            ..failure
        }
    }
}

/// Events whose messages name the user's own places.
fn show(events: &Events, shown: &str) -> Events {
    let (events, shown) = (events.clone(), shown.to_owned());
    Events::new(move |mut event| {
        use crate::common::event::NixEvent::Message;
        if let Event::Nix(Message { text, .. }) | Event::Warning(text) = &mut event {
            *text = text.replace("/build/config/", &shown);
        }
        events.emit(event);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_users_places() {
        let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = std::sync::Arc::clone(&heard);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        let text = "error at /build/config/sd-card.nix:1:1".to_owned();
        let message =
            |text: String| Event::Nix(crate::common::event::NixEvent::Message { level: 0, text });
        show(&events, "pi/").emit(message(text));
        assert_eq!(
            heard.lock().unwrap()[0],
            message("error at pi/sd-card.nix:1:1".into())
        );
    }
}
