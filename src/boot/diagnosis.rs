//! Why a boot failed, from the lines on the console and ssh's last error.

mod table;
#[cfg(test)]
mod tests;

use crate::boot::login::is_refusal;
use crate::common::text::truncate;
use table::{
    FINAL_LINES, KERNEL_STARTED, LOGIN_PROMPT, NO_OUTPUT, NO_STAGE, OTHER_PORT, PARTS, PI_PROMPT,
    PORT_OF_A_DEVICE, REFUSED_KEY, SILENT_KERNEL, STAGES, SYMPTOMS, Symptom, U_BOOT_PROMPT,
};

/// Characters of a console line that are quoted in a diagnosis.
const MAX_QUOTE_CHARS: usize = 200;

/// What a failed boot left to examine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence<'a> {
    /// The lines of the console.
    pub(super) lines: &'a [String],
    /// The last error message of ssh.
    pub(super) ssh_error: Option<&'a str>,
}

/// What a failed boot usually means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// The problem.
    pub(super) what: String,
    /// The hint for the user.
    pub(super) hint: &'static str,
}

impl Symptom {
    /// The first line that shows this symptom.
    fn find<'a>(&self, lines: &'a [String]) -> Option<&'a String> {
        let shows = |line: &&String| self.texts.iter().any(|text| matches(line, text));
        lines.iter().find(shows)
    }

    /// The diagnosis, with a quote of `line` if that says more.
    fn diagnosis(&self, line: &str) -> Diagnosis {
        let what = if self.quote {
            format!("{}: {}", self.what, quote(line))
        } else {
            self.what.to_owned()
        };
        Diagnosis {
            what,
            hint: self.hint,
        }
    }
}

/// A line without the kernel's time stamp or systemd's status in brackets, shortened.
fn quote(line: &str) -> String {
    let line = line.trim();
    let text = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map_or(line, |(_, rest)| rest);
    truncate(text.trim(), MAX_QUOTE_CHARS).into_owned()
}

fn matches(line: &str, text: &str) -> bool {
    match text {
        U_BOOT_PROMPT | PI_PROMPT => line == text,
        // The test image has the same beginning in its message about growing the partition.
        "stage 1: " => line.starts_with(text) && line.ends_with("; a shell follows"),
        text => line.contains(text),
    }
}

/// Whether the boot cannot succeed any more after `line`.
pub(super) fn is_final(line: &str) -> bool {
    FINAL_LINES.iter().any(|text| matches(line, text))
}

/// Whether U-Boot is done after a line, and the kernel runs.
pub(super) fn is_kernel_start(line: &str) -> bool {
    ["Starting kernel ...", "Booting Linux on physical CPU"]
        .iter()
        .any(|text| line.contains(text))
}

/// Whether Linux has twice failed to address a device that was plugged into a USB port (`hub_port_connect` in its
/// drivers/usb/core/hub.c). QEMU's controller of the Raspberry Pi misses transfers when its machine is held up.
pub(super) fn is_usb_failure(line: &str) -> bool {
    line.contains("attempt power cycle") || line.contains("unable to enumerate USB device")
}

/// Whether a line ends with the prompt of a login. A kernel message may follow on the same line.
pub(super) fn is_prompt(line: &str) -> bool {
    line.contains(LOGIN_PROMPT)
}

/// What to do if the serial console of `lines` cannot ask for a login; `None` if it can.
pub(super) fn hint_without_prompt(lines: &[String]) -> Option<&'static str> {
    let mut lines = lines.iter();
    lines
        .any(|line| line.contains(PORT_OF_A_DEVICE))
        .then_some(OTHER_PORT)
}

/// Whether a line says that Linux is done, on a machine that it cannot switch off.
pub(super) fn is_halted(line: &str) -> bool {
    line.contains("reboot: ") && line.contains("System halted")
}

/// Which part of the boot a line shows: its number, which grows, and what happens in it.
pub(super) fn part(line: &str) -> Option<(usize, &'static str)> {
    let shows = |(texts, _): &(&[&str], &str)| texts.iter().any(|text| line.contains(text));
    let number = PARTS.iter().rposition(shows)?;
    PARTS.get(number).map(|(_, what)| (number, *what))
}

/// What the evidence usually means.
pub(super) fn diagnose(evidence: &Evidence<'_>) -> Diagnosis {
    let lines = evidence.lines;
    let has_failed = lines.iter().any(|line| is_final(line));
    let is_up = evidence.ssh_error.is_some_and(is_refusal)
        || lines.iter().any(|line| line.contains(LOGIN_PROMPT));
    // An earlier symptom did not keep a system from coming up that is up.
    if is_up && !has_failed {
        return diagnose_stage(evidence);
    }
    SYMPTOMS
        .iter()
        .find_map(|symptom| Some(symptom.diagnosis(symptom.find(lines)?)))
        .unwrap_or_else(|| diagnose_stage(evidence))
}

/// Whether `line` is U-Boot's about the kernel's command line, and that has the serial port of QEMU's ARM machines.
fn names_console(line: &str) -> bool {
    line.starts_with("append: ") && line.contains("console=ttyAMA0")
}

/// How far a boot came that has not failed.
fn diagnose_stage(evidence: &Evidence<'_>) -> Diagnosis {
    if let Some(error) = evidence.ssh_error.filter(|error| is_refusal(error)) {
        return REFUSED_KEY.diagnosis(error);
    }
    let none = if evidence.lines.is_empty() {
        &NO_OUTPUT
    } else {
        &NO_STAGE
    };
    let mut reached = STAGES
        .iter()
        .filter(|stage| stage.find(evidence.lines).is_some());
    let stage = reached.next().unwrap_or(none);
    let is_silent = stage.texts.contains(&KERNEL_STARTED);
    if is_silent && evidence.lines.iter().any(|line| names_console(line)) {
        return SILENT_KERNEL.diagnosis("");
    }
    stage.diagnosis("")
}
