//! Describes the closure of a system on a store volume, and writes paths of it as archives.
//!
//! The container has no network and no secrets. It counts as a builder: no garbage is collected on the volume meanwhile.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Containers;
use super::collect::await_collector;
use super::upload::{ENTRY, WATCHDOG};
use crate::network_access::NetworkAccess;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::Failure;
use sdbuild_engine::{ContainerGuard, ContainerSpec, Lines, OutputChunk, Role};
use sdbuild_nix::layout;
use sdbuild_nix::log::clean;

/// The program.
const PROGRAM: &str = include_str!("../../../../containers/builder/export-closure");
/// Path of the program in the container.
const PATH: &str = "/build/sdbuild/export-closure";
/// The list of the paths to write.
const PATHS: &str = "/build/sdbuild/paths";
/// Exit status: the volume no longer has the system.
const EXIT_SYSTEM_LOST: i64 = 121;
/// Lines of its messages that a failure shows.
const MAX_MESSAGES: usize = 20;

/// What is written of a closure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    /// The description of all paths.
    List,
    /// The archives of these paths, one behind the other.
    Archives(&'a [String]),
}

/// A closure on a store volume.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClosureProgram<'a> {
    /// What its container is made of.
    pub containers: Containers<'a>,
    /// Name of the store volume, which exists.
    pub store: &'a str,
    /// The store path of the system.
    pub system: &'a str,
}

impl ClosureProgram<'_> {
    /// Writes `part` to `output`; an early end of its receiver ends the program without a failure. The container is removed before
    /// this returns, or is among the leftovers of the failure.
    pub(crate) async fn run(
        &self,
        part: Part<'_>,
        output: mpsc::Sender<Bytes>,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<(), Failure> {
        let Containers { engine, .. } = self.containers;
        let spec = self.spec(part).await?;
        let guard = ContainerGuard::arm(engine, &spec.name).grace(0);
        let export = async |guard: &mut ContainerGuard| {
            let container = guard.create(&spec).await?;
            await_collector(engine, self.store, events).await?;
            let paths = match part {
                Part::List => String::new(),
                Part::Archives(paths) => paths.join("\n") + "\n",
            };
            let files = [
                (layout::WATCHDOG, WATCHDOG.to_owned()),
                (layout::ENTRY, ENTRY.to_owned()),
                (PATH, PROGRAM.to_owned()),
                (PATHS, paths),
            ];
            let mut messages = (Lines::default(), VecDeque::new());
            let sink = async |chunk| match chunk {
                OutputChunk::Stdout(bytes) => match output.send(bytes).await {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
                OutputChunk::Stderr(bytes) => {
                    for line in messages.0.push(&bytes) {
                        keep(&mut messages.1, &line);
                    }
                    ControlFlow::Continue(())
                }
            };
            let access = NetworkAccess::none();
            let ended = self
                .containers
                .run_program(&container, files.into(), &access, sink);
            match ended.await? {
                ControlFlow::Break(()) => Ok(()),
                ControlFlow::Continue(exit) => self.outcome(exit.code, messages.1),
            }
        };
        guard.run("read the system", cancel, export).await
    }

    async fn spec(&self, part: Part<'_>) -> Result<ContainerSpec, Failure> {
        let task = match part {
            Part::List => "list",
            Part::Archives(_) => "dump",
        };
        let words = ["/bin/sh", PATH, task, self.system];
        let command = layout::COMMAND.into_iter().chain(words);
        let run = self.containers.run.to_string();
        let environment = [
            ("NIX_REMOTE", "local".to_owned()),
            ("TMPDIR", layout::build_dir(&run)),
            ("SDBUILD_RUN", run),
            ("SDBUILD_LIVE", self.containers.live_runs().await?.join(" ")),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        let (role, store) = (Role::Builder, Some(self.store));
        let command = command.map(str::to_owned).collect();
        let mut spec = self.containers.spec(role, command, environment, store);
        NetworkAccess::none().apply_to(&mut spec);
        Ok(spec)
    }

    /// What the exit status `code` means; `messages` are the last ones.
    fn outcome(&self, code: i64, messages: VecDeque<String>) -> Result<(), Failure> {
        if code == 0 {
            return Ok(());
        }
        if code == EXIT_SYSTEM_LOST {
            let (store, system) = (self.store, self.system);
            let text = format!("the store volume {store} no longer has the system {system}");
            return Err(Failure::environment(text)
                .hint("run the same command again: it builds what is missing"));
        }
        let failure = Failure::environment(format!("reading the system ended with {code}"));
        Err(Failure {
            log_tail: messages.into(),
            ..failure
        })
    }
}

/// Adds `line` to the last messages.
fn keep(messages: &mut VecDeque<String>, line: &str) {
    if messages.len() == MAX_MESSAGES {
        messages.pop_front();
    }
    messages.push_back(clean(line));
}
