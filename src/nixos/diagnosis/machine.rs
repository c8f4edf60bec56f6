//! Failures of this machine, the network and the binary caches, by the known error that shows them.

use std::collections::BTreeSet;

use super::evidence::{ExitContext, Findings};
use super::fetch_error::{failed_download, is_of_cache};
use super::known_error::{KnownError, known_errors};
use super::nix_message::without_status;
use sdbuild_core::failure::Failure;
use sdbuild_core::system::System;
use sdbuild_core::text::truncate;

/// Characters of one of Nix's messages.
const MAX_CHARS: usize = 600;

const RUN_AGAIN: &str = "run it again. What is already fetched is kept";
const CHECK_NETWORK: &str = "check the network and the engine's DNS";
const OTHER_CACHES: &str = "use another binary cache: --extra-substituters URL, with its key in --extra-trusted-public-keys";
const FALLBACK: &str = "--fallback leaves that cache out for a minute at a time, and builds here what no other cache has, which may take hours";

/// The failure that the first of the `known` errors means; `None` when they are the build's own.
pub(super) fn machine_failure(
    context: &ExitContext<'_>,
    findings: &Findings,
    known: &BTreeSet<KnownError>,
) -> Option<Failure> {
    let failure = known.iter().find_map(|error| match error {
        KnownError::DiskFull => Some(store_volume_full(context.store)),
        KnownError::ProcessLimit => Some(
            Failure::environment("the builder could not start another process")
                .hint("raise the engine's process limit, or build fewer things at once: --jobs 1"),
        ),
        KnownError::NoHandler if context.emulated.is_some() => context.emulated.map(no_handler),
        KnownError::Certificate => Some(
            download_failure(findings, *error, "the certificate of a server is not valid")
                .hint("check that the clock of the engine's machine is right: date -u")
                .hint(
                    "if your own authority or a proxy that reads TLS signs it, give --ca-file FILE",
                ),
        ),
        KnownError::DownloadTimeout => Some(timeout(findings)),
        KnownError::Network => {
            let summary = "the builder could not reach a server that it needs";
            let failure = download_failure(findings, *error, summary).hint(CHECK_NETWORK);
            Some(with_other_caches(failure, findings, *error))
        }
        KnownError::CacheDamaged => {
            Some(Failure::environment(damaged(findings)).hint(OTHER_CACHES))
        }
        KnownError::CacheFailed => Some(
            Failure::environment(failed(findings))
                .hint(RUN_AGAIN)
                .hint(OTHER_CACHES),
        ),
        KnownError::CacheForeign => Some(foreign(findings)),
        KnownError::KeyUntrusted => Some(
            Failure::usage("the content of a binary cache is not signed by a key that is trusted")
                .hint("if you trust that cache, give its key: --extra-trusted-public-keys KEY"),
        ),
        KnownError::MissingProgram if context.foreign => Some(
            Failure::usage("the builder's container image has no nix-build")
                .hint("--builder-image needs an image that contains Nix, for instance nixos/nix"),
        ),
        KnownError::BuilderLost => Some(builder_lost(findings)),
        KnownError::NoHandler
        | KnownError::MissingProgram
        | KnownError::EmulatorCrash
        | KnownError::RootTooSmall
        | KnownError::FirmwareTooSmall
        | KnownError::WrongHash => None,
    })?;
    Some(
        if known.contains(&KnownError::CacheFailed)
            || known.contains(&KnownError::CacheDamaged)
            || known.contains(&KnownError::CacheForeign)
        {
            failure.hint(FALLBACK)
        } else {
            failure
        },
    )
}

/// A server answered with something else than what a binary cache has.
fn foreign(findings: &Findings) -> Failure {
    let summary = "a binary cache answered with something other than the description of a store path, such as a damaged \
     file or a network's login page";
    download_failure(findings, KnownError::CacheForeign, summary)
        .hint("open the addresses of your caches in a browser. A network that asks for a login there blocks the builder too")
        .hint(OTHER_CACHES)
}

/// Programs of the emulated `system` stopped running.
fn no_handler(system: System) -> Failure {
    let name = system.architecture().kernel_name();
    Failure::environment(format!(
        "{name} programs stopped running: their binfmt_misc entry vanished during the build"
    ))
    .hint("something changed this host's binfmt_misc (a restart of systemd-binfmt does), or sdbuild's registrar, the \
     container that holds the entry, was stopped (a warning above says so). Run it again")
}

/// Nix could not write to the store volume.
pub(super) fn store_volume_full(store: &str) -> Failure {
    Failure::environment(format!(
        "no space left, or no inode, on the store volume {store}"
    ))
    .hint("free some space where the engine keeps its volumes (docker system df; df -h; df -i)")
    .hint("`sdbuild clean` removes the store volume with all results of earlier builds")
}

/// A server that did not answer.
fn timeout(findings: &Findings) -> Failure {
    let error = KnownError::DownloadTimeout;
    let summary = "a server that the builder needs does not answer";
    let failure = download_failure(findings, error, summary).hint(RUN_AGAIN);
    // So curl says that no name server answered.
    let is_unresolved =
        line_with(findings, error).is_some_and(|line| line.contains("Resolving timed out"));
    let failure = if is_unresolved {
        failure.hint(CHECK_NETWORK)
    } else {
        failure
    };
    with_other_caches(failure, findings, error)
}

/// `summary` and the line of the log that shows the failed download.
fn download_failure(findings: &Findings, error: KnownError, summary: &str) -> Failure {
    Failure::environment(match line_with(findings, error) {
        Some(line) => format!("{summary}: {line}"),
        None => summary.to_owned(),
    })
}

/// Adds to `failure` that another cache may help, unless `error` is about the download of a source, which no cache has.
fn with_other_caches(failure: Failure, findings: &Findings, error: KnownError) -> Failure {
    let line = line_with(findings, error).unwrap_or_default();
    match failed_download(&line) {
        Some((url, _)) if !is_of_cache(url) => failure,
        _ => failure.hint(OTHER_CACHES),
    }
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

/// The connection to a remote builder broke, or could not be made again.
fn builder_lost(findings: &Findings) -> Failure {
    let line = line_with(findings, KnownError::BuilderLost).unwrap_or_default();
    let text = match &findings.failed {
        Some(failed) => format!(
            "a remote builder was lost while it built {}: {line}",
            failed.name
        ),
        None => format!("a remote builder can no longer be used: {line}"),
    };
    Failure::environment(text)
        .hint("run it again when the builder answers, which `sdbuild doctor` tests. What it had finished is kept")
        .hint("or leave it out of --builders to build and emulate the rest here")
}

/// Which cache sent what that is damaged.
fn damaged(findings: &Findings) -> String {
    let line = line_with(findings, KnownError::CacheDamaged).unwrap_or_default();
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
fn failed(findings: &Findings) -> String {
    let first = findings.nix_errors.first().map(|error| &error.summary);
    let text = first.map_or_else(String::new, |text| {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    format!(
        "a binary cache failed: {}",
        truncate(&without_status(&text), MAX_CHARS)
    )
}
