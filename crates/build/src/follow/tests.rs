use std::sync::{Arc, Mutex};

use nix::time::{ClockId, clock_gettime};
use serde_json::json;

use super::*;
use sdbuild_core::image_choice::ChosenBy;

/// The line of Nix's log with the facts of a configuration without mistakes, and `changes` to them by JSON pointer.
fn traced_line(changes: &[(&str, serde_json::Value)]) -> String {
    let mut facts: serde_json::Value =
        sdbuild_core::untrusted::json(include_str!("facts.json")).unwrap();
    for (pointer, value) in changes {
        *facts.pointer_mut(pointer).expect(pointer) = value.clone();
    }
    let message =
        json!({ "action": "msg", "level": 0, "msg": format!("trace: sdbuild: facts: {facts}") });
    format!("@nix {message}")
}

/// What is kept after a build wrote reports of its own: references that are replaced in every later line, the report, and
/// the number of warnings.
fn read_reports(awaits_flake: bool) -> (usize, Option<FlakeReport>, usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let warnings = Arc::new(Mutex::new(0));
    let count = Arc::clone(&warnings);
    let events = Events::new(move |event| {
        *count.lock().unwrap() += usize::from(matches!(event, Event::Warning(_)));
    });
    let view = LogView {
        awaits_flake,
        ..LogView::default()
    };
    let mut reader = Reader::new(&mut build_log, &events, view);
    for letter in ["a", "b", "c", "d"] {
        reader.line(&flake_report_of(letter));
    }
    let shown = reader.view.shown.len();
    reader.finish();
    let warnings = *warnings.lock().unwrap();
    (shown, reader.said.flake, warnings)
}

/// The report of a flake in a store path of this letter.
fn flake_report_of(letter: &str) -> String {
    let path = format!("/nix/store/{}-source", letter.repeat(32));
    let hash = "A".repeat(43);
    format!(
        "sdbuild: flake: {{\"source\":\"{path}\",\"expressions\":\"{path}\",\"narHash\":\"sha256-{hash}=\",\
         \"revision\":null,\"lock\":null,\"caches\":{{\"substituters\":[\"https://{letter}\"],\
         \"trusted-public-keys\":[\"k\"]}}}}"
    )
}

#[test]
fn the_detail_of_the_copying_ends_with_the_report_of_the_flake() {
    let dir = tempfile::tempdir().unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let details = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&details);
    let events = Events::new(move |event| {
        if let Event::Detail(phase, text) = event {
            sink.lock().unwrap().push((phase, text));
        }
    });
    let view = LogView {
        awaits_flake: true,
        copying_flake: Some(Phase::Evaluate),
        ..LogView::default()
    };
    let mut reader = Reader::new(&mut build_log, &events, view);
    reader.line("sdbuild: a line before it");
    assert_eq!(*details.lock().unwrap(), []);
    reader.line(&flake_report_of("a"));
    assert_eq!(*details.lock().unwrap(), [(Phase::Evaluate, String::new())]);
}

/// The container ends a second after Nix.
#[test]
fn a_build_that_has_named_its_result_says_what_remains() {
    let details = |naming_result| {
        let dir = tempfile::tempdir().unwrap();
        let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
        let details = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&details);
        let events = Events::new(move |event| {
            if let Event::Detail(Phase::Build, text) = event {
                sink.lock().unwrap().push(text);
            }
        });
        let view = LogView {
            naming_result,
            ..LogView::default()
        };
        let mut reader = Reader::new(&mut build_log, &events, view);
        reader.chunk(&OutputChunk::Stdout(b"/nix/store/".to_vec().into()));
        reader.chunk(&OutputChunk::Stdout(b"x-pi.img\n".to_vec().into()));
        drop(reader);
        details.lock().unwrap().clone()
    };
    assert_eq!(details(Some(Phase::Build)), ["stopping the builder"]);
    assert!(details(None).is_empty());
}

/// Lines of sdbuild itself are never dropped, so that a build must not cause any number of them.
#[test]
fn reports_that_a_build_forges_are_limited() {
    let dir = tempfile::tempdir().unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    let events = Events::new(move |event| {
        let of_sdbuild = !matches!(&event, Event::Nix(kind) if *kind != NixEvent::Restarted);
        *count.lock().unwrap() += usize::from(of_sdbuild);
    });
    let mut reader = Reader::new(&mut build_log, &events, LogView::default());
    for n in 0..1000 {
        for report in [
            "glue: retried",
            "glue: emulated",
            "glue: one emulated",
            "image",
            "evaluation",
        ] {
            reader.line(&format!("sdbuild: {report}: {n}"));
        }
        reader.line(&format!(
            r#"@nix {{"action":"msg","level":1,"msg":"warning: {n}"}}"#
        ));
        for (level, message) in [(3, "linux"), (3, "these 2 derivations will be built:")] {
            let path = format!("  /nix/store/{}-{message}-{n}.drv", "a".repeat(32));
            reader.line(&format!(
                r#"@nix {{"action":"msg","level":{level},"msg":"{path}"}}"#
            ));
        }
        reader.line(&format!(
            r#"@nix {{"action":"start","fields":["/nix/store/x.drv"],"id":{n},"level":3,"type":105}}"#
        ));
    }
    reader.finish();
    let told = *told.lock().unwrap();
    assert!((2 * MAX_GLUE_NOTICES..200).contains(&told), "{told}");
}

