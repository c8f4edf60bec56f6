use super::*;
use crate::ui::tests::began;
use sdbuild_core::event::Event;
use sdbuild_core::nix_event::NixEvent;

const PAINT: Paint = Paint(false);
const NOW: Duration = Duration::from_secs(62);
const PLAIN: Form = Form {
    columns: None,
    paint: PAINT,
};

fn columns(columns: usize) -> Form {
    Form {
        columns: Some(columns),
        paint: PAINT,
    }
}

fn building(events: &[NixEvent]) -> State {
    let mut state = State::default();
    state.apply(&Event::Started(Phase::Build), Duration::ZERO);
    for event in events {
        state.apply(&Event::Nix(event.clone()), Duration::from_mins(1));
    }
    state
}

fn below(state: &State, columns: usize, rows: usize) -> Vec<String> {
    let size = Size { columns, rows };
    frame(state, NOW, size, PAINT).unwrap().below
}

#[test]
fn each_activity_has_a_line_with_its_time() {
    let moved = |id, done, expected| NixEvent::Moved { id, done, expected };
    let state = building(&[
        NixEvent::WillBuild { derivations: 62 },
        NixEvent::WillEmulate { derivations: 4 },
        began(1, "kernel"),
        NixEvent::FetchStarted {
            id: 2,
            path: "/nix/store/x".to_owned(),
            cache: String::new(),
        },
        moved(2, 1_000_000, 2_000_000),
        NixEvent::BuildLine {
            id: 1,
            line: "  gcc   -c\ta.c".to_owned(),
        },
        NixEvent::Built {
            done: 31,
            expected: 62,
            running: 4,
        },
        began(3, "b.deb"),
        moved(3, 1_000_000, 0),
        began(4, "bash"),
        began(5, "bash"),
    ]);
    let size = Size {
        columns: 80,
        rows: 24,
    };
    let frame = frame(&state, NOW, size, PAINT).unwrap();
    assert_eq!((frame.name, frame.percent), ("Build", Some(50)));
    let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        frame.below.iter().map(words).collect::<Vec<_>>(),
        [
            "built 31 of 62 (4 need emulation)",
            "building kernel gcc -c a.c 2 s",
            "fetching b.deb 1.0 MB 2 s",
            "building 2 × bash 2 s",
            "fetching x 1.0 of 2.0 MB 2 s",
        ]
    );
    assert_eq!(super::frame(&State::default(), NOW, size, PAINT), None);
}

#[test]
fn phases_that_follow_are_named_until_they_begin() {
    let mut state = State::default();
    let (build, image) = (Phase::Build, Phase::CopyOut);
    for event in [
        Event::ToCome(vec![Phase::Upload, build, image]),
        Event::Started(Phase::Emulation),
    ] {
        state.apply(&event, Duration::ZERO);
    }
    assert!(below(&state, 80, 24)[0].starts_with("     then Upload · Build · Image "));
    state.apply(&Event::Started(build), Duration::ZERO);
    assert!(below(&state, 80, 24)[1].starts_with("     then Upload · Image "));
    state.apply(&Event::Stopped(build, NOW, Stop::Failed), NOW);
    state.apply(&Event::Started(Phase::Release), NOW);
    assert!(below(&state, 80, 24).is_empty());
}

#[test]
fn a_boot_shows_its_stage_and_the_last_line_of_the_console() {
    let mut state = State::default();
    let mut apply = |event: Event, second| state.apply(&event, Duration::from_secs(second));
    apply(Event::Started(Phase::Boot), 0);
    apply(
        Event::Detail(Phase::Boot, "the kernel starts".to_owned()),
        40,
    );
    for line in ["[ 1.98] clk: Disabling", "[ 2.19] \tFreeing\u{1b}[2J", " "] {
        apply(Event::Console(line.to_owned()), 55);
    }
    let lines = below(&state, 80, 24);
    assert_eq!(lines[0], "     the kernel starts");
    assert!(lines[1].starts_with("     console: [ 2.19] Freeing\\u{1b}[2J "));
    assert!(lines[1].ends_with(" 7 s ago"));
    state.apply(&Event::Finished(Phase::Boot, NOW), NOW);
    state.apply(&Event::Console("late".to_owned()), NOW);
    state.apply(&Event::Started(Phase::Release), NOW);
    assert!(below(&state, 80, 24).is_empty());
}

#[test]
fn activities_without_room_are_counted() {
    let events: Vec<_> = (0..40).map(|id| began(id, &format!("p{id}"))).collect();
    let lines = |rows| below(&building(&events), 40, rows);
    assert_eq!(lines(16).len(), 7);
    assert_eq!(lines(16).last().unwrap(), "     and 35 more");
    assert_eq!((lines(2).len(), lines(1000).len()), (0, MAX_LINES - 1));
}

