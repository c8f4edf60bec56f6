//! Exports what a build made to a binary cache: Nix reads the store volume, signs and packs, and sdbuild or the destination
//! takes it in. The container has the network and the secrets of a build, and the key in memory.
//!
//! It counts as a builder: no garbage is collected on the volume meanwhile.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::collect::await_collector;
use super::upload::{ENTRY, WATCHDOG};
use super::{Containers, empty_home};
use crate::network_access;
use crate::network_access::NetworkAccess;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::Failure;
use sdbuild_engine::{ContainerGuard, ContainerSpec, Lines, OutputChunk, Role};
use sdbuild_nix::layout;
use sdbuild_nix::log::clean;
use sdbuild_nix::nix_conf::NixSettings;

/// The program that exports.
const PROGRAM: &str = include_str!("../../../../containers/builder/export-cache");
/// Path of the export program in the container.
const PATH: &str = "/build/sdbuild/export-cache";
/// The list of what the destination has already.
const EXPORTED: &str = "/build/sdbuild/exported";
/// What the program calls its standard output.
const ARCHIVE: &str = "-";
/// Lines of Nix's that a failure shows.
const MAX_MESSAGES: usize = 20;
/// What the program's own lines begin with.
const REPORT_PREFIX: &str = "sdbuild: ";
/// Exit status: the volume no longer has the result.
const EXIT_RESULT_LOST: i64 = 121;
/// Exit status: a binary cache did not answer.
const EXIT_CACHE_UNREACHABLE: i64 = 122;

/// An export, and what it is done with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Export<'a> {
    /// What its container is made of.
    pub containers: Containers<'a>,
    /// Name of the store volume, which exists.
    pub store: &'a str,
    /// How the destination and the caches are reached, with the key.
    pub access: &'a NetworkAccess,
    /// Nix's settings.
    pub nix: &'a NixSettings,
    /// The store path of the result.
    pub result: &'a str,
    /// The address that Nix or curl sends to; `None` for an archive.
    pub address: Option<&'a str>,
    /// The name of the key.
    pub key: &'a str,
    /// Addresses of the binary caches whose paths are left out.
    pub caches: &'a [String],
    /// Hashes of the paths that need not be in the archive.
    pub exported: &'a [String],
}

/// A report of the export program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// How many paths are exported, and how many bytes they take in the store.
    Paths {
        /// Store paths.
        paths: u64,
        /// Bytes.
        bytes: u64,
    },
    /// One of them is at its destination, or in the archive.
    Exported,
}

impl Export<'_> {
    /// Runs the export to its end; the archive goes to `archive`, an early end of whose receiver ends the export without a
    /// failure. The container is removed before this returns, or is among the leftovers of the failure.
    pub(crate) async fn run(
        &self,
        archive: mpsc::Sender<Bytes>,
        report: impl Fn(Report),
        cancel: &Cancel,
        events: &Events,
    ) -> Result<(), Failure> {
        let Containers { engine, .. } = self.containers;
        let spec = self.spec().await?;
        let guard = ContainerGuard::arm(engine, &spec.name).grace(0);
        let export = async |guard: &mut ContainerGuard| {
            let container = guard.create(&spec).await?;
            await_collector(engine, self.store, events).await?;
            let files = [
                (layout::WATCHDOG, WATCHDOG.to_owned()),
                (layout::ENTRY, ENTRY.to_owned()),
                (PATH, PROGRAM.to_owned()),
                (EXPORTED, self.exported.join("\n") + "\n"),
            ];
            let mut messages = Messages::new(&report);
            let sink = async |chunk| match chunk {
                OutputChunk::Stdout(bytes) => match archive.send(bytes).await {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
                OutputChunk::Stderr(bytes) => {
                    messages.add(&bytes);
                    ControlFlow::Continue(())
                }
            };
            let access = self.access;
            let ended = self
                .containers
                .run_program(&container, files.into(), access, sink);
            match ended.await? {
                ControlFlow::Break(()) => Ok(()),
                ControlFlow::Continue(exit) => {
                    outcome(exit.code, self.store, self.result, messages)
                }
            }
        };
        guard.run("export the build", cancel, export).await
    }

    async fn spec(&self) -> Result<ContainerSpec, Failure> {
        let words = [self.result, self.address.unwrap_or(ARCHIVE), self.key];
        let command = layout::COMMAND.into_iter().chain(["/bin/sh", PATH]);
        let command = command.chain(words).map(str::to_owned).collect();
        let run = self.containers.run.to_string();
        let dir = layout::build_dir(&run);
        let environment = [
            ("NIX_CONFIG", self.nix.text(None, &dir)?),
            ("NIX_REMOTE", "local".to_owned()),
            ("NIX_SSHOPTS", network_access::ssh_options()),
            ("SDBUILD_RUN", run),
            ("SDBUILD_LIVE", self.containers.live_runs().await?.join(" ")),
            ("SDBUILD_CACHES", self.caches.join(" ")),
            ("HOME", layout::HOME_OF_NIX.to_owned()),
            ("TMPDIR", dir),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        let (role, store) = (Role::Builder, Some(self.store));
        let mut spec = self.containers.spec(role, command, environment, store);
        spec.tmpfs.push(empty_home());
        self.access.apply_to(&mut spec);
        Ok(spec)
    }
}

/// What the exit status `code` of an export of `result` from the volume `store` means.
fn outcome(
    code: i64,
    store: &str,
    result: &str,
    mut messages: Messages<'_>,
) -> Result<(), Failure> {
    if code == 0 {
        return Ok(());
    }
    if code == EXIT_RESULT_LOST {
        let text = format!("the store volume {store} no longer has the result {result}");
        return Err(Failure::environment(text)
            .hint("build the image again: what is kept is not built twice"));
    }
    messages.finish();
    let said = messages.last();
    if code == EXIT_CACHE_UNREACHABLE
        && let Some(cache) = &messages.unasked
    {
        let text = format!("the binary cache {cache} cannot be asked what it has: {said}");
        let hint = "try again when it answers, leave it out of --substituters, or export everything with --all";
        return Err(Failure::environment(text).hint(hint));
    }
    let failure = Failure::environment(format!("the export ended with {code}: {said}"));
    let failure = Failure {
        log_tail: messages.lines.into_iter().collect(),
        ..failure
    };
    Err(failure.hint("what is already exported is kept: run the same command again to resume"))
}

/// The program's standard error.
struct Messages<'a> {
    report: &'a dyn Fn(Report),
    stderr: Lines,
    /// The last lines of Nix and its helpers.
    lines: VecDeque<String>,
    /// The binary cache that does not answer.
    unasked: Option<String>,
}

