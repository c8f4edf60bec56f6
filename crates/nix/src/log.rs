//! Parser of Nix's machine-readable log (`--log-format internal-json`): each line becomes at most one event.
//!
//! Pure, and never fails: a line that cannot be parsed becomes [`NixEvent::Other`], unknown numbers are ignored, colour
//! codes are removed, and the length of every text is limited.

mod count;
mod forecast;
mod record;
mod step;

use std::collections::HashMap;

use self::count::Count;
use self::forecast::forecast;
use self::record::Record;
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::redact::hide_private_keys;
use sdbuild_core::text::{strip_control, truncate};
use sdbuild_core::untrusted;

/// More activities than a build has at the same time; at this number the table is cleared so that it cannot grow.
const MAX_ACTIVITIES: usize = 1 << 12;

/// Prefix of the line in which `containers/builder/glue` reports how many derivations will be built under emulation.
const TO_EMULATE: &str = "sdbuild: to emulate: ";
/// Nix's verbosity level of what it shows without flags.
const DEFAULT_LEVEL: u8 = 3;
/// Characters of a store path that are kept: no store path has more.
const MAX_PATH_CHARS: usize = 256;
/// Characters of any other text of the log that are kept.
const MAX_TEXT_CHARS: usize = 64 * 1024;
/// Bytes of a text that are read: more than so many characters have.
const MAX_TEXT_BYTES: usize = 4 * MAX_TEXT_CHARS + 4;

/// Activity types that are distinguished (`ActivityType` in Nix's `src/libutil/logging.hh`).
mod activity {
    pub(super) const COPY_PATH: u64 = 100;
    pub(super) const FILE_TRANSFER: u64 = 101;
    pub(super) const REALISE: u64 = 102;
    pub(super) const COPY_PATHS: u64 = 103;
    pub(super) const BUILDS: u64 = 104;
    pub(super) const BUILD: u64 = 105;
    pub(super) const SUBSTITUTE: u64 = 108;
}

/// Result types that are used (`ResultType` in the same file).
mod result {
    pub(super) const BUILD_LINE: u64 = 101;
    pub(super) const PHASE: u64 = 104;
    pub(super) const PROGRESS: u64 = 105;
    pub(super) const SET_EXPECTED: u64 = 106;
    pub(super) const POST_BUILD_LINE: u64 = 107;
}

/// A place in a source file, as Nix reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file's path in the builder, or what Nix calls a text that is none.
    pub file: String,
    /// The line, counted from 1.
    pub line: u64,
    /// The column, counted from 1; 0 if Nix reports none.
    pub column: u64,
}

impl Position {
    /// Its offset in `text`, the file's content, in bytes from 0: its length for a line behind the last one. `None` without a column,
    /// or if it is behind the text.
    pub fn offset(&self, text: &str) -> Option<usize> {
        let lines_before = usize::try_from(self.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(self.column).ok()?.checked_sub(1)?;
        let lines = text.split_inclusive('\n').take(lines_before);
        let offset = lines.map(str::len).sum::<usize>() + column;
        (offset <= text.len()).then_some(offset)
    }
}

/// An error message of Nix, with its position in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NixError {
    /// The message without the trace.
    pub summary: String,
    /// The message with the trace, several lines.
    pub text: String,
    /// Where the error is, when Nix reports it.
    pub position: Option<Position>,
}

/// A running activity.
#[derive(Debug)]
struct Activity {
    /// One of [`activity`].
    kind: u64,
    parent: u64,
    /// The store path of the derivation that is built, for a build.
    derivation: Option<String>,
    /// The last reported counts; Nix repeats them many times.
    last_counts: Option<[u64; 3]>,
}

/// Parses a log line by line; keeps the running activities.
#[derive(Debug, Default)]
pub struct Log {
    activities: HashMap<u64, Activity>,
    /// Builds as a remote builder reports them, and the same builds as Nix here reports them.
    remote: HashMap<u64, u64>,
    built: Count,
    fetched: Count,
    to_download: Count,
    error: Option<NixError>,
}

