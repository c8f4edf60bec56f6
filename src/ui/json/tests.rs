use super::*;
use crate::ui::tests::nix_events;
use sdbuild_core::event::{ImageDone, Phase, RunSummary};

fn object(event: &Event) -> Value {
    let line = Json::default().line(event, &State::default(), Duration::from_micros(1_234_567));
    sdbuild_core::untrusted::json(&line.unwrap()).unwrap()
}

#[test]
fn every_object_has_version_kind_and_time() {
    let took = Duration::from_millis(4120);
    assert_eq!(
        object(&Event::Finished(Phase::CopyOut, took)),
        json!({ "version": 1, "at": 1.234, "event": "phase-ended", "phase": "copy-out", "seconds": 4.12 })
    );
    let fetch = NixEvent::WillFetch {
        paths: 2,
        download: 3,
        unpacked: 4,
    };
    assert_eq!(
        object(&Event::Nix(fetch)),
        json!({ "version": 1, "at": 1.234, "event": "will-fetch", "paths": 2, "download": 3, "unpacked": 4 })
    );
}

#[test]
fn ends_of_a_phase_are_distinct() {
    let stopped = |stop| {
        let event = Event::Stopped(Phase::Build, Duration::from_millis(1500), stop);
        Json::default().line(&event, &State::default(), Duration::ZERO)
    };
    let object = |kind: &str, tolerated: Option<bool>| {
        let mut object =
            json!({ "version": 1, "at": 0.0, "event": kind, "phase": "build", "seconds": 1.5 });
        if let Some(tolerated) = tolerated {
            object["tolerated"] = json!(tolerated);
        }
        Some(object.to_string())
    };
    let failed = |tolerated| object("phase-failed", Some(tolerated));
    assert_eq!(stopped(Stop::Failed), failed(false));
    assert_eq!(stopped(Stop::Tolerated), failed(true));
    assert_eq!(
        stopped(Stop::Interrupted),
        object("phase-interrupted", None)
    );
    assert_eq!(stopped(Stop::Question), None);
}

#[test]
fn foreign_text_is_escaped_without_loss() {
    let text = "a\u{1b}[2J\u{9b}2J\u{202e}\u{e0041}\n\"ä\u{7f}";
    let event = Event::Nix(NixEvent::Other(text.into()));
    let line = Json::default()
        .line(&event, &State::default(), Duration::ZERO)
        .unwrap();
    assert!(!line.chars().any(|c| is_unsafe(c) || c == '\n'), "{line:?}");
    assert_eq!(object(&event)["line"], text);
}

#[test]
fn the_number_of_remembered_counts_is_limited() {
    let mut json = Json::default();
    for id in 0..10_000 {
        let moved = NixEvent::Moved {
            id,
            done: 1,
            expected: 2,
        };
        json.line(&Event::Nix(moved), &State::default(), Duration::ZERO);
    }
    assert!(json.last_count.len() <= MAX_COUNTS);
}

#[test]
fn byte_counts_are_rate_limited_and_the_last_is_kept() {
    let mut json = Json::default();
    let state = State::default();
    let mut lines = Vec::new();
    for n in 0..=1000_u32 {
        let event = Event::Bytes {
            phase: Phase::Fetch,
            done: n.into(),
            total: Some(1000),
        };
        lines.extend(json.line(&event, &state, Duration::from_millis(1) * n));
    }
    assert_eq!(lines.len(), 6);
    assert!(lines[5].contains("\"done\":1000"), "{}", lines[5]);
}

#[test]
fn failures_become_objects() {
    let mut first = Failure::usage("no\nkey").hint("add one");
    first.others.push(Failure::environment("no engine"));
    let text = failure(&first);
    let all: Vec<Value> = text
        .lines()
        .map(|l| sdbuild_core::untrusted::json(l).unwrap())
        .collect();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["hints"], json!(["add one"]));
    assert_eq!(
        (&all[0]["class"], &all[1]["class"]),
        (&json!("usage"), &json!("environment"))
    );
}

/// One event of every kind.
fn all() -> Vec<Event> {
    let own = [
        Event::Configuration(String::new()),
        Event::RunStarted(RunSummary::default()),
        Event::Detail(Phase::Build, String::new()),
        Event::ImageDone(ImageDone::default()),
        Event::Started(Phase::Build),
        Event::Finished(Phase::Build, Duration::ZERO),
        Event::Stopped(Phase::Build, Duration::ZERO, Stop::Failed),
        Event::Stopped(Phase::Build, Duration::ZERO, Stop::Interrupted),
        Event::Warning(String::new()),
        Event::Notice(String::new()),
        Event::LogFile(String::new().into()),
        Event::Console(String::new()),
        Event::WorkEnded,
    ];
    let bytes = Event::Bytes {
        phase: Phase::Build,
        done: 1,
        total: None,
    };
    let nix = nix_events(1, "").into_iter().map(Event::Nix);
    nix.chain(own).chain([bytes]).collect()
}

#[test]
fn every_kind_and_field_is_documented() {
    let docs = include_str!("../../../docs/automation.md");
    let others = format!("{}\n{}", dropped_lines(1), failure(&Failure::usage("x")));
    let others = others
        .lines()
        .map(|line| sdbuild_core::untrusted::json(line).unwrap());
    for object in all().iter().map(object).chain(others) {
        let kind = format!("| `{}` |", object["event"].as_str().unwrap());
        let row = docs.lines().find(|line| line.starts_with(&kind));
        let row = row.unwrap_or_else(|| panic!("{kind} is not in docs/automation.md"));
        for field in object.as_object().unwrap().keys() {
            let common = ["version", "event", "at"].contains(&field.as_str());
            assert!(
                common || row.contains(&format!("`{field}`")),
                "{field}: {row}"
            );
        }
    }
}
