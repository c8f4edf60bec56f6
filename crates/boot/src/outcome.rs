//! The failures of a boot.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::diagnosis;
use crate::diagnosis::Evidence;
use crate::login::{SshProbe, is_refusal};
use crate::machine::RunningMachine;
use sdbuild_core::failure::{Class, Failure, Leftover};
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::text::listed;

/// The result of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// A login over SSH succeeded.
    Login,
    /// The serial console asked for a login.
    Prompt,
    /// The console was on the user's terminal until the machine ended.
    End,
}

/// Below this, kernel and initrd of an image of nixpkgs do not fit, in MiB; the system needs twice as much.
const MIN_MEMORY_MIB: u32 = 256;
/// Lines of the console that are shown when a boot fails.
const SHOWN_LINES: usize = 40;

/// No login succeeded while QEMU runs: within the `limit`, or it became clear that none will. The console is shown
/// unless the SSH server answered: what was written before it started does not explain its refusal.
pub(super) fn no_login(
    machine: &RunningMachine,
    probe: Option<&SshProbe<'_>>,
    limit: Option<Duration>,
) -> Failure {
    let lines = machine.console.lines();
    let ssh_error = probe.and_then(SshProbe::last_error);
    let evidence = Evidence {
        lines: &lines,
        ssh_error: ssh_error.as_deref(),
    };
    let diagnosis = diagnosis::diagnose(&evidence);
    let mut failure = Failure::message(Class::Build, diagnosis.what).hint(diagnosis.hint);
    if ssh_error.as_deref().is_some_and(is_refusal) {
        let tried = tried_keys(probe.map_or(&[], |probe| probe.keys));
        failure = tried.into_iter().fold(failure, Failure::hint);
    } else {
        failure.log_tail = machine.console.tail(SHOWN_LINES);
    }
    failure.consequence(match limit {
        Some(limit) => format!("no login within {} s", limit.as_secs()),
        None => "the image does not accept a login".to_owned(),
    })
}

/// Which private `keys` were tried.
fn tried_keys(keys: &[PathBuf]) -> Option<String> {
    let names: Vec<String> = keys.iter().map(|key| shown_path(key)).collect();
    (!names.is_empty()).then(|| format!("it was tried with {}", listed(&names)))
}

/// `failure` of a boot with `memory_mib` of memory: a machine that has too little for NixOS needs more of it, whatever else
/// would help.
pub(super) fn with_memory_hint(mut failure: Failure, memory_mib: u32) -> Failure {
    if let (Some(advice), Class::Build) = (memory_advice(memory_mib), failure.class) {
        failure.hints = vec![advice];
    }
    failure
}

/// What to do about a machine with `memory_mib` of memory; `None` if NixOS can start there.
pub fn memory_advice(memory_mib: u32) -> Option<String> {
    (memory_mib < MIN_MEMORY_MIB).then(|| {
        format!("{memory_mib} MiB of memory may be too little; NixOS needs about 512 (--memory)")
    })
}

/// The machine ended before a login succeeded.
pub(super) fn machine_ended(
    machine: &RunningMachine,
    probe: Option<&SshProbe<'_>>,
    status: ExitStatus,
) -> Failure {
    let Err(mut failure) = qemu_outcome(status, &machine.stderr_text()) else {
        let failure = no_login(machine, probe, None);
        return failure.consequence("the machine switched itself off");
    };
    let text = failure.to_string();
    if text.contains("host forwarding rule") {
        failure = failure.hint("another program has just taken the port: try again");
    }
    if text.contains("cannot set up guest memory") {
        failure = failure.hint("use a smaller --memory");
    }
    failure.log_tail = machine.console.tail(SHOWN_LINES);
    failure
}

/// The outcome of QEMU itself, which wrote `stderr`.
pub(super) fn qemu_outcome(status: ExitStatus, stderr: &str) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    Err(Failure::environment(if stderr.is_empty() {
        format!("QEMU ended with {status}")
    } else {
        format!("QEMU ended with {status}: {stderr}")
    }))
}

/// The outcome of the user's command, whose exit code becomes that of sdbuild.
pub(super) fn command_outcome(status: ExitStatus, messages: &str) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    // As a shell reports the end by a signal.
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255);
    let failure = Failure::message(
        Class::Command(code),
        format!("the command exited with status {code} on the machine"),
    );
    let mut lines = messages.lines().rev().map(str::trim);
    let said = lines.find(|line| !line.is_empty());
    Err(match said {
        Some(line) => failure.hint(format!("ssh says: {line}")),
        None => failure,
    })
}

/// Adds what could not be removed to the outcome.
pub(super) fn with_leftovers<T>(
    outcome: Result<T, Failure>,
    leftovers: Vec<Leftover>,
) -> Result<T, Failure> {
    if leftovers.is_empty() {
        return outcome;
    }
    let failure = outcome.err().unwrap_or_else(|| {
        Failure::environment("the image was booted, but not everything could be removed")
    });
    Err(failure.with_teardown(leftovers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_memory_is_the_only_hint() {
        let hints = |failure: Failure, mib| with_memory_hint(failure.hint("wait"), mib).hints;
        let build = || Failure::message(Class::Build, "no login");
        assert!(hints(build(), 64).concat().contains("--memory"));
        assert_eq!(hints(build(), 64).len(), 1);
        assert_eq!(hints(build(), 1024), ["wait"]);
        assert_eq!(hints(Failure::environment("no QEMU"), 64), ["wait"]);
    }

    #[test]
    fn exit_code_of_the_command_is_passed_on() {
        assert!(command_outcome(ExitStatus::from_raw(0), "").is_ok());
        let failure = command_outcome(ExitStatus::from_raw(7 << 8), "").unwrap_err();
        assert_eq!(failure.class, Class::Command(7));
        let failure = command_outcome(ExitStatus::from_raw(9), "").unwrap_err();
        assert_eq!(failure.class, Class::Command(137));
    }
}
