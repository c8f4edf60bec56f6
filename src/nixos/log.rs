//! Nix's machine-readable log (`--log-format internal-json`): one line → one event.
//!
//! Pure, and never fails: what cannot be parsed is passed on as text, unknown numbers are no error,
//! colour codes are taken out, and every text is of bounded length.

use std::collections::HashMap;

use serde_json::Value;

use super::text::{clean, cut};
use crate::event::NixEvent;

/// More activities than any build has at once; beyond this the table forgets instead of growing.
const MOST_ACTIVITIES: usize = 1 << 16;

/// How `containers/builder/glue` says how many derivations will be built under emulation.
const TO_EMULATE: &str = "sdbuild: to emulate: ";
/// No store path has more characters.
const LONGEST_PATH: usize = 256;

/// Activity types that we tell apart (`src/libutil/logging.hh` in Nix).
mod activity {
    pub(super) const COPY_PATH: u64 = 100;
    pub(super) const FILE_TRANSFER: u64 = 101;
    pub(super) const REALISE: u64 = 102;
    pub(super) const COPY_PATHS: u64 = 103;
    pub(super) const BUILDS: u64 = 104;
    pub(super) const BUILD: u64 = 105;
    pub(super) const SUBSTITUTE: u64 = 108;
}

/// Result types that we use.
mod result {
    pub(super) const BUILD_LINE: u64 = 101;
    pub(super) const PHASE: u64 = 104;
    pub(super) const PROGRESS: u64 = 105;
    pub(super) const SET_EXPECTED: u64 = 106;
    pub(super) const POST_BUILD_LINE: u64 = 107;
}

/// An error as Nix words it, with the place in the source that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// The message without its trace.
    pub summary: String,
    /// The message with its trace, over several lines.
    pub text: String,
    /// File, line and column, when Nix knows them.
    pub position: Option<(String, u64, u64)>,
}

/// An activity that is under way.
#[derive(Debug)]
struct Activity {
    kind: u64,
    parent: u64,
    /// What it counted last; Nix says the same many times.
    counted: Option<(u64, u64)>,
}

/// Reads a log line by line; remembers which activity counts what.
#[derive(Debug, Default)]
pub struct Log {
    activities: HashMap<u64, Activity>,
    complaint: Option<Complaint>,
}

impl Log {
    /// What `line` (without its line end) says; `None` when it is nothing that anyone reads.
    pub fn line(&mut self, line: &str) -> Option<NixEvent> {
        let other = || Some(NixEvent::Other(clean(line))).filter(|_| !line.trim().is_empty());
        if let Some(derivations) = line.strip_prefix(TO_EMULATE) {
            let derivations = derivations.parse().ok();
            return derivations
                .map_or_else(other, |n| Some(NixEvent::WillEmulate { derivations: n }));
        }
        let Some(json) = line.strip_prefix("@nix ") else {
            return other();
        };
        let Ok(value) = serde_json::from_str::<Value>(json) else {
            return other();
        };
        match value.get("action").and_then(Value::as_str) {
            Some("msg") => Some(self.message(&value)),
            Some("start") => self.start(&value),
            Some("stop") => number(&value, "id").and_then(|id| self.stop(id)),
            Some("result") => self.result(&value),
            _ => other(),
        }
    }

    /// The error that the last line carried, if it did.
    pub fn take_complaint(&mut self) -> Option<Complaint> {
        self.complaint.take()
    }

    fn message(&mut self, value: &Value) -> NixEvent {
        let level = number(value, "level").map_or(3, |n| u8::try_from(n).unwrap_or(u8::MAX));
        let text = string(value, "msg").unwrap_or_default();
        if level == 0 {
            let summary = string(value, "raw_msg").unwrap_or_else(|| text.clone());
            let position = position(value);
            self.complaint = Some(Complaint {
                summary,
                text: text.clone(),
                position,
            });
        }
        forecast(&text).unwrap_or(NixEvent::Message { level, text })
    }

    fn start(&mut self, value: &Value) -> Option<NixEvent> {
        let (id, kind) = (number(value, "id")?, number(value, "type").unwrap_or(0));
        let text = string(value, "text").unwrap_or_default();
        let subject = || {
            cut(
                &field_text(value, 0).unwrap_or_else(|| text.clone()),
                LONGEST_PATH,
            )
        };
        let event = match kind {
            activity::BUILD => Some(NixEvent::BuildStarted {
                id,
                derivation: subject(),
            }),
            activity::SUBSTITUTE => Some(NixEvent::FetchStarted {
                id,
                path: subject(),
            }),
            activity::REALISE | activity::BUILDS | activity::COPY_PATHS => None,
            activity::FILE_TRANSFER | activity::COPY_PATH => said(value, text),
            _ => return said(value, text),
        };
        if self.activities.len() >= MOST_ACTIVITIES {
            self.activities.clear();
        }
        let activity = Activity {
            kind,
            parent: number(value, "parent").unwrap_or(0),
            counted: None,
        };
        self.activities.insert(id, activity);
        event
    }

