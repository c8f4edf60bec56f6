//! Failures of this machine, the network, the binary caches and the remote builders, by texts in the log. The texts are those of
//! Nix 2.26, curl, QEMU 11 and the tools that make an image.

use std::collections::BTreeSet;

use KnownError::{
    BuilderLost, CacheDamaged, CacheFailed, CacheForeign, Certificate, DiskFull, DownloadTimeout,
    EmulatorCrash, FirmwareTooSmall, KeyUntrusted, MemoryFull, MissingProgram, Network, NoHandler,
    ProcessLimit, RootTooSmall, WrongHash,
};

use super::evidence::{ExitContext, FailedBuild, Findings};
use super::fetches::{failed_download, is_of_cache};
use super::table::Row;
use crate::log::NixError;
use crate::shell_session::Derivation;
use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_core::text::truncate;

/// Characters of one of Nix's messages.
const MAX_CHARS: usize = 600;

/// An error that a line of the log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KnownError {
    /// The disk of the store volume is full, or has no free inode.
    DiskFull,
    /// The kernel killed a program because memory ran out.
    MemoryFull,
    /// No new process could be started.
    ProcessLimit,
    /// A program of another architecture could not be run.
    NoHandler,
    /// An emulated program was killed by a signal.
    EmulatorCrash,
    /// A server's certificate is not valid, mostly because of a wrong clock.
    Certificate,
    /// A server did not answer, or stopped sending.
    DownloadTimeout,
    /// A server could not be reached.
    Network,
    /// A binary cache sent a file that is not what it announced.
    CacheDamaged,
    /// A binary cache answered with an error, or a path that it has could not be fetched for another reason.
    CacheFailed,
    /// A server answered with something else than a binary cache has.
    CacheForeign,
    /// A path of a binary cache is not signed by a trusted key.
    KeyUntrusted,
    /// The root file system is too small for its content.
    RootTooSmall,
    /// The firmware partition is too small for its content.
    FirmwareTooSmall,
    /// A download does not have the hash that the configuration or nixpkgs gives.
    WrongHash,
    /// A program is missing in the builder's container image.
    MissingProgram,
    /// The connection to a remote builder broke while it built.
    BuilderLost,
}

/// What Nix adds to its message about a failed build whose machine has no free space at that moment.
const NOTE_OF_NIX: &str = "lack of free disk space";

/// Texts that may show an error in any line.
const IN_ANY_LINE: [(&str, KnownError); 25] = [
    ("No space left on device while populating", RootTooSmall),
    ("No space left on device", DiskFull),
    (NOTE_OF_NIX, DiskFull),
    ("Killed signal terminated program", MemoryFull),
    ("database or disk is full", DiskFull),
    (
        "fork: retry: Resource temporarily unavailable",
        ProcessLimit,
    ),
    ("fork: Resource temporarily unavailable", ProcessLimit),
    ("unexpected EOF reading a line", ProcessLimit),
    ("Exec format error", NoHandler),
    ("uncaught target signal", EmulatorCrash),
    ("Could not allocate block in ext2 filesystem", RootTooSmall),
    ("Could not allocate inode in ext2 filesystem", RootTooSmall),
    ("Disk full", FirmwareTooSmall),
    ("hash mismatch in fixed-output derivation", WrongHash),
    ("hash mismatch importing path", CacheDamaged),
    ("NAR info file '", CacheForeign),
    (
        "some substitutes for the outputs of derivation",
        CacheFailed,
    ),
    ("there is no substituter that can build it", CacheFailed),
    ("hash mismatch in file downloaded from", WrongHash),
    ("lacks a signature by a trusted key", KeyUntrusted),
    ("not signed by any of the keys in", KeyUntrusted),
    ("nix-instantiate: command not found", MissingProgram),
    ("nix-instantiate: not found", MissingProgram),
    ("Nix daemon disconnected unexpectedly", BuilderLost),
    ("cannot build on 'ssh", BuilderLost),
];

/// Texts that show an error in a line about a failed download, which quotes curl. Only the first that matches counts: a
/// timeout while connecting is a timeout.
const IN_DOWNLOADS: [(&str, KnownError); 13] = [
    ("SSL peer certificate", Certificate),
    ("certificate has expired", Certificate),
    ("certificate is not yet", Certificate),
    ("Timeout was reached", DownloadTimeout),
    ("Operation too slow", DownloadTimeout),
    ("timed out after", DownloadTimeout),
    ("ould not resolve host", Network),
    ("ouldn't resolve host", Network),
    ("ould not connect to server", Network),
    ("ouldn't connect to server", Network),
    ("Failed to connect to", Network),
    ("Network is unreachable", Network),
    ("SSL connect error", Network),
];