/// An evaluation is repeated, and what is built can write such lines too.
#[test]
fn the_first_choice_of_the_image_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let (sender, chosen) = std::sync::mpsc::channel();
    let events = Events::new(move |event| {
        if let Event::ImageChosen(choice) = event {
            sender.send(choice).unwrap();
        }
    });
    let mut reader = Reader::new(&mut build_log, &events, LogView::default());
    let line = |attribute: &str| {
        let choice = json!({ "attribute": attribute, "chosen_by": "user-module", "file": "a.nix" });
        let text = format!("trace: sdbuild: image choice: {choice}");
        format!(
            "@nix {}",
            json!({ "action": "msg", "level": 0, "msg": text })
        )
    };
    for attribute in ["a\u{1b}[2J", "config.system.build.image", "other"] {
        reader.line(&line(attribute));
    }
    let image = reader.said.image.clone().unwrap();
    assert_eq!(image.attribute, "config.system.build.image");
    assert_eq!(image.chosen_by, ChosenBy::UserModule);
    assert_eq!(chosen.try_iter().collect::<Vec<_>>(), [image]);
}

/// What `check` says is too long for a warning, so the command is named, once and behind all of them.
#[test]
fn warnings_of_the_configuration_end_with_a_hint_at_check() {
    let told = |changes: &[(&str, serde_json::Value)]| {
        let dir = tempfile::tempdir().unwrap();
        let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        let events = Events::new(move |event| {
            if let Event::Warning(text) | Event::Notice(text) = event {
                sender.send(text).unwrap();
            }
        });
        let mut reader = Reader::new(&mut build_log, &events, LogView::default());
        reader.line(&traced_line(changes));
        told.try_iter().collect::<Vec<_>>()
    };
    assert_eq!(told(&[]), [""; 0]);
    let zone = ("/time_zone", json!("Europe/Berln"));
    let server = ("/ssh/enable", json!(false));
    let told = told(&[zone, server]);
    let [server, zone, hint] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(
        server.contains("services.openssh.enable = false"),
        "{server}"
    );
    assert!(zone.contains("(did you mean Europe/Berlin?)"), "{zone}");
    assert_eq!(
        hint,
        "hint: `sdbuild check` says what to add to the configuration"
    );
}

/// Each was kept, and the last one was in the manifest.
#[test]
fn only_the_first_report_of_a_flake_counts() {
    let (shown, flake, warnings) = read_reports(true);
    assert!(flake.unwrap().source.contains("aaaa"));
    assert_eq!((shown, warnings), (2, 1));
    assert_eq!(read_reports(false), (0, None, 0), "of a module");
}

/// Two forecasts followed each other, and nothing said that the second one was of the retry.
#[test]
fn warnings_of_the_evaluation_can_be_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&shown);
    let events = Events::new(move |event| {
        if let Event::Warning(text) = event {
            sink.lock().unwrap().push(text);
        }
    });
    let view = LogView {
        keeps_warnings: true,
        ..LogView::default()
    };
    let mut reader = Reader::new(&mut build_log, &events, view);
    for text in ["evaluation warning: mind the gap", "warning: of Nix"] {
        reader.line(&format!(
            "@nix {}",
            json!({"action": "msg", "level": 1, "msg": text})
        ));
    }
    assert_eq!(reader.said.kept_warnings, ["mind the gap"]);
    assert_eq!(*shown.lock().unwrap(), ["of Nix"]);
}

#[test]
fn a_retry_under_emulation_is_told() {
    let told = |report: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
        let (sender, notices) = std::sync::mpsc::channel();
        let events = Events::new(move |event| {
            if let Event::Notice(text) = event {
                sender.send(text).unwrap();
            }
        });
        let mut reader = Reader::new(&mut build_log, &events, LogView::default());
        reader.line(&format!("sdbuild: glue: {report}"));
        notices.try_iter().collect::<Vec<String>>()
    };
    let notice = "builder> failed natively, trying again under emulation: picky-1.0";
    assert_eq!(told("retried: picky-1.0"), [notice]);
    assert_eq!(told("retried: the image"), [""; 0]);
}

/// How long this thread has computed, whatever else the machine does.
fn computed() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

/// A signal acts between two pieces of output: none of these lines may take long, and none may fill the memory.
#[test]
fn no_line_of_a_build_takes_a_second() {
    const LINE_BYTES: usize = 4 << 20;
    let dir = tempfile::tempdir().unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let events = Events::none();
    let mut reader = Reader::new(&mut build_log, &events, LogView::default());
    let long = |piece: &str| piece.repeat(LINE_BYTES / piece.len());
    let pieces = [
        "-----BEGIN PRIVATE KEY-----",
        "?a=",
        "://u:p@h?",
        "token=",
        "password = \"",
        "'",
    ];
    let quoted = |piece: &str| long(piece).replace('"', "\\\"");
    let messages = pieces.map(|piece| {
        format!(
            "@nix {{\"action\":\"msg\",\"level\":0,\"msg\":\"{}\"}}",
            quoted(piece)
        )
    });
    let values = ["[", "0,", "{\"a\":"].map(|piece| format!("@nix {{\"fields\":[{}", long(piece)));
    for line in pieces.map(long).iter().chain(&messages).chain(&values) {
        let began = computed();
        reader.line(line);
        let took = computed().saturating_sub(began);
        assert!(took < Duration::from_secs(1), "{line:.60}: {took:?}");
    }
}
