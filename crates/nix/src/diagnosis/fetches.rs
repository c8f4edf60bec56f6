//! Downloads that the configuration itself asks for: `fetchTarball`, `fetchGit`, inputs of a flake, and `fetchurl` in a build. Binary
//! caches have nothing to do with them.

use std::collections::BTreeSet;

use super::evidence::{ExitContext, Findings};
use super::flakes::lock_command;
use super::machine::{KnownError, details, known_errors, with_rows};
use super::place::only_word;
use super::table::{Advice, Row};
use sdbuild_core::failure::{Class, Failure};

/// What git says when a server asks for a login, in words of ours: its own name what it could not ask.
const ASKS_WHO: &str = "the server asks for a user name";
/// How the command begins that locks a flake, and evaluates nothing.
const LOCK: &str = "sdbuild lock";
/// The file of a registry of flakes.
const REGISTRY: &str = "/flake-registry.json";

/// The failure of a builder that was to have no network, and needed one; `None` for every other failure.
pub(super) fn no_network_failure(
    context: &ExitContext<'_>,
    findings: &Findings,
    known: &BTreeSet<KnownError>,
) -> Option<Failure> {
    if !context.offline {
        return None;
    }
    let needed = if let Some(failed) = &findings.failed {
        let is_download = known.contains(&KnownError::Network);
        is_download.then(|| format!("the build of {} fetches something", failed.name))?
    } else {
        let first = findings.nix_errors.first();
        let by_nix = first.and_then(|error| failed_download(&error.summary));
        let (url, _) = by_nix.or_else(|| failed_clone(findings))?;
        format!("{url} is fetched")
    };
    let text = format!("the builder has no network (--offline) but needs one: {needed}");
    let failure = Failure::environment(text).context(format!("evaluate {}", context.in_words));
    Some(with_rows(failure, &[Row::Offline]))
}

/// The failure of a download during evaluation; `None` when none failed, or the server is a binary cache.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of download")]
pub(super) fn fetch_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    // What a derivation downloads is part of the build.
    if findings.failed.is_some() {
        return None;
    }
    let error = findings.nix_errors.first()?;
    let (url, why) = failed_download(&error.summary).or_else(|| failed_clone(findings))?;
    if is_of_cache(url) {
        return None;
    }
    let (in_words, details) = (context.in_words, details(why));
    let is_lock = context.command.starts_with(LOCK);
    let is_own = is_of_flake(url, context.source);
    let locked = context.lock.and_then(|lock| lock.input_of_address(url));
    let mut overrides = context.overrides.iter();
    let overridden = overrides.find(|(_, reference)| is_of_flake(url, reference));
    // For an input `github:OWNER/REPOSITORY/BRANCH` without a lock, Nix asks for the newest commit.
    let is_of_branch =
        url.starts_with("https://api.github.com/repos/") && url.contains("/commits/");
    let operation = match only_word(context, url) {
        _ if is_lock => format!("lock {in_words}"),
        _ if is_own => format!("fetch {in_words}"),
        _ if locked.is_some() => format!("fetch the inputs of {in_words}"),
        Some(place) => format!("evaluate the configuration: {}", place.shown(context)),
        None => format!("evaluate {in_words}"),
    };
    let message = if url.ends_with(REGISTRY) {
        format!(
            "an input without a URL is looked up in the registry {url}, which failed: {details}"
        )
    } else if is_of_branch {
        let whose = match overridden {
            _ if is_own => "the flake".to_owned(),
            Some((input, _)) => format!("the input {input}"),
            None => "an input of the flake".to_owned(),
        };
        format!("the newest commit of {whose} is not known, because {url} failed: {details}")
    } else if let Some(input) = &locked {
        format!("the input {input}, {url}, could not be fetched: {details}")
    } else if is_lock {
        format!("{url} could not be fetched: {details}")
    } else {
        format!("the configuration fetches {url} while it is evaluated, which failed: {details}")
    };
    let is_refused = why.starts_with("HTTP error 4") || why == ASKS_WHO;
    let advice = if is_refused && context.is_flake {
        vec![Row::InputRefused.advice()]
    } else if is_refused {
        vec![Row::UrlNotFound.advice()]
    } else if is_of_branch && !is_own && !is_lock {
        let lock = match overridden {
            Some((input, _)) => Row::LockOnce.saying(format!(
                "--override-input {input} asks for the newest commit. Write a commit at the end of its reference, or give a \
                 directory"
            )),
            None => Row::LockOnce.with("command", lock_command(context)),
        };
        vec![Row::CheckNetwork.advice(), lock]
    } else {
        let line = format!("unable to download '{url}': {why}");
        let rows: &[Row] = match known_errors(&line).next() {
            Some(KnownError::Certificate) => &[Row::Clock],
            Some(KnownError::DownloadTimeout) => &[Row::CheckAddress, Row::RunAgain],
            _ => &[Row::CheckAddress],
        };
        rows.iter().map(|row| row.advice()).collect()
    };
    let class = if is_refused {
        Class::Usage
    } else {
        Class::Environment
    };
    let failure = Failure::message(class, message).context(operation);
    Some(advice.iter().map(Advice::text).fold(failure, Failure::hint))
}

/// Whether Nix asks `url` about the flake `source`, `github:OWNER/REPOSITORY…`.
fn is_of_flake(url: &str, source: &str) -> bool {
    let repository = source.strip_prefix("github:").and_then(|rest| {
        let mut names = rest.split(['/', '?', '#']);
        Some(format!("/repos/{}/{}/", names.next()?, names.next()?))
    });
    repository.is_some_and(|repository| url.contains(&repository))
}

/// Address and reason of a failed download of Nix.
pub(super) fn failed_download(summary: &str) -> Option<(&str, &str)> {
    let (_, rest) = summary.split_once("unable to download '")?;
    let (url, why) = rest.split_once("': ")?;
    let why = why.lines().next().unwrap_or(why).trim();
    // In `Failed to open archive (Source threw exception: …)`.
    let is_enclosed = why.matches(')').count() > why.matches('(').count();
    let inner = why.strip_suffix(')').filter(|_| is_enclosed);
    Some((url, inner.unwrap_or(why)))
}

/// Address and reason of a failed `git fetch`, which git itself reports.
fn failed_clone(findings: &Findings) -> Option<(&str, &str)> {
    let mut lines = findings.other_lines.iter();
    lines.find_map(|line| {
        if let Some(rest) = line.strip_prefix("fatal: unable to access '") {
            return rest.split_once("': ");
        }
        let asked = [
            "fatal: could not read Username for '",
            "fatal: Authentication failed for '",
        ];
        let rest = asked.iter().find_map(|start| line.strip_prefix(start))?;
        Some((rest.split_once('\'')?.0, ASKS_WHO))
    })
}

/// Whether `url` is one of those that Nix asks a binary cache for.
pub(super) fn is_of_cache(url: &str) -> bool {
    url.ends_with("/nix-cache-info")
        || url.ends_with(".narinfo")
        || url.contains("/nar/")
        || url.contains("/realisations/")
}