impl Log {
    /// The event of `line` (without line end); `None` when it reports nothing of interest.
    pub fn line(&mut self, line: &str) -> Option<NixEvent> {
        let other = || Some(NixEvent::Other(clean(line))).filter(|_| !line.trim().is_empty());
        if let Some(Ok(derivations)) = line.strip_prefix(TO_EMULATE).map(str::parse) {
            return Some(NixEvent::WillEmulate { derivations });
        }
        if let Some(step) = step::parse(line) {
            return self.step(&step);
        }
        let Some(json) = line.strip_prefix("@nix ") else {
            return other();
        };
        let Ok(record) = untrusted::json::<Record>(json) else {
            return other();
        };
        match record.action.as_str() {
            "msg" => Some(self.message(&record)),
            "start" => self.start(&record),
            "stop" => record.id.and_then(|id| self.stop(id)),
            "result" => self.result(&record),
            _ => other(),
        }
    }

    /// The error in the last line, once.
    pub fn take_error(&mut self) -> Option<NixError> {
        self.error.take()
    }

    fn message(&mut self, record: &Record) -> NixEvent {
        let text = record.msg.as_deref().map(clean).unwrap_or_default();
        let level = record.level_of(&text);
        // `builtins.trace` has the level of an error: NixOS warns with it.
        if level == 0 && !text.starts_with("trace: ") {
            let summary = record.raw_msg.as_deref().map(clean);
            self.error = Some(NixError {
                summary: summary.unwrap_or_else(|| text.clone()),
                text: text.clone(),
                position: record.position(),
            });
        }
        forecast(&text).unwrap_or(NixEvent::Message { level, text })
    }

    fn start(&mut self, record: &Record) -> Option<NixEvent> {
        let (id, kind) = (record.id?, record.kind.unwrap_or(0));
        let parent = record.parent.unwrap_or(0);
        let path = record.path(0);
        let derivation = path.clone().filter(|_| kind == activity::BUILD);
        if self.is_reported_again(id, kind, parent, derivation.as_ref()) {
            return None;
        }
        let subject = || path.unwrap_or_else(|| record.path_in_text());
        let event = match kind {
            activity::BUILD => Some(NixEvent::BuildStarted {
                id,
                derivation: subject(),
                machine: record.path(1).unwrap_or_default(),
            }),
            activity::SUBSTITUTE => Some(NixEvent::FetchStarted {
                id,
                path: subject(),
                cache: record.path(1).unwrap_or_default(),
            }),
            activity::REALISE | activity::BUILDS | activity::COPY_PATHS => None,
            activity::FILE_TRANSFER | activity::COPY_PATH => record.activity_message(),
            _ => return record.activity_message(),
        };
        if self.activities.len() >= MAX_ACTIVITIES {
            self.activities.clear();
        }
        let activity = Activity {
            kind,
            parent,
            derivation,
            last_counts: None,
        };
        self.activities.insert(id, activity);
        event
    }

    /// Whether a remote builder reports what Nix here reports too: the build of `derivation` that was sent there, and its count of
    /// builds, which is below another activity.
    fn is_reported_again(
        &mut self,
        id: u64,
        kind: u64,
        parent: u64,
        derivation: Option<&String>,
    ) -> bool {
        if kind != activity::BUILD {
            return kind == activity::BUILDS && self.activities.contains_key(&parent);
        }
        let mut running = self.activities.iter();
        let same = running.find(|(_, one)| one.derivation.as_ref() == derivation);
        let outer = same
            .map(|(outer, _)| *outer)
            .filter(|_| derivation.is_some());
        outer.is_some_and(|outer| {
            if self.remote.len() >= MAX_ACTIVITIES {
                self.remote.clear();
            }
            self.remote.insert(id, outer);
            true
        })
    }

