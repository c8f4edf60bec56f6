//! Downloads that the configuration itself asks for while it is evaluated: `fetchTarball`, `fetchGit`, `fetchurl`. Binary
//! caches have nothing to do with them.

use std::collections::BTreeSet;

use super::evidence::{ExitContext, Findings};
use super::input_declaration::lock_command;
use super::known_error::{KnownError, known_errors};
use super::nix_message::details;
use super::written_values::{all, is_value};
use super::written_words;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::nix_definitions::defines;
use sdbuild_core::failure::{Class, Failure};

/// What git says when a server asks for a login, in words of ours: its own name what it could not ask.
const ASKS_WHO: &str = "the server asks for a user name";
/// How the command begins that locks a flake, and evaluates nothing.
const LOCK: &str = "sdbuild lock";
/// The file of a registry of flakes.
const REGISTRY: &str = "/flake-registry.json";
/// What to do about a server that is not reached.
const NETWORK: &str = "check the network, and the DNS of the engine's machine";
/// The same if its address may be wrong.
const ADDRESS: &str = "check the address, the network, and the DNS of the engine's machine";
/// What a lock needs servers for.
const ONCE: &str = "a lock needs the server of every new input once. Builds with it do not";
/// What to do about an address that is wrong, or that not everybody may read.
const REFUSED: &str = "check the address, and that it needs no password. For an archive that needs a login, give \
 --netrc-file FILE";
/// The same in a flake, of which it may be an input.
const REFUSED_INPUT: &str = "check the address, and that it needs no password. For an input that your own git can read \
 (try `git ls-remote URL`) give --git-inputs NAME, for an archive that needs a login --netrc-file FILE, for anything \
 else --override-input INPUT DIR";

/// The failure of a builder that was to have no network, and needed one; `None` for every other failure.
pub(super) fn no_network_failure(
    context: &ExitContext<'_>,
    findings: &Findings,
    known: &BTreeSet<KnownError>,
) -> Option<Failure> {
    if !context.offline {
        return None;
    }
    let first = findings.nix_errors.first();
    let needed = if let Some(failed) = &findings.failed {
        let is_download = known.contains(&KnownError::Network);
        is_download.then(|| format!("the build of {} fetches something", failed.name))?
    } else {
        let by_nix = first.and_then(|error| failed_download(&error.summary));
        let (url, _) = by_nix.or_else(|| failed_clone(findings))?;
        format!("{url} is fetched")
    };
    let text = format!("the builder has no network (--offline) but needs one: {needed}");
    let failure = Failure::environment(text).context(format!("evaluate {}", context.in_words));
    Some(failure.hint("run it once without --offline. What is fetched stays in the store volume"))
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
    let is_own = is_of_flake(url, context.source);
    let is_lock = context.command.starts_with(LOCK);
    let overrides = context.overrides.iter();
    let mut overridden = overrides.filter(|(_, reference)| is_of_flake(url, reference));
    let overridden = overridden.next().map(|(input, _)| input.clone());
    let whose = match overridden.clone().or_else(|| declared_input(context, url)) {
        _ if is_own => "the flake".to_owned(),
        Some(input) => format!("the input {input}"),
        None => "an input of the flake".to_owned(),
    };
    let text = what_failed(url, &whose, is_lock, why);
    let is_refused = why.starts_with("HTTP error 4") || why == ASKS_WHO;
    let class = if is_refused {
        Class::Usage
    } else {
        Class::Environment
    };
    let operation = match (is_lock, is_own) {
        (true, _) => format!("lock {}", context.in_words),
        (false, true) => format!("fetch {}", context.in_words),
        (false, false) => operation(context, url),
    };
    let failure = Failure::message(class, text).context(operation);
    if is_refused {
        return Some(failure.hint(refused(context)));
    }
    if let Some(input) = overridden.filter(|_| is_of_branch(url) && !is_own) {
        let hint = format!(
            "--override-input {input} asks for the newest commit. Write a commit at the end of its reference, or give a \
             directory"
        );
        return Some(failure.hint(NETWORK).hint(hint));
    }
    let line = format!("unable to download '{url}': {why}");
    let known = known_errors(&line).next();
    let hints = hints(context, url, known, is_own);
    Some(hints.into_iter().fold(failure, Failure::hint))
}