impl<'a> Messages<'a> {
    fn new(report: &'a dyn Fn(Report)) -> Self {
        Self {
            report,
            stderr: Lines::default(),
            lines: VecDeque::new(),
            unasked: None,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        for line in self.stderr.push(bytes) {
            self.line(&line);
        }
    }

    fn finish(&mut self) {
        if let Some(line) = self.stderr.finish() {
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        let own = line.strip_prefix(REPORT_PREFIX).unwrap_or_default();
        let words: Vec<&str> = own.split(' ').collect();
        match words[..] {
            ["paths", paths, bytes] => {
                if let (Ok(paths), Ok(bytes)) = (paths.parse(), bytes.parse()) {
                    (self.report)(Report::Paths { paths, bytes });
                }
            }
            ["exported", _] => (self.report)(Report::Exported),
            ["unasked", cache] => self.unasked = Some(clean(cache)),
            _ if line.trim().is_empty() => {}
            _ => {
                if self.lines.len() == MAX_MESSAGES {
                    self.lines.pop_front();
                }
                self.lines.push_back(clean(line));
            }
        }
    }

    /// The last message.
    fn last(&self) -> String {
        let last = self.lines.back().map(|line| line.trim().to_owned());
        last.unwrap_or_else(|| "it said nothing".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn reports_are_distinguished_from_messages() {
        let reports = RefCell::new(Vec::new());
        let note = |report| reports.borrow_mut().push(report);
        let mut messages = Messages::new(&note);
        messages.add(b"sdbuild: paths 2 300\nwarning: \x1b[31modd\x1b[0m\nsdbuild: expo");
        messages
            .add(b"rted /nix/store/x\nsdbuild: paths many 1\n\nsdbuild: unasked http://c\nlast");
        messages.finish();
        let paths = Report::Paths {
            paths: 2,
            bytes: 300,
        };
        assert_eq!(*reports.borrow(), [paths, Report::Exported]);
        assert_eq!(messages.lines, ["warning: odd", "last"]);
        assert_eq!(messages.unasked.as_deref(), Some("http://c"));
        let mut again = Messages::new(&note);
        again.add(b"sdbuild: unasked http://c\nno route\n");
        let refused = outcome(EXIT_CACHE_UNREACHABLE, "s", "/nix/store/x", again).unwrap_err();
        let text = "the binary cache http://c cannot be asked what it has: no route";
        assert_eq!(refused.to_string(), text);
        for _ in 0..100 {
            messages.add(b"more\n");
        }
        assert_eq!(
            (messages.lines.len(), messages.last()),
            (MAX_MESSAGES, "more".into())
        );
    }

    #[test]
    fn a_result_that_is_gone_cannot_be_exported() {
        let outcome = |code| outcome(code, "sdbuild-store", "/nix/store/x", Messages::new(&drop));
        outcome(0).unwrap();
        let lost = outcome(EXIT_RESULT_LOST).unwrap_err().to_string();
        let text = "the store volume sdbuild-store no longer has the result /nix/store/x";
        assert_eq!(lost, text);
        let other = outcome(1).unwrap_err().to_string();
        assert_eq!(other, "the export ended with 1: it said nothing");
    }
}