    fn stop(&mut self, id: u64) -> Option<NixEvent> {
        let kind = self.activities.remove(&id)?.kind;
        matches!(kind, activity::BUILD | activity::SUBSTITUTE).then_some(NixEvent::Stopped { id })
    }

    fn result(&mut self, value: &Value) -> Option<NixEvent> {
        let id = number(value, "id")?;
        match number(value, "type")? {
            result::BUILD_LINE | result::POST_BUILD_LINE => Some(NixEvent::BuildLine {
                id,
                line: field_text(value, 0)?,
            }),
            result::PHASE => Some(NixEvent::BuildPhase {
                id,
                phase: field_text(value, 0)?,
            }),
            result::PROGRESS | result::SET_EXPECTED => self.count(id, value),
            _ => None,
        }
    }

    /// A count that differs from the one before.
    fn count(&mut self, id: u64, value: &Value) -> Option<NixEvent> {
        let counts = (field(value, 0)?.as_u64()?, field(value, 1)?.as_u64()?);
        let activity = self.activities.get_mut(&id)?;
        let of_transfers = counts.0 == activity::FILE_TRANSFER;
        if activity.kind == activity::REALISE && !of_transfers || activity.counted == Some(counts) {
            return None;
        }
        activity.counted = Some(counts);
        let (done, expected) = counts;
        match activity.kind {
            activity::BUILDS => Some(NixEvent::Built { done, expected }),
            activity::COPY_PATHS => Some(NixEvent::Fetched { done, expected }),
            activity::REALISE => Some(NixEvent::ToDownload { bytes: expected }),
            activity::FILE_TRANSFER => {
                let id = self.owner(id)?;
                Some(NixEvent::Moved { id, done, expected })
            }
            _ => None,
        }
    }

