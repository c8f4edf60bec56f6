//! Failures of this machine, the network and the binary caches, by the known error that shows them.

use std::collections::BTreeSet;

use super::evidence::{ExitContext, Findings};
use super::known_error::{KnownError, known_errors};
use crate::common::failure::Failure;

/// The failure that the first of the `known` errors means; `None` when they are the build's own.
pub(super) fn machine_failure(
    context: &ExitContext<'_>,
    findings: &Findings,
    known: &BTreeSet<KnownError>,
) -> Option<Failure> {
    known.iter().find_map(|error| match error {
        KnownError::DiskFull => Some(store_volume_full(context.store)),
        KnownError::ProcessLimit => Some(
            Failure::environment("the builder could not start another process")
                .hint("raise the engine's process limit, or build fewer things at once: --jobs 1"),
        ),
        KnownError::NoHandler if context.emulated => Some(
            Failure::environment("aarch64 programs stopped running: the handler vanished during the build").hint(
                "something else changed this host's binfmt_misc (a restart of systemd-binfmt does); run it again",
            ),
        ),
        KnownError::Certificate => Some(
            download_failure(findings, *error, "the certificate of a server is not valid")
                .hint("check that the clock of the engine's machine is right: date -u")
                .hint("behind a proxy that intercepts TLS, only a binary cache that is reached without it works"),
        ),
        KnownError::DownloadTimeout => Some(
            download_failure(findings, *error, "a server that the builder needs does not answer")
                .hint("run it again: completed downloads are kept; --substituters names other binary caches"),
        ),
        KnownError::Network => Some(
            download_failure(findings, *error, "the builder could not reach a server that it needs")
                .hint("check the network and the engine's DNS")
                .hint("--substituters names other binary caches"),
        ),
        KnownError::KeyUntrusted => Some(
            Failure::usage("the content of a binary cache is not signed by a key that is trusted")
                .hint(trusted_keys_hint(context.keys)),
        ),
        KnownError::MissingProgram if context.foreign => Some(
            Failure::usage("the builder's container image has no nix-build")
                .hint("--builder-image needs an image that contains Nix, for instance nixos/nix"),
        ),
        KnownError::NoHandler
        | KnownError::MissingProgram
        | KnownError::EmulatorCrash
        | KnownError::RootTooSmall
        | KnownError::FirmwareTooSmall
        | KnownError::WrongHash => None,
    })
}

/// Nix could not write to the store volume.
pub(super) fn store_volume_full(store: &str) -> Failure {
    Failure::environment(format!(
        "no space left, or no inode, on the store volume {store}"
    ))
    .hint("free some space where the engine keeps its volumes (docker system df; df -h; df -i)")
    .hint("`sdbuild clean` removes the store volume with all results of earlier builds")
}

/// `summary` and the line of the log that shows the failed download.
fn download_failure(findings: &Findings, error: KnownError, summary: &str) -> Failure {
    Failure::environment(match line_with(findings, error) {
        Some(line) => format!("{summary}: {line}"),
        None => summary.to_owned(),
    })
}

/// The first line, of the failed build or of Nix, that shows `error`.
fn line_with(findings: &Findings, error: KnownError) -> Option<String> {
    let built = findings.failed.iter().flat_map(|failed| &failed.tail);
    let nix = findings.nix_errors.iter().flat_map(|e| e.summary.lines());
    let line = built
        .map(String::as_str)
        .chain(nix)
        .find(|line| known_errors(line).any(|e| e == error))?;
    Some(line.trim_start().trim_start_matches("error: ").to_owned())
}

/// The flag that trusts one more key. It replaces the trusted keys, so the hint repeats them.
fn trusted_keys_hint(trusted: &[String]) -> String {
    let keys = [trusted, &["ITS-KEY".to_owned()]].concat().join(" ");
    format!(
        "if you trust that cache, add its key to those that are trusted: --trusted-public-keys '{keys}'"
    )
}
