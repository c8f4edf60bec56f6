//! Why a build failed: whose fault it is, in one sentence, with what to do about it. Pure.
//!
//! Evaluating the user's configuration is theirs (usage), a derivation that fails is the build's,
//! a full disk or a lost handler is this machine's.

use std::collections::BTreeSet;

pub use super::build_log::{FailedBuild, Findings};
use super::eval_error::{EvalError, hint_for};
use super::known_error::{KnownError, symptoms};
use super::wording::{around, sentence};
use crate::common::failure::{Class, Failure};

/// How the builder ended, and what it was started with.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "these are facts, not modes")]
pub struct ExitContext<'a> {
    /// Exit status of the container.
    pub code: i64,
    /// Whether the kernel killed something in it for want of memory.
    pub oom_killed: bool,
    /// Whether the board's programs ran under emulation.
    pub emulated: bool,
    /// Whether nothing was to be built.
    pub only_evaluates: bool,
    /// Whether the user chose the builder's container image.
    pub foreign: bool,
    /// Name of the store volume.
    pub store: &'a str,
    /// The keys of binary caches that were trusted.
    pub keys: &'a [String],
    /// What stands for `/build/config/` in messages.
    pub shown_dir: &'a str,
    /// The configuration's file.
    pub file: &'a str,
}

/// The failure of a run that ended like this.
pub fn diagnose(ending: &ExitContext<'_>, findings: &Findings) -> Failure {
    let mut seen: BTreeSet<KnownError> = findings
        .complaints
        .iter()
        .flat_map(|c| symptoms(&c.summary))
        .collect();
    seen.extend(
        findings
            .failed
            .iter()
            .flat_map(|f| f.symptoms.iter().copied()),
    );
    let found = by_enclosure(ending, findings)
        .or_else(|| by_import(ending, findings))
        .or_else(|| by_memory(ending, findings))
        .or_else(|| by_machine(ending, findings, &seen))
        .or_else(|| by_build(ending, findings))
        .or_else(|| by_exit(ending, findings))
        .unwrap_or_else(|| by_complaint(ending, findings));
    let said = findings.complaints.first().map_or("", |c| &c.summary);
    let mut failure = seen
        .iter()
        .filter_map(|s| hint_for(*s, said, ending.emulated))
        .fold(found, Failure::hint);
    failure.log_tail = tail(ending, findings);
    let failed = findings.failed.as_ref();
    failure.derivation = failed
        .and_then(|failed| failed.derivation.as_ref())
        .map(|derivation| derivation.path().to_owned());
    failure
}

/// The program that gives the builder a handler of its own ended before Nix began. It says so by a status
/// that nothing else has; "no space left" in its mouth is about user namespaces.
fn by_enclosure(ending: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let mut said = findings.others.iter().rev();
    let why = said.find_map(|line| line.strip_prefix("sdbuild: private emulation: "));
    (ending.code == 119).then(|| {
        let why = why.unwrap_or("the log has its last words");
        Failure::environment(format!(
            "the builder could not be given a handler of its own, a moment after a probe could: {why}"
        ))
        .hint("look for what changed on the engine's machine: user.max_user_namespaces, AppArmor, SELinux")
    })
}

/// The configuration imports what has to be built for the board first, which takes a handler.
fn by_import(ending: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let complaint = findings.complaints.first()?;
    let needed = EvalError::of(&complaint.summary) == Some(EvalError::WrongPlatform);
    (ending.only_evaluates && needed).then(|| {
        let said = sentence(ending, complaint);
        Failure::usage(format!(
            "evaluate the configuration: it imports what has to be built first, and nothing is built here: {said}"
        ))
        .hint("`sdbuild build` builds it, under emulation where that is needed")
    })
}

/// Memory ran out: the kernel says so, or a build died of the signal that the kernel uses for it.
fn by_memory(ending: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let killed = findings
        .failed
        .as_ref()
        .filter(|f| f.message.contains("signal 9 (Killed)"));
    if !ending.oom_killed && killed.is_none() {
        return None;
    }
    let what = killed.map_or("the builder".to_owned(), |f| {
        format!("the build of {}", f.name)
    });
    let sure = if ending.oom_killed {
        "ran"
    } else {
        "probably ran"
    };
    Some(
        Failure::environment(format!("{what} {sure} out of memory"))
            .hint(
                "build fewer things at once (--jobs 1 --cores 2), or give it more memory: the engine's machine, \
                 and memory-mib in sdbuild.toml when that is set",
            ),
    )
}

