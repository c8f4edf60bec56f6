use super::*;
use sdbuild_core::event::Event;
use sdbuild_core::nix_event::NixEvent;

const PLAIN: Paint = Paint(false);
const NOW: Duration = Duration::from_secs(62);

fn building(events: &[NixEvent]) -> State {
    let mut state = State::default();
    state.apply(&Event::Started(Phase::Build), Duration::ZERO);
    for event in events {
        state.apply(&Event::Nix(event.clone()), Duration::from_secs(60));
    }
    state
}

fn began(id: u64, name: &str) -> NixEvent {
    let derivation = format!("/nix/store/{}-{name}.drv", "a".repeat(32));
    NixEvent::BuildStarted {
        id,
        derivation,
        machine: String::new(),
    }
}

fn moved(id: u64, done: u64, expected: u64) -> NixEvent {
    NixEvent::Moved { id, done, expected }
}

fn below(state: &State, columns: usize, rows: usize) -> Vec<String> {
    let size = Size { columns, rows };
    frame(state, NOW, size, PLAIN).unwrap().below
}

/// Two builds and a download in progress.
fn busy() -> State {
    let line = "  gcc   -c\ta.c".to_owned();
    let path = "/nix/store/x".to_owned();
    let phase = "buildPhase".to_owned();
    building(&[
        NixEvent::WillBuild { derivations: 62 },
        NixEvent::WillEmulate { derivations: 4 },
        began(1, "kernel"),
        NixEvent::FetchStarted {
            id: 2,
            path,
            cache: String::new(),
        },
        moved(2, 1_000_000, 2_000_000),
        NixEvent::BuildPhase { id: 1, phase },
        NixEvent::BuildLine { id: 1, line },
        NixEvent::Built {
            done: 31,
            expected: 62,
            running: 2,
        },
        began(3, "b.deb"),
        moved(3, 1_000_000, 0),
    ])
}

#[test]
fn each_activity_has_a_line_with_its_time() {
    let size = Size {
        columns: 80,
        rows: 24,
    };
    assert_eq!(
        frame(&busy(), NOW, size, PLAIN),
        Some(Frame {
            name: "Build",
            elapsed: NOW,
            percent: Some(50),
            below: [
                "     built 31 of 62 (4 need emulation)",
                "     building kernel                      buildPhase      gcc -c a.c        2 s",
                "     fetching b.deb                                       1.0 MB            2 s",
                "     fetching x                                           1.0 of 2.0 MB     2 s",
            ]
            .map(str::to_owned)
            .to_vec(),
        })
    );
    assert_eq!(
        below(&busy(), 40, 24)[1..],
        [
            "     building kernel  gcc -c a.c    2 s",
            "     fetching b.deb  1.0 MB         2 s",
            "     fetching x   1.0 of 2.0 MB     2 s",
        ]
    );
    assert_eq!(frame(&State::default(), NOW, size, PLAIN), None);
}

/// They are below the name of the running one, so that they stay where they are.
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
    let names = "     then Upload · Build · Image";
    let so_far = "in all: 1 min 02 s so far";
    assert_eq!(below(&state, 80, 24), [format!("{names:<54}{so_far}")]);
    assert!(below(&state, 80, 7).is_empty());
    state.apply(&Event::Started(build), Duration::ZERO);
    assert!(below(&state, 80, 24)[0].starts_with("     then Upload · Image"));
    let failed = Event::Stopped(build, NOW, sdbuild_core::event::Stop::Failed);
    state.apply(&failed, NOW);
    state.apply(&Event::Started(Phase::Release), NOW);
    assert!(below(&state, 80, 24).is_empty());
}

/// Names that differ in their ends only, and no builder's phase beside them.
#[test]
fn names_have_the_width_that_there_is() {
    let name = "systemd-minimal-libs-257.10-unstable-2026-05-05";
    let state = building(&[began(1, name)]);
    assert!(below(&state, 100, 24)[1].contains(name));
    let line = "unpacking source archive".to_owned();
    let state = building(&[began(1, name), NixEvent::BuildLine { id: 1, line }]);
    let cut = " systemd-minimal-libs-257.10-unstable-2026-05-…  unpacking so… 2 s";
    assert!(below(&state, 80, 24)[1].contains(cut));
}

#[test]
fn a_boot_shows_its_stage_and_the_last_line_of_the_console() {
    let mut state = State::default();
    let mut apply = |event: Event, second| state.apply(&event, Duration::from_secs(second));
    apply(Event::Started(Phase::Boot), 0);
    let detail = "the kernel starts · until a login, 180 s at most";
    apply(Event::Detail(Phase::Boot, detail.to_owned()), 40);
    for line in [
        "[ 1.98] clk: Disabling",
        "[ 2.19] \tFreeing memory\u{1b}[2J",
        " ",
    ] {
        apply(Event::Console(line.to_owned()), 55);
    }
    let console = "     console: [ 2.19] Freeing memory\\u{1b}[2J";
    assert_eq!(
        below(&state, 80, 24),
        [
            "     the kernel starts                                                 for 22 s"
                .to_owned(),
            "     until a login, 180 s at most".to_owned(),
            format!("{console:<72}7 s ago"),
        ]
    );
    state.apply(&Event::Finished(Phase::Boot, NOW), NOW);
    state.apply(&Event::Console("late".to_owned()), NOW);
    state.apply(&Event::Started(Phase::Release), NOW);
    assert!(below(&state, 80, 24).is_empty());
}

/// Derivations for this machine and for the board often have one name.
#[test]
fn builds_of_one_name_have_one_line() {
    let state = building(&[began(1, "bash"), began(2, "vim"), began(3, "bash")]);
    assert_eq!(
        below(&state, 40, 24)[1..],
        [
            "     building 2 × bash              2 s",
            "     building vim                   2 s",
        ]
    );
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
    let mut events = vec![began(1, &"n".repeat(100))];
    events.push(NixEvent::WillBuild { derivations: 9 });
    events.push(NixEvent::BuildLine { id: 1, line });
    let mut state = building(&events);
    let copying = "copying it out of the builder\u{1b}, and compressing it";
    state.apply(&Event::Detail(Phase::Build, copying.to_owned()), NOW);
    for columns in 0..220 {
        let size = Size { columns, rows: 24 };
        let coloured = frame(&state, NOW, size, Paint(true)).unwrap().below;
        let plain = below(&state, columns, 24);
        for (line, coloured) in plain.iter().zip(&coloured) {
            assert!(
                measure_text_width(line) <= columns.saturating_sub(1),
                "{columns}: {line}"
            );
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert_eq!(&console::strip_ansi_codes(coloured), line);
        }
    }
}

#[test]
fn a_narrow_terminal_breaks_between_counts() {
    let mut state = State::default();
    let phase = Phase::CopyOut;
    state.apply(&Event::Started(phase), Duration::ZERO);
    let text = "copying it out of the builder".to_owned();
    state.apply(&Event::Detail(phase, text), Duration::ZERO);
    let (done, total) = (62_000_000, Some(100_000_000));
    state.apply(&Event::Bytes { phase, done, total }, NOW);
    assert_eq!(
        below(&state, 40, 24),
        [
            "     copying it out of the builder",
            "       62 of 100 MB · 1.0 MB/s"
        ]
    );
}