/// What to do about a download from `url`, which failed with a `known` error. `is_own`: it is the flake itself.
fn hints(
    context: &ExitContext<'_>,
    url: &str,
    known: Option<KnownError>,
    is_own: bool,
) -> [String; 2] {
    // Nothing is evaluated.
    let is_lock = context.command.starts_with(LOCK) && known != Some(KnownError::Certificate);
    let once;
    let hints = match known {
        _ if is_lock && !is_of_branch(url) && !url.ends_with(REGISTRY) => [ADDRESS, ONCE],
        _ if is_lock => [NETWORK, ONCE],
        _ if is_of_branch(url) && is_own => [
            NETWORK,
            "or clone it while there is a network, and give the directory instead of the address",
        ],
        _ if is_of_branch(url) => {
            once = format!(
                "run `{}` once while that server answers. A build with a complete flake.lock asks for no newest \
                 commit. --override-input takes the input from a directory",
                lock_command(context)
            );
            [NETWORK, &once]
        }
        Some(KnownError::Certificate) => [
            "check that the clock of the engine's machine is right: date -u",
            "the address may be wrong, or a proxy may intercept TLS",
        ],
        Some(KnownError::DownloadTimeout) => [
            "run it again",
            "if the server stays silent, copy the files into the configuration's directory and name them by their path",
        ],
        _ => [
            ADDRESS,
            "without a network, copy the files into the configuration's directory and name them by their path",
        ],
    };
    hints.map(str::to_owned)
}

/// The message about `url`, which failed because of `why`. `whose`: the flake or input at it. `is_lock`: nothing is evaluated.
fn what_failed(url: &str, whose: &str, is_lock: bool, why: &str) -> String {
    let details = details(why);
    if url.ends_with(REGISTRY) {
        return format!(
            "an input without a URL is looked up in the registry {url}, which failed: {details}"
        );
    }
    if is_lock && !is_of_branch(url) {
        return format!("{url} could not be fetched: {details}");
    }
    if !is_of_branch(url) {
        return format!(
            "the configuration fetches {url} while it is evaluated, which failed: {details}"
        );
    }
    format!("the newest commit of {whose} is not known, because {url} failed: {details}")
}

/// The only input in the user's `flake.nix` with a URL that `url` may be asked about.
fn declared_input(context: &ExitContext<'_>, url: &str) -> Option<String> {
    let text = context.files?.text(&format!("{CONFIG_DIR}{FLAKE_FILE}"))?;
    let found = all(&text, |node| {
        let is_url = || defines(node).rsplit('.').next() == Some("url");
        let written = node.text().to_string();
        is_value(node) && is_of_flake(url, written.trim_matches('"')) && is_url()
    });
    let [found] = found.as_slice() else {
        return None;
    };
    let input = found
        .defines
        .strip_prefix("inputs.")?
        .strip_suffix(".url")?;
    Some(input.to_owned())
}

/// What failed: the evaluation, with the place of `url` where the user's files have it.
fn operation(context: &ExitContext<'_>, url: &str) -> String {
    match written_words::place_of(context, url) {
        Some(place) => format!("evaluate the configuration: {place}"),
        None => format!("evaluate {}", context.in_words),
    }
}

/// What to do about an address that a server refused.
fn refused(context: &ExitContext<'_>) -> &'static str {
    if context.is_flake {
        REFUSED_INPUT
    } else {
        REFUSED
    }
}

/// Whether Nix asks `url` for the newest commit of a branch: for an input `github:OWNER/REPOSITORY/BRANCH` without a lock.
fn is_of_branch(url: &str) -> bool {
    url.starts_with("https://api.github.com/repos/") && url.contains("/commits/")
}

/// Whether Nix asks `url` about the flake `source` itself, `github:OWNER/REPOSITORY…`, and not about one of its inputs.
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
    Some((
        url,
        if is_enclosed {
            why.strip_suffix(')').unwrap_or(why)
        } else {
            why
        },
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flake_is_distinguished_from_its_inputs() {
        let url = "https://api.github.com/repos/me/config/commits/HEAD";
        assert!(is_of_flake(url, "github:me/config#pi"));
        assert!(is_of_flake(url, "github:me/config"));
        assert!(!is_of_flake(url, "github:me/configuration"));
        assert!(!is_of_flake(url, "path:github"));
    }

    #[test]
    fn addresses_of_caches_are_distinguished() {
        for url in [
            "https://cache.nixos.org/nix-cache-info",
            "https://c/0000000000000000000000000000000a.narinfo",
            "https://c/nar/1w1.nar.xz",
        ] {
            assert!(is_of_cache(url), "{url}");
        }
        for url in [
            "https://github.com/x/y/archive/master.tar.gz",
            "https://c/narrow.nix",
        ] {
            assert!(!is_of_cache(url), "{url}");
        }
    }

    #[test]
    fn the_reason_ends_before_the_body_of_the_answer() {
        let summary = "Failed to open archive (Source threw exception: error: unable to download 'http://x/a': HTTP error 404\n\n\
                       response body:\n\n<html>)";
        assert_eq!(
            failed_download(summary),
            Some(("http://x/a", "HTTP error 404"))
        );
        let summary = "Failed to open archive (Source threw exception: error: unable to download 'http://x/a': Could not \
                       connect to server (7) Failed)";
        let why = "Could not connect to server (7) Failed";
        assert_eq!(failed_download(summary), Some(("http://x/a", why)));
        assert_eq!(
            failed_download("unable to download 'http://x/a': X (6)"),
            Some(("http://x/a", "X (6)"))
        );
    }
}