/// The errors that `line` may show: anything that is built can write such a text. It is true once it is confirmed.
pub fn known_errors(line: &str) -> impl Iterator<Item = KnownError> + '_ {
    let shown = |row: &&(&str, KnownError)| line.contains(row.0);
    let is_download = line.contains("unable to download") || line.contains("curl: (");
    let download = IN_DOWNLOADS.iter().find(shown).filter(|_| is_download);
    let download = download.map(|(_, error)| *error);
    let download = download.or_else(|| is_refused_by_cache(line).then_some(CacheFailed));
    let everywhere = IN_ANY_LINE
        .iter()
        .filter(move |(text, _)| line.contains(text));
    everywhere.map(|(_, error)| *error).chain(download)
}

/// Who wrote the text that shows an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// Nix, in this message.
    Nix(&'a NixError),
    /// What the failed derivation ran.
    Build,
}

/// What texts in Nix's messages and in the failed build's output may show.
pub(super) fn suspicions(findings: &Findings) -> impl Iterator<Item = (KnownError, Source<'_>)> {
    let of_nix = findings.nix_errors.iter().flat_map(|error| {
        known_errors(&error.summary).map(move |known| (known, Source::Nix(error)))
    });
    let built = findings
        .failed
        .iter()
        .flat_map(|failed| &failed.known_errors);
    // Nix reports what one cache failed to deliver as an error, goes on with the next one, and then may fail to build.
    let is_cause = |(error, _): &(KnownError, Source<'_>)| {
        findings.failed.is_none() || !error.is_of_one_cache()
    };
    of_nix
        .filter(is_cause)
        .chain(built.map(|known| (*known, Source::Build)))
}

/// The known errors that a text shows and that the machine, or what is known of the failed derivation, confirms.
pub(super) fn confirmed_errors(
    context: &ExitContext<'_>,
    findings: &Findings,
) -> BTreeSet<KnownError> {
    let confirmed = suspicions(findings)
        .filter(|(error, source)| error.is_confirmed(context, findings, *source));
    let mut confirmed: BTreeSet<_> = confirmed.map(|(error, _)| error).collect();
    // A tool that fills the file system of an image says the same of a full disk.
    if confirmed.contains(&DiskFull) {
        confirmed.remove(&RootTooSmall);
        confirmed.remove(&FirmwareTooSmall);
    }
    confirmed
}

/// Whether `line` is Nix's message about an answer of a binary cache with an error status.
fn is_refused_by_cache(line: &str) -> bool {
    let rest = line.split_once("unable to download '");
    let parts = rest.and_then(|(_, rest)| rest.split_once("': HTTP error "));
    parts.is_some_and(|(url, _)| url.ends_with(".narinfo") || url.contains("/nar/"))
}

impl KnownError {
    /// Whether a text of `source` that may show it is known to do so.
    fn is_confirmed(
        self,
        context: &ExitContext<'_>,
        findings: &Findings,
        source: Source<'_>,
    ) -> bool {
        let machine = &findings.machine;
        let failed = findings.failed.as_ref();
        let is_by_nix = matches!(source, Source::Nix(_));
        match self {
            DiskFull => match source {
                // Nix looks at the free space itself, and writes files itself: a text with a trace is one that it evaluates.
                Source::Nix(error) => {
                    machine.is_full() == Some(true)
                        || error.summary.contains(NOTE_OF_NIX)
                        || failed.is_none() && !error.text.contains("… ")
                }
                Source::Build => {
                    let is_here = failed.is_some_and(|failed| failed.machine.is_empty());
                    is_here && machine.is_full() == Some(true)
                }
            },
            MemoryFull => machine.killed.is_some_and(|killed| killed > 0),
            ProcessLimit => is_by_nix || machine.refused.is_some_and(|refused| refused > 0),
            NoHandler => context.emulated.is_none() || machine.lost_handler,
            EmulatorCrash => failed.is_some_and(|failed| failed.ran_emulated(context.emulated)),
            RootTooSmall | FirmwareTooSmall => {
                !is_by_nix && failed.is_some_and(|failed| is_of_image(context, findings, failed))
            }
            Certificate | DownloadTimeout | Network => {
                is_by_nix || failed.is_some_and(FailedBuild::is_fixed_output)
            }
            WrongHash | CacheDamaged | CacheFailed | CacheForeign | KeyUntrusted
            | MissingProgram | BuilderLost => is_by_nix,
        }
    }

