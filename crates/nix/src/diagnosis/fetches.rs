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

/// A download that failed while Nix evaluated or locked.
struct Fetch<'a> {
    url: &'a str,
    why: &'a str,
    /// Whether nothing is evaluated.
    is_lock: bool,
    /// Whether Nix asks for the newest commit of a branch: for an input `github:OWNER/REPOSITORY/BRANCH` without a lock.
    is_of_branch: bool,
    /// Whether it is the flake itself.
    is_own: bool,
    /// The input of --override-input that it is.
    overridden: Option<&'a str>,
    /// The path of the input of the flake that it is, by the lock.
    locked: Option<String>,
}

/// The failure of a download during evaluation; `None` when none failed, or the server is a binary cache.
pub(super) fn fetch_failure(context: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    // What a derivation downloads is part of the build.
    if findings.failed.is_some() {
        return None;
    }
    let error = findings.nix_errors.first()?;
    let by_nix = failed_download(&error.summary);
    let (url, why) = by_nix.or_else(|| failed_clone(findings))?;
    if is_of_cache(url) {
        return None;
    }
    let mut overrides = context.overrides.iter();
    let overridden = overrides.find(|(_, reference)| is_of_flake(url, reference));
    let is_of_branch =
        url.starts_with("https://api.github.com/repos/") && url.contains("/commits/");
    let fetch = Fetch {
        url,
        why,
        is_lock: context.command.starts_with(LOCK),
        is_of_branch,
        is_own: is_of_flake(url, context.source),
        overridden: overridden.map(|(input, _)| input.as_str()),
        locked: context.lock.and_then(|lock| lock.input_of_address(url)),
    };
    let is_refused = why.starts_with("HTTP error 4") || why == ASKS_WHO;
    let class = if is_refused {
        Class::Usage
    } else {
        Class::Environment
    };
    let operation = match (fetch.is_lock, fetch.is_own, only_word(context, url)) {
        (true, ..) => format!("lock {}", context.in_words),
        (false, true, _) => format!("fetch {}", context.in_words),
        _ if fetch.locked.is_some() => format!("fetch the inputs of {}", context.in_words),
        (false, false, Some(place)) => {
            format!("evaluate the configuration: {}", place.shown(context))
        }
        (false, false, None) => format!("evaluate {}", context.in_words),
    };
    let failure = Failure::message(class, fetch.message()).context(operation);
    let advice = match (is_refused, context.is_flake) {
        (true, true) => vec![Row::InputRefused.advice()],
        (true, false) => vec![Row::UrlNotFound.advice()],
        (false, _) => fetch.advice(context),
    };
    let texts = advice.iter().map(Advice::text);
    Some(texts.fold(failure, Failure::hint))
}

impl Fetch<'_> {
    fn message(&self) -> String {
        let (url, details) = (self.url, details(self.why));
        if url.ends_with(REGISTRY) {
            return format!(
                "an input without a URL is looked up in the registry {url}, which failed: {details}"
            );
        }
        if !self.is_of_branch {
            return if let Some(input) = &self.locked {
                format!("the input {input}, {url}, could not be fetched: {details}")
            } else if self.is_lock {
                format!("{url} could not be fetched: {details}")
            } else {
                format!(
                    "the configuration fetches {url} while it is evaluated, which failed: {details}"
                )
            };
        }
        let whose = match self.overridden {
            _ if self.is_own => "the flake".to_owned(),
            Some(input) => format!("the input {input}"),
            None => "an input of the flake".to_owned(),
        };
        format!("the newest commit of {whose} is not known, because {url} failed: {details}")
    }

    fn advice(&self, context: &ExitContext<'_>) -> Vec<Advice> {
        let line = format!("unable to download '{}': {}", self.url, self.why);
        match known_errors(&line).next() {
            Some(KnownError::Certificate) => vec![Row::Clock.advice()],
            _ if self.is_of_branch && !self.is_own && !self.is_lock => {
                let lock = match self.overridden {
                    Some(input) => Row::LockOnce.saying(format!(
                        "--override-input {input} asks for the newest commit. Write a commit at the end of its reference, or \
                         give a directory"
                    )),
                    None => Row::LockOnce.with("command", lock_command(context)),
                };
                vec![Row::CheckNetwork.advice(), lock]
            }
            Some(KnownError::DownloadTimeout) => {
                vec![Row::CheckAddress.advice(), Row::RunAgain.advice()]
            }
            _ => vec![Row::CheckAddress.advice()],
        }
    }
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