    /// The build or the store path that the download `id` belongs to.
    fn owner(&self, mut id: u64) -> Option<u64> {
        // transfer, copy, substitution: deeper is no download of ours
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

/// The head lines of Nix's forecast; the paths that follow it are messages like any other.
fn forecast(text: &str) -> Option<NixEvent> {
    let rest = text.strip_prefix("this ").map(|rest| ("1", rest));
    let (count, rest) = rest.or_else(|| text.strip_prefix("these ")?.split_once(' '))?;
    let count = count.parse().ok()?;
    let (what, rest) = rest.split_once(" will be ")?;
    match what {
        "derivation" | "derivations" if rest == "built:" => {
            Some(NixEvent::WillBuild { derivations: count })
        }
        "path" | "paths" => {
            let sizes = rest
                .strip_prefix("fetched (")?
                .strip_suffix(" unpacked):")?;
            let (download, unpacked) = sizes.split_once(" download, ")?;
            Some(NixEvent::WillFetch {
                paths: count,
                download: size(download)?,
                unpacked: size(unpacked)?,
            })
        }
        _ => None,
    }
}

/// The bytes of `1.25 MiB`.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let power = match unit {
        "B" => 0,
        "KiB" => 1,
        "MiB" => 2,
        "GiB" => 3,
        "TiB" => 4,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let hundredths: u64 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    let unit = 1024_u64.pow(power);
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    whole.checked_add(hundredths * unit / 100)
}

/// The place that a message names. Nix puts line and column into `file` as well.
fn position(value: &Value) -> Option<(String, u64, u64)> {
    let (file, line) = (string(value, "file")?, number(value, "line")?);
    let column = number(value, "column").unwrap_or(0);
    let plain = file
        .strip_suffix(&format!(":{line}:{column}"))
        .unwrap_or(&file)
        .to_owned();
    Some((plain, line, column))
}

/// The text of an activity that is neither build nor download, as a message of its level.
fn said(value: &Value, text: String) -> Option<NixEvent> {
    let level = number(value, "level").map_or(3, |n| u8::try_from(n).unwrap_or(u8::MAX));
    (!text.is_empty()).then_some(NixEvent::Message { level, text })
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

fn string(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(clean)
}

fn field(value: &Value, index: usize) -> Option<&Value> {
    value.get("fields")?.get(index)
}

fn field_text(value: &Value, index: usize) -> Option<String> {
    field(value, index)?.as_str().map(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUILD: &str = r#"@nix {"action":"start","fields":["/nix/store/xbq6-t-50.drv","",1,1],"id":42949672966,"level":3,"parent":0,"text":"building '/nix/store/xbq6-t-50.drv'","type":105}"#;

    #[test]
    fn a_build_from_start_to_end() {
        let mut log = Log::default();
        let id = 42_949_672_966;
        assert_eq!(
            log.line(BUILD),
            Some(NixEvent::BuildStarted {
                id,
                derivation: "/nix/store/xbq6-t-50.drv".into()
            })
        );
        assert_eq!(
            log.line(
                r#"@nix {"action":"result","fields":["buildPhase"],"id":42949672966,"type":104}"#
            ),
            Some(NixEvent::BuildPhase {
                id,
                phase: "buildPhase".into()
            })
        );
        assert_eq!(
            log.line(r#"@nix {"action":"result","fields":["hello \u001b[31mfrom aarch64"],"id":42949672966,"type":101}"#),
            Some(NixEvent::BuildLine { id, line: "hello from aarch64".into() })
        );
        assert_eq!(
            log.line(r#"@nix {"action":"stop","id":42949672966}"#),
            Some(NixEvent::Stopped { id })
        );
    }

    #[test]
    fn counters_come_from_the_activities_that_count() {
        let mut log = Log::default();
        assert_eq!(
            log.line(r#"@nix {"action":"start","id":3,"level":0,"parent":0,"text":"","type":104}"#),
            None
        );
        assert_eq!(
            log.line(r#"@nix {"action":"start","id":4,"level":0,"parent":0,"text":"","type":103}"#),
            None
        );
        let progress =
            |id| format!(r#"@nix {{"action":"result","fields":[2,7,1,0],"id":{id},"type":105}}"#);
        assert_eq!(
            log.line(&progress(3)),
            Some(NixEvent::Built {
                done: 2,
                expected: 7
            })
        );
        assert_eq!(log.line(&progress(3)), None, "the same again is no news");
        assert_eq!(
            log.line(&progress(4)),
            Some(NixEvent::Fetched {
                done: 2,
                expected: 7
            })
        );
        assert_eq!(log.line(&progress(5)), None);
        log.line(r#"@nix {"action":"stop","id":3}"#);
        assert_eq!(log.line(&progress(3)), None);
    }

    #[test]
    fn the_forecast_is_numbers() {
        let said = |text: &str| {
            let line = format!(r#"@nix {{"action":"msg","level":3,"msg":"{text}"}}"#);
            Log::default().line(&line)
        };
        let will_build = |derivations| Some(NixEvent::WillBuild { derivations });
        assert_eq!(said("these 72 derivations will be built:"), will_build(72));
        assert_eq!(said("this derivation will be built:"), will_build(1));
        let will_fetch = |paths, download, unpacked| {
            Some(NixEvent::WillFetch {
                paths,
                download,
                unpacked,
            })
        };
        assert_eq!(
            said("these 3 paths will be fetched (1.25 MiB download, 2.50 GiB unpacked):"),
            will_fetch(3, 1_310_720, 2_684_354_560)
        );
        assert_eq!(
            said("this path will be fetched (0.00 MiB download, 0.5 KiB unpacked):"),
            will_fetch(1, 0, 512)
        );
        for odd in [
            "these many derivations will be built:",
            "these 99999999999999999999 derivations will be built:",
            "these 3 paths will be fetched (1.2x MiB download, 1 B unpacked):",
            "these 3 paths will be fetched (99999999999999999 TiB download, 1 B unpacked):",
        ] {
            let text = odd.to_owned();
            assert_eq!(said(odd), Some(NixEvent::Message { level: 3, text }));
        }
    }

    /// What the lines of a recorded stream became.
    fn events(stream: &str) -> Vec<NixEvent> {
        let mut log = Log::default();
        stream.lines().filter_map(|line| log.line(line)).collect()
    }

    #[test]
    fn a_recorded_download_from_a_cache() {
        let events = events(include_str!("../../tests/streams/substitute.log"));
        let path = "/nix/store/5zj80pxigx45sc90rz2flb67z101r7pb-one".to_owned();
        let expected = [
            NixEvent::WillFetch {
                paths: 1,
                download: 0,
                unpacked: 0,
            },
            NixEvent::ToDownload { bytes: 128 },
            NixEvent::FetchStarted {
                id: 455_266_533_382,
                path,
            },
            NixEvent::Stopped {
                id: 455_266_533_382,
            },
            NixEvent::Fetched {
                done: 1,
                expected: 1,
            },
        ];
        let mut told = events.iter();
        for one in expected {
            assert!(told.any(|event| *event == one), "{one:?} in {events:?}");
        }
    }

    #[test]
    fn a_recorded_download_within_a_build() {
        let events = events(include_str!("../../tests/streams/hash-mismatch.log"));
        let moved = NixEvent::Moved {
            id: 201_863_462_917,
            done: 81,
            expected: 81,
        };
        assert_eq!(events.iter().filter(|event| **event == moved).count(), 1);
    }

    #[test]
    fn an_error_keeps_its_place() {
        let mut log = Log::default();
        let line = r#"@nix {"action":"msg","column":4,"file":"«string»:1:4","level":0,"line":1,"msg":"\u001b[31;1merror:\u001b[0m syntax error, unexpected end of file\n at x","raw_msg":"syntax error, unexpected end of file"}"#;
        let text = "error: syntax error, unexpected end of file\n at x".to_owned();
        assert_eq!(
            log.line(line),
            Some(NixEvent::Message {
                level: 0,
                text: text.clone()
            })
        );
        assert_eq!(
            log.take_complaint(),
            Some(Complaint {
                summary: "syntax error, unexpected end of file".into(),
                text,
                position: Some(("«string»".into(), 1, 4)),
            })
        );
        assert_eq!(log.take_complaint(), None);
    }

    #[test]
    fn strange_lines_are_text() {
        let mut log = Log::default();
        for line in [
            "GC Warning: x",
            "@nix",
            "@nix {",
            "@nix []",
            r#"@nix {"action":"dance"}"#,
        ] {
            assert_eq!(log.line(line), Some(NixEvent::Other(line.to_owned())));
        }
        assert_eq!(log.line(""), None);
        assert_eq!(log.line(r#"@nix {"action":"start"}"#), None);
        assert_eq!(
            log.line(r#"@nix {"action":"start","id":1,"level":4,"type":999,"text":"new"}"#),
            Some(NixEvent::Message {
                level: 4,
                text: "new".into()
            })
        );
        assert_eq!(
            log.line(r#"@nix {"action":"result","id":1,"type":999,"fields":[]}"#),
            None
        );
        assert_eq!(
            log.line(r#"@nix {"action":"msg","level":99999,"msg":7}"#),
            Some(NixEvent::Message {
                level: 255,
                text: String::new()
            })
        );
        let deep = format!("@nix {}", "[".repeat(100_000));
        assert!(matches!(log.line(&deep), Some(NixEvent::Other(_))));
    }

    #[test]
    fn names_of_builds_and_downloads_are_cut() {
        for kind in [activity::BUILD, activity::SUBSTITUTE] {
            let line = format!(
                r#"@nix {{"action":"start","id":1,"type":{kind},"fields":["{}"]}}"#,
                "x".repeat(5000)
            );
            let text = format!("{:?}", Log::default().line(&line));
            assert!(text.len() < 400, "{text}");
        }
    }

    #[test]
    fn the_table_of_activities_is_bounded() {
        let mut log = Log::default();
        for id in 0..(MOST_ACTIVITIES as u64 + 10) {
            log.line(&format!(
                r#"@nix {{"action":"start","id":{id},"type":105}}"#
            ));
        }
        assert!(log.activities.len() <= MOST_ACTIVITIES);
    }

    proptest! {
        #[test]
        fn never_panics(lines in proptest::collection::vec("(?s)(@nix )?.{0,200}", 0..8)) {
            let mut log = Log::default();
            for line in lines {
                let said = log.line(&line);
                is_harmless(said.as_ref(), &log, &line)?;
            }
        }

        #[test]
        fn never_panics_on_almost_right_ones(
            action in "(msg|start|stop|result)", id in any::<i64>(), kind in 95..115i64,
            fields in proptest::collection::vec(prop_oneof!["\"[a-z]{0,3}\"", "-?[0-9]{1,20}", Just("null".to_owned())], 0..5),
        ) {
            let fields = fields.join(",");
            let line = format!(r#"@nix {{"action":"{action}","id":{id},"type":{kind},"fields":[{fields}],"level":{kind},"text":"t\u001b[2J","msg":"m\u001b]0;x","raw_msg":"\u001bc"}}"#);
            let mut log = Log::default();
            for _ in 0..2 {
                let said = log.line(&line);
                is_harmless(said.as_ref(), &log, &line)?;
                log.take_complaint();
            }
        }
    }

    /// Nothing drives a terminal, and nothing is longer than what it came from.
    fn is_harmless(said: Option<&NixEvent>, log: &Log, line: &str) -> Result<(), TestCaseError> {
        let shown = format!("{said:?}{:?}", log.complaint);
        prop_assert!(!shown.contains("\\u{1b}"), "{shown}");
        // Twice in a complaint, and each character as long as its escape.
        prop_assert!(shown.len() <= 400 + 3 * 10 * line.len(), "{shown}");
        prop_assert!(log.activities.len() <= 1);
        Ok(())
    }
}
