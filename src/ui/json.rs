//! Events for programs: one JSON object per line (`--json-events`), as `docs/automation.md` describes. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ui::lines;
use crate::ui::sanitize::is_unsafe;
use crate::ui::state::State;
use sdbuild_core::event::{Event, Stop};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::nix_event::{NixEvent, StepUnit};

/// Version of the event format; incremented when a field or kind of event is removed or changes its meaning.
const VERSION: u64 = 1;
/// Minimum time between two byte counts of the same activity or phase; the final count is always reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Activities whose last report is remembered, more than any build has at once; beyond this all are forgotten, so that a
/// build cannot fill the memory.
const MAX_COUNTS: usize = 4096;

/// Formats events, and remembers when each byte count was last reported.
#[derive(Debug, Default)]
pub(super) struct Json {
    last_count: HashMap<String, Duration>,
}

impl Json {
    /// The JSON line of `event`; `None` for events without one and for byte counts that come too soon after the last.
    /// `state` already includes the event.
    pub(super) fn line(&mut self, event: &Event, state: &State, at: Duration) -> Option<String> {
        let mut fields = if let Event::Nix(event) = event {
            nix_event(event)?
        } else {
            run_event(event, state)?
        };
        match fields.get("event").and_then(Value::as_str) {
            Some("progress") if self.is_too_soon(&fields, at) => return None,
            Some("ended") => drop(self.last_count.remove(&subject(&fields))),
            _ => {}
        }
        add(&mut fields, "at", json!(seconds(at)));
        Some(line(fields))
    }

    fn is_too_soon(&mut self, fields: &Value, at: Duration) -> bool {
        let whole = fields.get("done") == fields.get("total");
        let last = self.last_count.get(&subject(fields));
        if !whole && last.is_some_and(|last| at.saturating_sub(*last) < PROGRESS_INTERVAL) {
            return true;
        }
        if self.last_count.len() >= MAX_COUNTS {
            self.last_count.clear();
        }
        self.last_count.insert(subject(fields), at);
        false
    }
}

/// The activity or phase that a byte count belongs to.
fn subject(fields: &Value) -> String {
    let id = fields.get("id").or_else(|| fields.get("phase"));
    id.map(Value::to_string).unwrap_or_default()
}

#[expect(clippy::too_many_lines, reason = "a line for each event")]
fn run_event(event: &Event, state: &State) -> Option<Value> {
    Some(match event {
        Event::Configuration(name) => json!({ "event": "configuration", "name": name }),
        Event::RunStarted(run) => json!({
            "event": "run-started",
            "sdbuild": env!("CARGO_PKG_VERSION"),
            "configuration": run.configuration,
            "system": run.system,
            "engine": run.engine,
            "nixpkgs": run.nixpkgs,
        }),
        Event::Detail(phase, text) => {
            json!({ "event": "phase-detail", "phase": phase, "text": text })
        }
        Event::ImageChosen(choice) => json!({
            "event": "image-chosen",
            "attribute": choice.attribute,
            "chosen_by": choice.chosen_by,
            "file": choice.file,
        }),
        Event::ImageDone(image) => json!({
            "event": "image",
            "path": image.path.to_string_lossy(),
            "size": image.size,
            "raw_size": image.raw_size,
            "sha256": image.sha256,
            "seconds": seconds(image.took),
            "up_to_date": image.up_to_date,
            "older": image.older.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        }),
        Event::Started(phase) => json!({ "event": "phase-started", "phase": phase }),
        Event::Finished(phase, took) => {
            json!({ "event": "phase-ended", "phase": phase, "seconds": seconds(*took) })
        }
        Event::Stopped(phase, took, stop) => {
            let mut fields = json!({ "phase": phase, "seconds": seconds(*took) });
            let kind = match stop {
                Stop::Failed | Stop::Tolerated => {
                    add(&mut fields, "tolerated", json!(*stop == Stop::Tolerated));
                    "phase-failed"
                }
                Stop::Interrupted => "phase-interrupted",
                // It begins again after the answer, or a `failed` object follows.
                Stop::Question => return None,
            };
            add(&mut fields, "event", json!(kind));
            fields
        }
        Event::Bytes { phase, done, total } => {
            json!({ "event": "progress", "phase": phase, "done": done, "total": total })
        }
        Event::Warning(text) => json!({ "event": "warning", "text": text }),
        Event::Notice(text) => json!({ "event": "notice", "text": text }),
        Event::Next(last) => json!({ "event": "notice", "text": lines::last_text(last) }),
        Event::LogFile(path) => json!({ "event": "log-file", "path": path.to_string_lossy() }),
        Event::Console(line) => json!({ "event": "console-line", "line": line }),
        Event::WorkEnded => {
            let phases = state.ended.iter().map(|ended| {
                let (phase, took) = (ended.phase, seconds(ended.took));
                json!({ "phase": phase, "seconds": took, "well": ended.stop.is_none() })
            });
            let slowest = state.slowest.iter();
            let slowest =
                slowest.map(|(name, took)| json!({ "name": name, "seconds": seconds(*took) }));
            json!({
                "event": "work-ended",
                "phases": phases.collect::<Vec<_>>(),
                "slowest": slowest.collect::<Vec<_>>(),
            })
        }
        Event::LastTimes(_)
        | Event::ToCome(_)
        | Event::TerminalGiven
        | Event::Suspended
        | Event::Resumed
        | Event::Nix(_) => return None,
    })
}