    /// Whether it may be an error of one binary cache, while another one has what is needed.
    pub(super) fn is_of_one_cache(self) -> bool {
        matches!(
            self,
            Certificate | DownloadTimeout | Network | CacheDamaged | CacheFailed | CacheForeign
        )
    }

    /// What helps with an error of a build, in addition to the failure's own hints. `emulated`: programs ran under emulation.
    pub(super) fn row_of_build(self, emulated: bool) -> Option<Row> {
        match self {
            RootTooSmall => Some(Row::RootTooSmall),
            FirmwareTooSmall => Some(Row::FirmwareTooSmall),
            EmulatorCrash => Some(Row::EmulatorCrash),
            NoHandler if !emulated => Some(Row::NoEmulation),
            WrongHash | NoHandler | DiskFull | MemoryFull | ProcessLimit | Certificate
            | DownloadTimeout | Network | CacheDamaged | CacheFailed | CacheForeign
            | KeyUntrusted | BuilderLost | MissingProgram => None,
        }
    }
}

/// Whether `failed` makes the image, or its root file system, which is a derivation of its own in nixpkgs.
fn is_of_image(context: &ExitContext<'_>, findings: &Findings, failed: &FailedBuild) -> bool {
    let path = failed.derivation.as_ref().map(Derivation::path);
    let is_root = matches!(failed.name.as_str(), "ext4-fs.img" | "ext4-fs.img.zst");
    // Where Nix evaluates and builds in one process, the image is what nothing else depends on.
    let mut errors = findings.nix_errors.iter();
    let mut is_last = || !errors.any(|error| error.summary.contains("of derivation '"));
    is_root
        || context
            .image
            .map_or_else(&mut is_last, |image| path == Some(image))
}

/// `failure` with the hints of `rows`.
pub(super) fn with_rows(failure: Failure, rows: &[Row]) -> Failure {
    let texts = rows.iter().map(|row| row.advice().text());
    texts.fold(failure, Failure::hint)
}

/// A failure of this machine or its network, with the hints of `rows`.
pub(super) fn environment(text: impl Into<String>, rows: &[Row]) -> Failure {
    with_rows(Failure::environment(text.into()), rows)
}

/// The failure that the first of the `known` errors means; `None` when they are the build's own.
#[expect(clippy::too_many_lines, reason = "one arm for each error")]
pub(super) fn machine_failure(
    context: &ExitContext<'_>,
    findings: &Findings,
    known: &BTreeSet<KnownError>,
) -> Option<Failure> {
    let failed = findings.failed.as_ref();
    let meaning = |error: &KnownError| {
        let with_line = |summary: &str| match line_with(findings, *error) {
            Some(line) => format!("{summary}: {line}"),
            None => summary.to_owned(),
        };
        Some(match error {
            DiskFull => match failed.filter(|failed| !failed.machine.is_empty()) {
                Some(failed) => {
                    let text = format!("no space left on the remote builder {}", failed.machine);
                    environment(text, &[Row::RemoteDiskFull])
                }
                None => store_volume_full(context.store),
            },
            MemoryFull => out_of_memory(failed, "ran"),
            ProcessLimit => environment(
                "the builder could not start another process",
                &[Row::TooMuchAtOnce],
            ),
            NoHandler => no_handler(context.emulated?),
            Certificate => environment(
                with_line("the certificate of a server is not valid"),
                &[Row::Clock],
            ),
            DownloadTimeout | Network => {
                let line = line_with(findings, *error).unwrap_or_default();
                // No cache has the download of a source.
                let is_source = failed_download(&line).is_some_and(|(url, _)| !is_of_cache(url));
                let (summary, again) = if *error == Network {
                    ("the builder could not reach a server that it needs", None)
                } else {
                    (
                        "a server that the builder needs does not answer",
                        Some(Row::RunAgain),
                    )
                };
                // So curl says that no name server answered.
                let is_resolved = *error != Network && !line.contains("Resolving timed out");
                let network = (!is_resolved).then_some(Row::CheckNetwork);
                let other = (!is_source).then_some(Row::OtherCache);
                let rows: Vec<Row> = [again, network, other].into_iter().flatten().collect();
                environment(with_line(summary), &rows)
            }
            CacheDamaged => environment(damaged(findings), &[Row::OtherCache]),
            CacheFailed => environment(refused(findings), &[Row::RunAgain, Row::OtherCache]),
            CacheForeign => environment(
                with_line(
                    "a binary cache answered with something other than the description of a store path, such as a damaged \
                     file or a network's login page",
                ),
                &[Row::LoginPage, Row::OtherCache],
            ),
            KeyUntrusted => {
                let text = "the content of a binary cache is not signed by a key that is trusted";
                with_rows(Failure::usage(text), &[Row::UntrustedKey])
            }
            MissingProgram if context.foreign => {
                let text = "the builder's container image has no Nix";
                with_rows(Failure::usage(text), &[Row::NoNix])
            }
            BuilderLost => {
                let line = line_with(findings, BuilderLost).unwrap_or_default();
                let text = failed.map_or_else(
                    || format!("a remote builder can no longer be used: {line}"),
                    |failed| {
                        format!(
                            "a remote builder was lost while it built {}: {line}",
                            failed.name
                        )
                    },
                );
                environment(text, &[Row::BuilderLost])
            }
            MissingProgram | EmulatorCrash | RootTooSmall | FirmwareTooSmall | WrongHash => {
                return None;
            }
        })
    };
    let failure = known.iter().find_map(meaning)?;
    let is_of_cache = |error| matches!(error, &(CacheFailed | CacheDamaged | CacheForeign));
    let rows: &[Row] = if known.iter().any(is_of_cache) {
        &[Row::Fallback]
    } else {
        &[]
    };
    Some(with_rows(failure, rows))
}

