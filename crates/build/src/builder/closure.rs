//! Describes the closure of a system on a store volume, and writes paths of it as archives.
//!
//! The container has no network and no secrets. It counts as a builder: no garbage is collected on the volume meanwhile.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Containers;
use super::program::{LastMessages, StoreProgram};
use crate::network_access::NetworkAccess;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// The program.
const PROGRAM: &str = include_str!("../../../../containers/builder/export-closure");
/// Path of the program in the container.
const PATH: &str = "/build/sdbuild/export-closure";
/// The list of the paths to write.
const PATHS: &str = "/build/sdbuild/paths";
/// Exit status: the volume no longer has the system.
const EXIT_SYSTEM_LOST: i64 = 121;

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
    /// The store path of the result of the build.
    pub result: &'a str,
}

impl ClosureProgram<'_> {
    /// Writes `part` to `output`; an early end of its receiver ends the program without a failure. The container is removed before
    /// this returns, or is among the leftovers of the failure.
    pub(crate) async fn run(
        &self,
        part: Part<'_>,
        output: mpsc::Sender<Bytes>,
        context: &Context,
    ) -> Result<(), Failure> {
        let (task, paths) = match part {
            Part::List => ("list", String::new()),
            Part::Archives(paths) => ("dump", paths.join("\n") + "\n"),
        };
        let program = StoreProgram {
            containers: self.containers,
            store: self.store,
            access: &NetworkAccess::none(),
            program: (PATH, PROGRAM),
            arguments: &[task, self.result],
            environment: Vec::new(),
            input: (PATHS, paths),
        };
        let mut messages = LastMessages::default();
        let note = |line: &str| messages.add(line);
        let ended = program.run("read the system", output, note, context);
        match ended.await?.map(|exit| exit.code) {
            None | Some(0) => Ok(()),
            Some(EXIT_SYSTEM_LOST) => {
                let (store, result) = (self.store, self.result);
                let text = format!("the store volume {store} no longer has {result}");
                Err(Failure::environment(text)
                    .hint("run the same command again: it builds what is missing"))
            }
            Some(code) => {
                let text = format!("reading the system ended with {code}");
                Err(messages.of(Failure::environment(text)))
            }
        }
    }
}