fn nix_event(event: &NixEvent) -> Option<Value> {
    if let NixEvent::Other(line) = event {
        return Some(json!({ "event": "builder-line", "line": line }));
    }
    let (kind, id, done, total) = if let NixEvent::Moved { id, done, expected } = event {
        ("progress", id, done, Some(expected).filter(|all| **all > 0))
    } else if let NixEvent::Step {
        id,
        unit,
        done,
        expected,
    } = event
    {
        let kind = match unit {
            StepUnit::Bytes => "progress",
            StepUnit::Paths => "copied",
        };
        (kind, id, done, Some(expected))
    } else {
        return serde_json::to_value(event).ok();
    };
    Some(json!({ "event": kind, "id": id, "done": done, "total": total }))
}

/// The object that reports how many log lines were dropped because the reader was too slow.
pub(super) fn dropped_lines(lines: u64) -> String {
    line(json!({ "event": "left-out", "lines": lines }))
}

/// One object for `failure` and one for each further failure that was found with it.
pub(super) fn failure(failure: &Failure) -> String {
    let mut out = String::new();
    for mut fields in failure_fields(failure) {
        add(&mut fields, "event", json!("failed"));
        writeln!(out, "{}", line(fields)).ok();
    }
    out
}

/// What is told of `failure`, and of each further failure that was found with it.
pub fn failure_fields(failure: &Failure) -> Vec<Value> {
    let failures = std::iter::once(failure).chain(&failure.others);
    let fields = failures.map(|one| {
        let left = one.teardown.iter();
        let left: Vec<Value> = left
            .map(|l| json!({ "what": l.what, "why": l.why, "remedy": l.remedy }))
            .collect();
        json!({
            "class": class(one.class),
            "message": one.sentence(),
            "hints": one.hints,
            "log_tail": one.log_tail,
            "log": one.log.as_ref().map(|path| path.to_string_lossy()),
            "not_removed": left,
        })
    });
    fields.collect()
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Usage => "usage",
        Class::Environment => "environment",
        Class::Build => "build",
        Class::CheckFailed => "check",
        Class::RolledBack => "rolled-back",
        Class::Command(_) | Class::Shell(_) => "command",
        Class::Declined => "declined",
        Class::Interrupted => "interrupted",
        Class::Internal => "internal",
    }
}

fn add(fields: &mut Value, name: &str, value: Value) {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// `fields` with the version on one line, without characters that control a terminal.
fn line(mut fields: Value) -> String {
    add(&mut fields, "version", json!(VERSION));
    let mut out = String::new();
    for c in fields.to_string().chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").ok();
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Seconds, rounded to milliseconds.
fn seconds(d: Duration) -> f64 {
    Duration::from_millis(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

#[cfg(test)]
mod tests;