#[test]
fn lines_fit_the_width_and_hold_no_control_characters() {
    let line = "\u{1b}[2J漢字漢字 wide ".repeat(40);
    let mut state = building(&[
        began(1, &"n".repeat(100)),
        NixEvent::WillBuild { derivations: 9 },
        NixEvent::BuildLine { id: 1, line },
    ]);
    let copying = "copying it out of the builder\u{1b}, and compressing it";
    state.apply(&Event::Detail(Phase::Build, copying.to_owned()), NOW);
    for columns in 0..220 {
        let size = Size { columns, rows: 24 };
        let coloured = frame(&state, NOW, size, Paint(true)).unwrap().below;
        let plain = below(&state, columns, 24);
        for (line, coloured) in plain.iter().zip(&coloured) {
            let width = measure_text_width(line);
            assert!(width <= columns.saturating_sub(1), "{columns}: {line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert_eq!(&console::strip_ansi_codes(coloured), line);
        }
    }
}

#[test]
fn header_breaks_where_it_is_too_long() {
    let summary = RunSummary {
        configuration: "sd-card.nix".into(),
        system: "aarch64-linux".into(),
        engine: "Docker 28.5 on this machine".into(),
        nixpkgs: "26.05".into(),
    };
    let one = format!(
        "sdbuild {} · sd-card.nix → aarch64-linux · Docker 28.5 on this machine · nixpkgs 26.05",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(header(&summary, PLAIN), std::slice::from_ref(&one));
    assert_eq!(header(&summary, columns(120)), [one]);
    let narrow = header(&summary, columns(40));
    assert!(
        narrow.len() > 2 && narrow[1].starts_with("  "),
        "{narrow:?}"
    );
}

#[test]
fn phase_without_duration_has_no_line_on_a_terminal() {
    let phase_shown = |phase, millis, all, form| {
        let took = Duration::from_millis(millis);
        let stop = None;
        super::phase(&Ended { phase, took, stop }, Some("41 MB"), all, form)
    };
    let shown = |millis, all, form| phase_shown(Phase::Fetch, millis, all, form);
    assert!(shown(40, false, columns(40)).is_empty());
    assert_eq!(shown(40, true, columns(40)).len(), 1);
    assert_eq!(phase_shown(Phase::Verify, 40, false, columns(40)).len(), 1);
    assert!(phase_shown(Phase::Measure, 400, false, columns(40)).is_empty());
    assert_eq!(
        shown(3400, false, columns(40)),
        [" ✓ Downloads           41 MB      3.4 s"]
    );
    assert_eq!(
        shown(40, false, PLAIN),
        ["Downloads: done in 0.0 s (41 MB)"]
    );
}

#[test]
fn outcome_without_room_stands_below_its_phase() {
    let ended = Ended {
        phase: Phase::Emulation,
        took: Duration::from_millis(500),
        stop: None,
    };
    for (wide, rows) in [(40, 3), (60, 2), (80, 1)] {
        let outcome = Some("QEMU 11.1.2, registered for this run");
        let lines = super::phase(&ended, outcome, false, columns(wide));
        assert_eq!(lines.len(), rows, "{lines:?}");
        assert!(lines[0].starts_with(" ✓ Emulation ") && lines[0].ends_with(" 0.5 s"));
        assert!(lines.iter().all(|line| measure_text_width(line) < wide));
    }
}

fn done() -> ImageDone {
    ImageDone {
        shown: "out/pi.img.zst".into(),
        size: 1_100_000_000,
        raw_size: 3_400_000_000,
        raw: "on the card",
        sha256: "ab".into(),
        took: Duration::from_secs(401),
        older: vec![("old.img".to_owned(), 34_000_000)],
        next: vec![
            ("sdbuild boot".into(), "see it start"),
            ("sdbuild flash".into(), "write it to a card"),
        ],
        ..ImageDone::default()
    }
}

#[test]
fn image_is_followed_by_commands_to_go_on_with() {
    let done = done();
    assert_eq!(
        image(&done, 2, columns(80)),
        [
            "",
            " ! 2 warnings above",
            " ✓ out/pi.img.zst · 1.1 GB, 3.4 GB on the card · 6 min 41 s",
            "   an earlier image stays: old.img (34 MB)",
            "   next  sdbuild boot    see it start",
            "         sdbuild flash   write it to a card",
        ]
    );
    let hostile = ImageDone {
        shown: "a\u{1b}[2J.img".into(),
        next: vec![("sdbuild boot 'a\u{1b}[2J.img'".into(), "see it start")],
        up_to_date: true,
        older: vec![("b\u{1b}[2J".to_owned(), 1); 1],
        ..done.clone()
    };
    let lines = image(&hostile, 2, columns(80));
    assert!(!lines.concat().contains('\u{1b}'), "{lines:?}");
    assert!(lines[1].contains(" · up to date · "), "{lines:?}");
}

#[test]
fn image_without_a_terminal_is_one_line() {
    let mut done = done();
    done.older.push(done.older[0].clone());
    assert_eq!(
        image(&done, 1, PLAIN),
        [
            "image: 1.1 GB, 3.4 GB on the card · 6 min 41 s, SHA-256 ab",
            "2 earlier images stay (68 MB): `sdbuild status`",
        ]
    );
}

#[test]
fn the_result_of_a_run_has_a_mark_and_fits() {
    let done = LastLine::Done("the image boots, and you can log in over SSH · 15 s".into());
    assert_eq!(
        last_lines(&done, columns(40)),
        [
            " ✓ the image boots, and you can log in",
            "   over SSH · 15 s"
        ]
    );
    assert!(last_lines(&done, PLAIN)[0].starts_with("the image boots"));
}
