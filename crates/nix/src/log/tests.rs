use super::*;
use proptest::prelude::*;
use sdbuild_core::nix_event::StepUnit;

const BUILD: &str = r#"@nix {"action":"start","fields":["/nix/store/xbq6-t-50.drv","",1,1],"id":42949672966,"level":3,"parent":0,"text":"building '/nix/store/xbq6-t-50.drv'","type":105}"#;

#[test]
fn parses_a_build_from_start_to_end() {
    let mut log = Log::default();
    let (id, machine) = (42_949_672_966, String::new());
    let derivation = "/nix/store/xbq6-t-50.drv".to_owned();
    let result = |text: &str, kind: u8| {
        format!(r#"@nix {{"action":"result","fields":["{text}"],"id":{id},"type":{kind}}}"#)
    };
    let (phase, line) = ("buildPhase".to_owned(), "hello from aarch64".to_owned());
    for (text, event) in [
        (
            BUILD.to_owned(),
            NixEvent::BuildStarted {
                id,
                derivation,
                machine,
            },
        ),
        (
            result("buildPhase", 104),
            NixEvent::BuildPhase { id, phase },
        ),
        (
            result(r"hello \u001b[31mfrom aarch64", 101),
            NixEvent::BuildLine { id, line },
        ),
        (
            format!(r#"@nix {{"action":"stop","id":{id}}}"#),
            NixEvent::Stopped { id },
        ),
    ] {
        assert_eq!(log.line(&text), Some(event), "{text}");
    }
}

/// A build on a remote builder was reported, listed and counted twice.
#[test]
fn a_build_on_a_remote_builder_is_one_build() {
    let mut log = Log::default();
    let stream = include_str!("../../../../tests/streams/builder-lost.log");
    let events: Vec<_> = stream.lines().filter_map(|line| log.line(line)).collect();
    let started = |event: &&NixEvent| matches!(event, NixEvent::BuildStarted { .. });
    let mut builds = events.iter().filter(started);
    let Some(NixEvent::BuildStarted { id, machine, .. }) = builds.next() else {
        panic!("{events:?}")
    };
    assert_eq!(machine, "ssh-ng://root@pi.lan");
    assert_eq!(builds.next(), None);
    let line = "begun".to_owned();
    assert!(
        events.contains(&NixEvent::BuildLine { id: *id, line }),
        "{events:?}"
    );
    let stops = events
        .iter()
        .filter(|event| **event == NixEvent::Stopped { id: *id });
    assert_eq!(stops.count(), 1);
    let is_count = |expected| {
        let count = |event: &&NixEvent| matches!(event, NixEvent::Built { expected: e, .. } if *e == expected);
        events.iter().filter(count).count()
    };
    assert_eq!((is_count(1) > 0, is_count(2)), (true, 0));
}

/// Nix names the inputs of a flake as `flake.nix` and the lock have them.
#[test]
fn passwords_of_addresses_reach_no_event() {
    let mut log = Log::default();
    let url = "https://me:secret@h.example/a?token=secret";
    let lines = [
        format!("warning: unable to download '{url}'"),
        format!(r#"@nix {{"action":"msg","level":0,"msg":"error: {url}","raw_msg":"at {url}"}}"#),
        format!(
            r#"@nix {{"action":"start","id":1,"level":4,"parent":0,"text":"fetching {url}","type":101}}"#
        ),
        BUILD.to_owned(),
        format!(r#"@nix {{"action":"result","fields":["{url}"],"id":42949672966,"type":101}}"#),
    ];
    for line in lines {
        let event = log.line(&line);
        let shown = format!("{event:?} {:?}", log.take_error());
        assert!(event.is_some() && !shown.contains("secret"), "{shown}");
        assert!(line == BUILD || shown.contains("//***@h.example/a?token=***"));
    }
}

#[test]
fn counts_come_from_the_activities_that_count() {
    let mut log = Log::default();
    for (id, kind) in [(3, activity::BUILDS), (4, activity::COPY_PATHS)] {
        let line =
            format!(r#"@nix {{"action":"start","id":{id},"level":0,"text":"","type":{kind}}}"#);
        assert_eq!(log.line(&line), None);
    }
    let progress =
        |id| format!(r#"@nix {{"action":"result","fields":[2,7,1,0],"id":{id},"type":105}}"#);
    let (done, expected, running) = (2, 7, 1);
    let built = NixEvent::Built {
        done,
        expected,
        running,
    };
    assert_eq!(log.line(&progress(3)), Some(built));
    assert_eq!(log.line(&progress(3)), None, "repeated counts are dropped");
    assert_eq!(
        log.line(&progress(4)),
        Some(NixEvent::Fetched { done, expected })
    );
    assert_eq!(log.line(&progress(5)), None);
    log.line(r#"@nix {"action":"stop","id":3}"#);
    assert_eq!(log.line(&progress(3)), None);
}

#[test]
fn parses_the_forecast() {
    let event_of = |text: &str| {
        let line = format!(r#"@nix {{"action":"msg","level":3,"msg":"{text}"}}"#);
        Log::default().line(&line).unwrap()
    };
    let build = |derivations| NixEvent::WillBuild { derivations };
    let fetch = |paths, download, unpacked| NixEvent::WillFetch {
        paths,
        download,
        unpacked,
    };
    for (text, event) in [
        ("these 72 derivations will be built:", build(72)),
        ("this derivation will be built:", build(1)),
        (
            "these 3 paths will be fetched (1.25 MiB download, 2.50 GiB unpacked):",
            fetch(3, 1_310_720, 2_684_354_560),
        ),
        (
            "this path will be fetched (0.00 MiB download, 0.5 KiB unpacked):",
            fetch(1, 0, 512),
        ),
    ] {
        assert_eq!(event_of(text), event, "{text}");
    }
    for odd in [
        "these many derivations will be built:",
        "these 99999999999999999999 derivations will be built:",
        "these 3 paths will be fetched (1.2x MiB download, 1 B unpacked):",
        "these 3 paths will be fetched (99999999999999999 TiB download, 1 B unpacked):",
    ] {
        let text = odd.to_owned();
        assert_eq!(event_of(odd), NixEvent::Message { level: 3, text });
    }
    let mut log = Log::default();
    let emulated = log.line("sdbuild: to emulate: 15");
    assert_eq!(emulated, Some(NixEvent::WillEmulate { derivations: 15 }));
    let other = "sdbuild: to emulate: some";
    assert_eq!(log.line(other), Some(NixEvent::Other(other.into())));
}

/// The events of a recorded stream.
fn events(stream: &str) -> Vec<NixEvent> {
    let mut log = Log::default();
    stream.lines().filter_map(|line| log.line(line)).collect()
}

#[test]
fn parses_a_recorded_download_from_a_cache() {
    let events = events(include_str!("../../../../tests/streams/substitute.log"));
    let path = "/nix/store/5zj80pxigx45sc90rz2flb67z101r7pb-one".to_owned();
    let (id, cache) = (455_266_533_382, "file:///tmp/cache".to_owned());
    let (paths, download, unpacked, done, expected) = (1, 0, 0, 1, 1);
    let mut remaining = events.iter();
    for one in [
        NixEvent::WillFetch {
            paths,
            download,
            unpacked,
        },
        NixEvent::ToDownload { bytes: 128 },
        NixEvent::FetchStarted { id, path, cache },
        NixEvent::Stopped { id },
        NixEvent::Fetched { done, expected },
    ] {
        assert!(
            remaining.any(|event| *event == one),
            "{one:?} in {events:?}"
        );
    }
}

#[test]
fn parses_a_recorded_download_within_a_build() {
    let events = events(include_str!("../../../../tests/streams/hash-mismatch.log"));
    let moved = NixEvent::Moved {
        id: 201_863_462_917,
        done: 81,
        expected: 81,
    };
    assert_eq!(events.iter().filter(|event| **event == moved).count(), 1);
}

#[test]
fn a_trace_is_no_error() {
    let mut log = Log::default();
    let line = r#"@nix {"action":"msg","level":0,"msg":"trace: evaluation warning: mind the gap"}"#;
    assert!(matches!(log.line(line), Some(NixEvent::Message { .. })));
    assert_eq!(log.take_error(), None);
}

#[test]
fn an_error_has_its_position() {
    let mut log = Log::default();
    let line = r#"@nix {"action":"msg","column":4,"file":"«string»:1:4","level":0,"line":1,"msg":"\u001b[31;1merror:\u001b[0m syntax error\n at x","raw_msg":"syntax error"}"#;
    let text = "error: syntax error\n at x".to_owned();
    let (level, file, summary) = (0, "«string»".to_owned(), "syntax error".to_owned());
    let event = NixEvent::Message {
        level,
        text: text.clone(),
    };
    assert_eq!(log.line(line), Some(event));
    let position = Some(Position {
        file,
        line: 1,
        column: 4,
    });
    assert_eq!(
        log.take_error(),
        Some(NixError {
            summary,
            text,
            position
        })
    );
    assert_eq!(log.take_error(), None);
}

#[test]
fn a_position_has_an_offset_in_the_text() {
    let offset = |line, column| {
        let file = String::new();
        Position { file, line, column }.offset("ab\ncd")
    };
    assert_eq!(offset(1, 1), Some(0));
    assert_eq!(offset(2, 2), Some(4));
    assert_eq!(offset(2, 3), Some(5), "the end");
    assert_eq!(offset(2, 4), None);
    assert_eq!(offset(2, 0), None, "Nix knows no column");
    assert_eq!(offset(0, 1), None);
}

#[test]
fn unknown_lines_are_text() {
    let mut log = Log::default();
    for line in [
        "GC Warning: x",
        "@nix",
        "@nix {",
        "@nix []",
        r#"@nix {"action":"dance"}"#,
        r#"@nix {"action":"msg","msg":7}"#,
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
        log.line(r#"@nix {"action":"msg","level":99999}"#),
        Some(NixEvent::Message {
            level: 255,
            text: String::new()
        })
    );
    let deep = format!("@nix {}", "[".repeat(100_000));
    assert!(matches!(log.line(&deep), Some(NixEvent::Other(_))));
}

#[test]
fn names_of_builds_and_downloads_are_truncated() {
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
fn the_table_of_activities_is_limited() {
    let mut log = Log::default();
    for id in 0..(MAX_ACTIVITIES as u64 + 10) {
        log.line(&format!(
            r#"@nix {{"action":"start","id":{id},"type":105}}"#
        ));
    }
    assert_eq!(log.activities.len(), 10, "cleared once");
}

proptest! {
    #[test]
    fn never_panics(lines in proptest::collection::vec("(?s)(@nix )?.{0,200}", 0..8)) {
        let mut log = Log::default();
        for line in lines {
            let event = log.line(&line);
            is_harmless(event.as_ref(), &log, &line)?;
        }
    }

    #[test]
    fn never_panics_on_nearly_valid_lines(
        action in "(msg|start|stop|result)", id in any::<i64>(), kind in 95..115i64,
        fields in proptest::collection::vec(prop_oneof!["\"[a-z]{0,3}\"", "-?[0-9]{1,20}", Just("null".to_owned())], 0..5),
    ) {
        let fields = fields.join(",");
        let line = format!(r#"@nix {{"action":"{action}","id":{id},"type":{kind},"fields":[{fields}],"level":{kind},"text":"t\u001b[2J","msg":"m\u001b]0;x","raw_msg":"\u001bc"}}"#);
        let mut log = Log::default();
        for _ in 0..2 {
            let event = log.line(&line);
            is_harmless(event.as_ref(), &log, &line)?;
            log.take_error();
        }
    }
}

/// No text controls a terminal, and none is much longer than its source.
fn is_harmless(event: Option<&NixEvent>, log: &Log, line: &str) -> Result<(), TestCaseError> {
    let shown = format!("{event:?}{:?}", log.error);
    prop_assert!(!shown.contains("\\u{1b}"), "{shown}");
    // An error contains the text twice, and each character may be written as an escape.
    prop_assert!(shown.len() <= 400 + 3 * 10 * line.len(), "{shown}");
    prop_assert!(log.activities.len() <= 1);
    Ok(())
}

#[test]
fn a_step_belongs_to_the_build_with_its_name() {
    let mut log = Log::default();
    let hash = "a".repeat(32);
    let started = |id: u64, name: &str| {
        format!(
            r#"@nix {{"action":"start","fields":["/nix/store/{hash}-{name}.drv"],"id":{id},"level":3,"type":105}}"#
        )
    };
    log.line(&started(1, "ext4-fs.img"));
    log.line(&started(2, "other-ext4-fs.img"));
    let line = "sdbuild: step: ext4-fs.img.drv paths 5 9";
    assert_eq!(
        log.line(line),
        Some(NixEvent::Step {
            id: 1,
            unit: StepUnit::Paths,
            done: 5,
            expected: 9,
        })
    );
    log.line(r#"@nix {"action":"stop","id":1}"#);
    assert_eq!(log.line(line), None);
}

/// It was shown and counted as a warning.
#[test]
fn waiting_for_another_process_is_no_warning() {
    let text = "waiting for lock on '/nix/store/x.lock'".to_owned();
    let start = format!(
        r#"@nix {{"action":"start","id":9,"level":1,"parent":0,"text":"{text}","type":111}}"#
    );
    let event = Log::default().line(&start);
    assert_eq!(event, Some(NixEvent::Message { level: 3, text }));
}