/// Troubles of this machine, whoever met them.
fn by_machine(
    ending: &ExitContext<'_>,
    findings: &Findings,
    seen: &BTreeSet<KnownError>,
) -> Option<Failure> {
    let failure = |text: &str| Failure::environment(text);
    seen.iter().find_map(|symptom| match symptom {
        KnownError::DiskFull => Some(full(ending.store)),
        KnownError::ProcessLimit => Some(
            failure("the builder could not start another process")
                .hint("raise the engine's process limit, or build fewer things at once: --jobs 1"),
        ),
        KnownError::NoHandler if ending.emulated => Some(
            failure("aarch64 programs stopped running: the handler vanished during the build")
                .hint("something else changed this host's binfmt_misc (a restart of systemd-binfmt does); run it again"),
        ),
        KnownError::Certificate => Some(
            failure(&unreached(
                findings,
                *symptom,
                "the certificate of a server does not hold",
            ))
                .hint("see whether the clock of the engine's machine is right: date -u")
                .hint("behind a proxy that opens TLS, only a cache that is reached without it helps"),
        ),
        KnownError::DownloadTimeout => Some(
            failure(&unreached(
                findings,
                *symptom,
                "a server that the builder needs does not answer",
            ))
                .hint("run it again: what is there by now stays; --substituters names other binary caches"),
        ),
        KnownError::Network => Some(
            failure(&unreached(
                findings,
                *symptom,
                "the builder could not reach a server that it needs",
            ))
                .hint("check the network and the engine's DNS")
                .hint("--substituters names other binary caches"),
        ),
        KnownError::KeyUntrusted => Some(
            Failure::usage("what a binary cache offers is not signed by a key that is trusted")
                .hint(trust(ending.keys)),
        ),
        KnownError::MissingProgram if ending.foreign => Some(
            Failure::usage("the builder's container image has no nix-build")
                .hint("--builder-image needs an image that holds Nix, for instance nixos/nix"),
        ),
        KnownError::NoHandler
        | KnownError::MissingProgram
        | KnownError::EmulatorCrash
        | KnownError::RootTooSmall
        | KnownError::FirmwareTooSmall
        | KnownError::WrongHash => None,
    })
}

/// Which download came to nothing, in the words of whoever tried.
fn unreached(findings: &Findings, symptom: KnownError, what: &str) -> String {
    let built = findings
        .failed
        .iter()
        .flat_map(|failed| &failed.tail)
        .map(String::as_str);
    let said = findings
        .complaints
        .iter()
        .flat_map(|complaint| complaint.summary.lines());
    let line = built
        .chain(said)
        .find(|line| symptoms(line).any(|s| s == symptom));
    let line = line.map(|l| l.trim_start().trim_start_matches("error: ").to_owned());
    [what.to_owned()]
        .into_iter()
        .chain(line)
        .collect::<Vec<_>>()
        .join(": ")
}

/// The flag takes the place of the keys that are trusted so far: these are named again.
fn trust(keys: &[String]) -> String {
    let own = keys.iter().map(String::as_str);
    let keys: Vec<&str> = own.chain(["ITS-KEY"]).collect();
    let keys = keys.join(" ");
    format!(
        "if you trust that cache, name its key beside those that are trusted: --trusted-public-keys '{keys}'"
    )
}

/// Nix could not write to the store volume.
fn full(store: &str) -> Failure {
    Failure::environment(format!(
        "no space left, or no inode, on the store volume {store}"
    ))
    .hint("free some space where the engine keeps its volumes (docker system df; df -h; df -i)")
    .hint("`sdbuild clean` removes the store volume, with all that earlier builds left in it")
}

