//! Why nobody was let in, by what stands on the console and by ssh's last answer: pure.

mod table;
#[cfg(test)]
mod tests;

use crate::boot::login::is_refusal;
use crate::common::text::truncate;
use table::{ENDS, FIRMWARE, LOGIN, REFUSED, SILENCE, STAGES, SYMPTOMS, Symptom, U_BOOT};

/// What a boot that failed left to read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence<'a> {
    /// The console's lines.
    pub(super) lines: &'a [String],
    /// What ssh said last.
    pub(super) answer: Option<&'a str>,
}

/// What a failed boot usually means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// What happened.
    pub(super) what: String,
    /// What to do about it.
    pub(super) hint: &'static str,
}

impl Symptom {
    fn found<'a>(&self, lines: &'a [String]) -> Option<&'a String> {
        let is_in = |line: &&String| self.texts.iter().any(|text| says(line, text));
        lines.iter().find(is_in)
    }

    fn tell(&self, line: &str) -> Diagnosis {
        let what = if self.quote {
            format!("{}: {}", self.what, short(line))
        } else {
            self.what.to_owned()
        };
        Diagnosis {
            what,
            hint: self.hint,
        }
    }
}

/// A line without the kernel's clock and systemd's colours' brackets, and not longer than a line.
fn short(line: &str) -> String {
    let line = line.trim();
    let after_clock = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map_or(line, |(_, rest)| rest);
    truncate(after_clock.trim(), 200).into_owned()
}

fn says(line: &str, text: &str) -> bool {
    match text {
        U_BOOT => line == U_BOOT,
        // The miniature's word for growing its partition has the same beginning.
        "stage 1: " => line.starts_with(text) && line.ends_with("; a shell follows"),
        text => line.contains(text),
    }
}

/// Whether `line` means that this boot comes to nothing.
pub(super) fn is_the_end(line: &str) -> bool {
    ENDS.iter().any(|text| says(line, text))
}

/// What the evidence usually means.
pub(super) fn diagnose(evidence: &Evidence<'_>) -> Diagnosis {
    let lines = evidence.lines;
    let ended = lines.iter().any(|line| is_the_end(line));
    let is_up = evidence.answer.is_some_and(is_refusal) || lines.iter().any(|l| l.contains(LOGIN));
    // What failed on the way to a system that is up did not keep anybody out.
    if is_up && !ended {
        return stuck(evidence);
    }
    let mut told = SYMPTOMS
        .iter()
        .filter_map(|symptom| Some(symptom.tell(symptom.found(lines)?)));
    told.next().unwrap_or_else(|| stuck(evidence))
}

/// How far a boot came that has not failed for good.
fn stuck(evidence: &Evidence<'_>) -> Diagnosis {
    if let Some(answer) = evidence.answer.filter(|answer| is_refusal(answer)) {
        return REFUSED.tell(answer);
    }
    let mut told = STAGES.iter().filter(|s| s.found(evidence.lines).is_some());
    let none = if evidence.lines.is_empty() {
        &SILENCE
    } else {
        &FIRMWARE
    };
    told.next().unwrap_or(none).tell("")
}
