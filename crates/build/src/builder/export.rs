//! Exports what a build made to a binary cache: Nix reads the store volume, signs and packs, and sdbuild or the destination
//! takes it in. The container has the network and the secrets of a build, and the key in memory.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Containers;
use super::program::{LastMessages, StoreProgram};
use crate::network_access;
use crate::network_access::NetworkAccess;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
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
        context: &Context,
    ) -> Result<(), Failure> {
        let dir = layout::build_dir(&self.containers.run.to_string());
        let program = StoreProgram {
            containers: self.containers,
            store: self.store,
            access: self.access,
            program: (PATH, PROGRAM),
            arguments: &[self.result, self.address.unwrap_or(ARCHIVE), self.key],
            environment: vec![
                ("NIX_CONFIG", self.nix.text(None, &dir)?),
                ("NIX_SSHOPTS", network_access::ssh_options()),
                ("SDBUILD_CACHES", self.caches.join(" ")),
            ],
            input: (EXPORTED, self.exported.join("\n") + "\n"),
        };
        let mut messages = Messages::default();
        let note = |line: &str| messages.line(line).into_iter().for_each(&report);
        let ended = program.run("export the build", archive, note, context);
        match ended.await? {
            None => Ok(()),
            Some(exit) => outcome(exit.code, self.store, self.result, messages),
        }
    }
}

/// What the exit status `code` of an export of `result` from the volume `store` means.
fn outcome(code: i64, store: &str, result: &str, messages: Messages) -> Result<(), Failure> {
    if code == 0 {
        return Ok(());
    }
    if code == EXIT_RESULT_LOST {
        let text = format!("the store volume {store} no longer has the result {result}");
        return Err(Failure::environment(text)
            .hint("build the image again: what is kept is not built twice"));
    }
    let said = messages.last.last();
    if code == EXIT_CACHE_UNREACHABLE
        && let Some(cache) = &messages.unasked
    {
        let text = format!("the binary cache {cache} cannot be asked what it has: {said}");
        let hint = "try again when it answers, leave it out of --substituters, or export everything with --all";
        return Err(Failure::environment(text).hint(hint));
    }
    let failure = Failure::environment(format!("the export ended with {code}: {said}"));
    let hint = "what is already exported is kept: run the same command again to resume";
    Err(messages.last.of(failure.hint(hint)))
}

/// The program's standard error.
#[derive(Debug, Default)]
struct Messages {
    /// Those of Nix and its helpers.
    last: LastMessages,
    /// The binary cache that does not answer.
    unasked: Option<String>,
}

impl Messages {
    fn line(&mut self, line: &str) -> Option<Report> {
        let own = line.strip_prefix(REPORT_PREFIX).unwrap_or_default();
        let words: Vec<&str> = own.split(' ').collect();
        match words[..] {
            ["paths", paths, bytes] => {
                let (paths, bytes) = (paths.parse().ok()?, bytes.parse().ok()?);
                return Some(Report::Paths { paths, bytes });
            }
            ["exported", _] => return Some(Report::Exported),
            ["unasked", cache] => self.unasked = Some(clean(cache)),
            _ => self.last.add(line),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_distinguished_from_messages() {
        let mut messages = Messages::default();
        let lines = [
            "sdbuild: paths 2 300",
            "warning: \u{1b}[31modd\u{1b}[0m",
            "sdbuild: exported /nix/store/x",
            "sdbuild: paths many 1",
            "",
            "sdbuild: unasked http://c",
        ];
        let reports: Vec<_> = lines
            .iter()
            .filter_map(|line| messages.line(line))
            .collect();
        let paths = Report::Paths {
            paths: 2,
            bytes: 300,
        };
        assert_eq!(reports, [paths, Report::Exported]);
        assert_eq!(messages.last.last(), "warning: odd");
        let outcome = |code, messages| outcome(code, "s", "/nix/store/x", messages);
        let refused = outcome(EXIT_CACHE_UNREACHABLE, messages).unwrap_err();
        let text = "the binary cache http://c cannot be asked what it has: warning: odd";
        assert_eq!(refused.to_string(), text);
        outcome(0, Messages::default()).unwrap();
        for (code, text) in [
            (
                EXIT_RESULT_LOST,
                "the store volume s no longer has the result /nix/store/x",
            ),
            (1, "the export ended with 1: it said nothing"),
        ] {
            let failure = outcome(code, Messages::default()).unwrap_err();
            assert_eq!(failure.to_string(), text);
        }
    }
}