/// A derivation failed on its own account.
fn by_build(ending: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    if let Some(failed) = &findings.failed {
        let how = failed.message.lines().next().unwrap_or_default();
        let how = how.split_once("' failed ").map_or("failed", |(_, how)| how);
        let text =
            format!("the build of {} failed {how}", failed.name).replace("failed failed", "failed");
        return Some(Failure::message(Class::Build, text));
    }
    // 100 and the bits above it: build failure, time-out, wrong hash, not deterministic
    let first = findings.complaints.first();
    (100..112).contains(&ending.code).then(|| {
        let text = first.map_or("nix-build says no more".to_owned(), |c| sentence(ending, c));
        Failure::message(Class::Build, text)
    })
}

/// Ends that are told by the exit status.
fn by_exit(ending: &ExitContext<'_>, findings: &Findings) -> Option<Failure> {
    let interrupted = findings
        .complaints
        .iter()
        .any(|c| c.summary.contains("interrupted by the user"));
    match ending.code {
        120 => Some(unplaced(ending, findings)),
        121 => Some(refused(findings)),
        126 | 127 => Some(Failure::message(
            if ending.foreign {
                Class::Usage
            } else {
                Class::Internal
            },
            "the builder's container image could not run nix-build",
        )),
        130 | 137 | 143 => Some(unheard(findings).unwrap_or_else(stopped)),
        1 if interrupted => Some(stopped()),
        _ => None,
    }
}

/// Native glue was asked for and cannot be had; the entry said why.
fn refused(findings: &Findings) -> Failure {
    let mut said = findings.others.iter().rev();
    let why = said.find_map(|line| line.strip_prefix("sdbuild: glue: refused: "));
    let why = why.unwrap_or("the log has its last words");
    Failure::message(Class::Build, format!("the glue cannot be native: {why}"))
        .hint("--glue auto builds it under emulation then, --glue emulated at once")
}

/// The builder's leash was silent for so long that it ended by itself, and said so.
fn unheard(findings: &Findings) -> Option<Failure> {
    let mut said = findings.others.iter().rev();
    let why = said.find_map(|line| line.strip_prefix("sdbuild: watchdog: "))?;
    let text = format!("the builder ended by itself, since nobody waited for it: {why}");
    Some(Failure::environment(text).hint(
        "sdbuild or the way to the engine was stopped for that long; run it again, and it goes on with what was \
         built by then",
    ))
}

fn stopped() -> Failure {
    Failure::environment("the builder was stopped from outside")
        .hint("somebody stopped the container, or the engine was restarted; run it again")
}

/// The entry could not prepare the volume; it said why.
fn unplaced(ending: &ExitContext<'_>, findings: &Findings) -> Failure {
    let said = findings
        .others
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("sdbuild: "));
    let text = said.unwrap_or("nixpkgs could not be put in its place");
    if text.contains("is no nixpkgs") {
        Failure::usage(text).hint("--nixpkgs takes the archive of a nixpkgs tree")
    } else if findings
        .others
        .iter()
        .any(|l| symptoms(l).any(|s| s == KnownError::DiskFull))
    {
        full(ending.store)
    } else {
        Failure::environment(text)
    }
}

/// Nix refused the configuration, or ended without a word.
fn by_complaint(ending: &ExitContext<'_>, findings: &Findings) -> Failure {
    let Some(complaint) = findings.complaints.first() else {
        return Failure::environment(format!("nix-build ended with exit status {}", ending.code))
            .hint("the log has its last words");
    };
    let text = sentence(ending, complaint);
    let file = format!("{}{}", ending.shown_dir, ending.file);
    let context = if text.contains(&file) {
        "evaluate the configuration".to_owned()
    } else {
        format!("evaluate the configuration {file}")
    };
    let failure = Failure::usage(text).context(context);
    let mistake = EvalError::of(&complaint.summary);
    let hint = mistake.map(|mistake| mistake.hint(&complaint.summary));
    hint.into_iter().fold(failure, Failure::hint)
}

/// The lines that are shown: of the failed build, else of the first error, else whatever was said.
fn tail(ending: &ExitContext<'_>, findings: &Findings) -> Vec<String> {
    let lines: Vec<String> = match (&findings.failed, findings.complaints.first()) {
        (Some(failed), _) if !failed.tail.is_empty() => failed.tail.clone(),
        (_, Some(complaint)) => around(ending, complaint),
        _ => findings.others.iter().cloned().collect(),
    };
    let skip = lines.len().saturating_sub(super::build_log::TAIL);
    lines.into_iter().skip(skip).collect()
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