/// Memory ran out, or did so probably: as `verb` says.
pub(super) fn out_of_memory(killed: Option<&FailedBuild>, verb: &str) -> Failure {
    let what = killed.map_or_else(
        || "the builder".to_owned(),
        |failed| format!("the build of {}", failed.name),
    );
    environment(
        format!("{what} {verb} out of memory"),
        &[Row::TooMuchAtOnce],
    )
}

/// Programs of the emulated `system` stopped running.
fn no_handler(system: System) -> Failure {
    let name = system.architecture().kernel_name();
    let text = format!(
        "{name} programs stopped running: their binfmt_misc entry vanished during the build"
    );
    environment(text, &[Row::NoHandler])
}

/// Nix could not write to the store volume.
pub(super) fn store_volume_full(store: &str) -> Failure {
    let text = format!("no space left, or no inode, on the store volume {store}");
    environment(text, &[Row::DiskFull])
}

/// The first line, of the failed build or of Nix, that shows `error`.
fn line_with(findings: &Findings, error: KnownError) -> Option<String> {
    let built = findings.failed.iter().flat_map(|failed| &failed.tail);
    let nix = findings.nix_errors.iter().flat_map(|e| e.summary.lines());
    let line = built
        .map(String::as_str)
        .chain(nix)
        .find(|line| known_errors(line).any(|e| e == error))?;
    Some(without_status(
        line.trim_start().trim_start_matches("error: "),
    ))
}

/// Which cache sent what that is damaged.
fn damaged(findings: &Findings) -> String {
    let line = line_with(findings, CacheDamaged).unwrap_or_default();
    let path = line.split('\'').nth(1).unwrap_or_default();
    let mut fetches = findings.fetches.iter().rev();
    let cache = fetches.find(|(fetched, _)| fetched == path);
    match cache.map(|(_, cache)| cache.as_str()) {
        Some(cache) if !cache.is_empty() => {
            format!("the binary cache {cache} sent a damaged file for {path}")
        }
        _ => format!("a binary cache sent a damaged file: {line}"),
    }
}

/// Why a cache failed: Nix's first error, of which those about the derivation are only the consequence.
fn refused(findings: &Findings) -> String {
    let first = findings.nix_errors.first().map(|error| &error.summary);
    let text = first.map_or_else(String::new, |text| {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    format!(
        "a binary cache failed: {}",
        truncate(&without_status(&text), MAX_CHARS)
    )
}

/// `line` without the status with which a download began that then broke off, `HTTP error 200 (curl error: WHY)`.
pub(super) fn without_status(line: &str) -> String {
    let broken_off = ["200", "206"].iter().find_map(|status| {
        let (start, why) = line.split_once(&format!("HTTP error {status} (curl error: "))?;
        Some(format!("{start}{}", why.strip_suffix(')')?))
    });
    broken_off.unwrap_or_else(|| line.to_owned())
}

/// `reason` of a failed download without curl's number of the error and the general words before it, if details follow: of
/// `Could not resolve hostname (6) Could not resolve host: c.example` the end.
pub(super) fn details(reason: &str) -> &str {
    let after_number = || {
        let (_, rest) = reason.split_once(" (")?;
        let (number, details) = rest.split_once(") ")?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !details.trim().is_empty()).then_some(details)
    };
    after_number().unwrap_or(reason)
}
