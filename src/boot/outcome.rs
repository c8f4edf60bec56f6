//! How a boot that did not go well is told.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use crate::boot::diagnosis::{self, Evidence};
use crate::boot::login::SshProbe;
use crate::boot::machine::Running;
use crate::common::failure::{Class, Failure, Leftover};

/// How much of the console is shown when a boot fails.
const SHOWN: usize = 40;
/// Nobody is let in, and QEMU runs.
pub(super) fn gave_up(machine: &Running, door: &SshProbe<'_>, waited: Option<Duration>) -> Failure {
    let lines = machine.console.lines();
    let answer = door.answer();
    let diagnosis = diagnosis::diagnose(&Evidence {
        lines: &lines,
        answer: answer.as_deref(),
    });
    let mut failure = Failure::message(Class::Build, diagnosis.what).hint(diagnosis.hint);
    failure.log_tail = machine.console.tail(SHOWN);
    match waited {
        Some(waited) => failure.context(format!("no login within {} s", waited.as_secs())),
        None => failure.context("the image lets nobody in"),
    }
}

/// QEMU ended before anybody was let in.
pub(super) fn ended(machine: &Running, door: &SshProbe<'_>, status: ExitStatus) -> Failure {
    if status.success() {
        let failure = gave_up(machine, door, None);
        return failure.context("the machine switched itself off");
    }
    let mut failure = Failure::environment(match machine.complaints() {
        said if said.is_empty() => format!("QEMU ended with {status}"),
        said => format!("QEMU ended with {status}: {said}"),
    });
    if failure.to_string().contains("host forwarding rule") {
        failure = failure.hint("another program took the port just now: try again");
    }
    if failure.to_string().contains("cannot set up guest memory") {
        failure = failure.hint("take less --memory");
    }
    failure.log_tail = machine.console.tail(SHOWN);
    failure
}

/// The command's own end becomes ours.
pub(super) fn command_ended(status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        return Ok(());
    }
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255);
    Err(Failure::message(
        Class::Command(code),
        format!("the command ended with {code} on the machine"),
    ))
}

/// The outcome, and what could not be removed.
pub(super) fn given_back(
    outcome: Result<(), Failure>,
    left: Option<Leftover>,
) -> Result<(), Failure> {
    let Some(left) = left else { return outcome };
    let failure = outcome.err().unwrap_or_else(|| {
        Failure::environment("the image was booted, but not everything could be removed")
    });
    Err(failure.with_teardown(vec![left]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_code_is_handed_on() {
        assert!(command_ended(ExitStatus::from_raw(0)).is_ok());
        let failure = command_ended(ExitStatus::from_raw(7 << 8)).unwrap_err();
        assert_eq!(failure.class, Class::Command(7));
        let failure = command_ended(ExitStatus::from_raw(9)).unwrap_err();
        assert_eq!(failure.class, Class::Command(137));
    }
}