    fn stop(&mut self, id: u64) -> Option<NixEvent> {
        self.remote.remove(&id);
        let kind = self.activities.remove(&id)?.kind;
        matches!(kind, activity::BUILD | activity::SUBSTITUTE).then_some(NixEvent::Stopped { id })
    }

    fn result(&mut self, record: &Record) -> Option<NixEvent> {
        let id = record.id?;
        let id = self.remote.get(&id).copied().unwrap_or(id);
        match record.kind? {
            result::BUILD_LINE | result::POST_BUILD_LINE => Some(NixEvent::BuildLine {
                id,
                line: clean(record.field_text(0)?),
            }),
            result::PHASE => Some(NixEvent::BuildPhase {
                id,
                phase: clean(record.field_text(0)?),
            }),
            result::PROGRESS | result::SET_EXPECTED => self.count(id, record),
            _ => None,
        }
    }

    /// The event of a count, unless it repeats the one before.
    fn count(&mut self, id: u64, record: &Record) -> Option<NixEvent> {
        let (done, expected) = (record.field_number(0)?, record.field_number(1)?);
        let running = record.field_number(2).unwrap_or(0);
        let activity = self.activities.get_mut(&id)?;
        let counts_transfers = done == activity::FILE_TRANSFER;
        let counts = Some([done, expected, running]);
        if activity.kind == activity::REALISE && !counts_transfers || activity.last_counts == counts
        {
            return None;
        }
        activity.last_counts = counts;
        match activity.kind {
            activity::BUILDS => {
                let (done, expected) = self.built.update(id, done, expected);
                Some(NixEvent::Built {
                    done,
                    expected,
                    running,
                })
            }
            activity::COPY_PATHS => {
                let (done, expected) = self.fetched.update(id, done, expected);
                Some(NixEvent::Fetched { done, expected })
            }
            activity::REALISE => {
                let (bytes, _) = self.to_download.update(id, expected, expected);
                Some(NixEvent::ToDownload { bytes })
            }
            activity::FILE_TRANSFER => {
                let id = self.owner(id)?;
                Some(NixEvent::Moved { id, done, expected })
            }
            _ => None,
        }
    }

    /// The event of a step, if the derivation is being built.
    fn step(&self, step: &step::Step<'_>) -> Option<NixEvent> {
        let named = |activity: &Activity| {
            let path = activity.derivation.as_deref()?;
            let hash = path.strip_suffix(step.name)?.strip_suffix('-')?;
            (!hash.contains('-')).then_some(())
        };
        // Of several with the same name, the one that began last.
        let builds = self.activities.iter().filter(|(_, a)| named(a).is_some());
        Some(NixEvent::Step {
            id: *builds.map(|(id, _)| id).max()?,
            unit: step.unit,
            done: step.done,
            expected: step.expected,
        })
    }

    /// The activity of the build or store path that the download `id` belongs to.
    fn owner(&self, mut id: u64) -> Option<u64> {
        // Transfer, copy, substitution: a deeper one is not the download of a store path.
        for _ in 0..4 {
            let activity = self.activities.get(&id)?;
            if matches!(activity.kind, activity::BUILD | activity::SUBSTITUTE) {
                return Some(id);
            }
            id = activity.parent;
        }
        None
    }
}

/// `text` as it may be shown and written to the log: without terminal control, without the passwords of addresses, which Nix names
/// as `flake.nix` has them, and without private keys; at most `MAX_TEXT_CHARS` characters and `…`.
pub fn clean(text: &str) -> String {
    let read = text.floor_char_boundary(MAX_TEXT_BYTES);
    let plain = strip_control(text.get(..read).unwrap_or_default());
    let without_keys = hide_private_keys(&plain);
    truncate(&hide_secrets(&without_keys), MAX_TEXT_CHARS).into_owned()
}

#[cfg(test)]
mod tests;
