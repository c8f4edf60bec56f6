use super::*;
use crate::ui::tests::began;
use sdbuild_core::event::Event;
use sdbuild_core::nix_event::NixEvent;

const PAINT: Paint = Paint(false);
const NOW: Duration = Duration::from_secs(62);
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
