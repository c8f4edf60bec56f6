use super::*;
use sdbuild_core::event::{Event, Phase, Stop};
use sdbuild_core::nix_event::NixEvent;

const PLAIN: Paint = Paint(false);

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

fn shown(state: &State, columns: usize, rows: usize) -> Vec<String> {
    let size = Size { columns, rows };
    frame(state, Duration::from_secs(62), size, PLAIN)
}

/// A build and two downloads in progress.
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
fn view_is_empty_between_phases() {
    assert!(shown(&State::default(), 80, 24).is_empty());
}

#[test]
fn each_activity_has_a_line_with_its_time() {
    assert_eq!(
        shown(&busy(), 80, 24),
        [
            " ⠦ Build               ━━━━━━━━━━━━━━━━━━╸──────────────────  50 %   1 min 02 s",
            "     built 31 of 62 (4 need emulation)",
            "     building kernel                      buildPhase      gcc -c a.c        2 s",
            "     fetching b.deb                                       1.0 MB            2 s",
            "     fetching x                                           1.0 of 2.0 MB     2 s",
        ]
    );
}

#[test]
fn narrow_terminal_shows_what_fits() {
    assert_eq!(
        shown(&busy(), 40, 24),
        [
            " ⠦ Build  ━━━━━─────  50 %   1 min 02 s",
            "     built 31 of 62 (4 need emulation)",
            "     building kernel  gcc -c a.c    2 s",
            "     fetching b.deb  1.0 MB         2 s",
            "     fetching x   1.0 of 2.0 MB     2 s",
        ]
    );
}

/// They are below the name of the running one, so that they stay where they are.
#[test]
fn phases_that_follow_are_named_until_they_begin() {
    let mut state = State::default();
    let mut apply = |event: Event| state.apply(&event, Duration::from_secs(60));
    let (build, image) = (Phase::Build, Phase::CopyOut);
    apply(Event::ToCome(vec![Phase::Upload, build, image]));
    apply(Event::Started(Phase::Emulation));
    let wide = shown(&state, 80, 24);
    let time = "in all: 1 min 02 s so far";
    let names = "     then Upload · Build · Image";
    assert_eq!(wide[1..], [format!("{names:<54}{time}")]);
    assert_eq!(shown(&state, 80, 7).len(), 1);
    state.apply(&Event::Started(Phase::Upload), Duration::from_secs(61));
    state.apply(&Event::Started(build), Duration::from_secs(61));
    let told = shown(&state, 80, 24);
    assert_eq!(
        told[1..],
        [
            format!("{:<54}{time}", "     then Image"),
            "     evaluating the configuration".to_owned()
        ]
    );
    let failed = Event::Stopped(build, Duration::from_secs(1), Stop::Failed);
    state.apply(&failed, Duration::from_secs(62));
    state.apply(&Event::Started(Phase::Release), Duration::from_secs(62));
    assert_eq!(shown(&state, 80, 24).len(), 1);
}

/// Names that differ in their ends only, and no builder's phase beside them.
#[test]
fn names_have_the_width_that_there_is() {
    let name = "systemd-minimal-libs-257.10-unstable-2026-05-05";
    let state = building(&[began(1, name)]);
    assert!(shown(&state, 100, 24)[2].contains(name));
    let phase = "unpackPhase".to_owned();
    let unpacks = NixEvent::BuildPhase { id: 1, phase };
    let line = "unpacking source archive".to_owned();
    let state = building(&[began(1, name), unpacks, NixEvent::BuildLine { id: 1, line }]);
    let row = |columns| shown(&state, columns, 24).remove(2);
    let whole = format!(" {name}       unpacking source archive    2 s");
    assert!(row(100).contains(&whole), "{}", row(100));
    let cut = " systemd-minimal-libs-257.10-unstable-2026-05-…  unpacking so… 2 s";
    assert!(row(80).contains(cut), "{}", row(80));
}

/// A machine that boots for a minute, and has written its last line seven seconds ago.
fn booting() -> State {
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
    state
}

#[test]
fn a_boot_shows_its_stage_and_the_last_line_of_the_console() {
    assert_eq!(
        shown(&booting(), 80, 24),
        [
            " ⠦ Boot                                                              1 min 02 s",
            "     the kernel starts                                                 for 22 s",
            "     until a login, 180 s at most",
            "     console: [ 2.19] Freeing memory\\u{1b}[2J                           7 s ago",
        ]
    );
    assert_eq!(
        shown(&booting(), 40, 24),
        [
            " ⠦ Boot                      1 min 02 s",
            "     the kernel starts         for 22 s",
            "     until a login, 180 s at most",
            "     console: [ 2.19] Freeing … 7 s ago",
        ]
    );
    assert_eq!(shown(&booting(), 80, 5).len(), 2);
    assert_eq!(shown(&booting(), 80, 2).len(), 1);
}

#[test]
fn a_console_is_shown_only_while_its_machine_boots() {
    let mut state = booting();
    let ended = Event::Finished(Phase::Boot, Duration::from_secs(1));
    state.apply(&ended, Duration::from_secs(62));
    state.apply(&Event::Console("late".to_owned()), Duration::from_secs(62));
    state.apply(&Event::Started(Phase::Release), Duration::from_secs(62));
    assert_eq!(shown(&state, 80, 24).len(), 1);
}

/// Derivations for this machine and for the board often have one name.
#[test]
fn builds_of_one_name_have_one_line() {
    let state = building(&[began(1, "bash"), began(2, "vim"), began(3, "bash")]);
    assert_eq!(
        shown(&state, 40, 24)[2..],
        [
            "     building 2 × bash              2 s",
            "     building vim                   2 s",
        ]
    );
}

#[test]
fn activities_without_room_are_counted() {
    let events: Vec<_> = (0..40).map(|id| began(id, &format!("p{id}"))).collect();
    let lines = shown(&building(&events), 40, 16);
    assert_eq!(lines.len(), 8);
    assert_eq!(lines.last().unwrap(), "     and 35 more");
    assert_eq!(shown(&building(&events), 80, 2).len(), 1);
    assert_eq!(shown(&building(&events), 80, 1000).len(), MAX_LINES);
}

#[test]
fn bar_is_full_only_at_the_end() {
    let bar = |share: u64| {
        let mut state = building(&[NixEvent::WillBuild { derivations: 100 }]);
        let built = NixEvent::Built {
            done: share,
            expected: 100,
            running: 0,
        };
        state.apply(&Event::Nix(built), Duration::from_secs(62));
        shown(&state, 80, 24).remove(0)
    };
    assert!(
        bar(0).contains("  0 %") && !bar(0).contains('━'),
        "{}",
        bar(0)
    );
    assert!(
        bar(1).contains("  1 %") && bar(1).contains('╸'),
        "{}",
        bar(1)
    );
    assert!(bar(100).contains(" 99 %"), "{}", bar(100));
}

#[test]
fn lines_fit_the_width_and_hold_no_control_characters() {
    let line = "\u{1b}[2J漢字漢字 wide ".repeat(40);
    let mut events = vec![began(1, &"n".repeat(100))];
    events.push(NixEvent::WillBuild { derivations: 9 });
    events.push(NixEvent::BuildLine { id: 1, line });
    let state = building(&events);
    for columns in 0..220 {
        for line in shown(&state, columns, 24) {
            assert!(
                measure_text_width(&line) <= columns.saturating_sub(1),
                "{columns}: {line}"
            );
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn colours_change_no_character() {
    for columns in [20, 40, 80, 200] {
        let size = Size { columns, rows: 24 };
        let at = Duration::from_secs(62);
        let coloured = frame(&busy(), at, size, Paint(true)).join("\n");
        assert!(coloured.contains("\u{1b}["));
        let plain = console::strip_ansi_codes(&coloured);
        assert_eq!(plain, shown(&busy(), columns, 24).join("\n"));
    }
}

#[test]
fn narrow_terminal_breaks_what_it_has_no_room_for() {
    let mut state = State::default();
    let copying = "copying it out of the builder, and compressing it";
    let second = Duration::from_secs(1);
    state.apply(&Event::Started(Phase::CopyOut), second);
    state.apply(&Event::Detail(Phase::CopyOut, copying.to_owned()), second);
    let text = |state: &State| {
        let lines = shown(state, 40, 24);
        assert!(lines.iter().all(|line| measure_text_width(line) < 40));
        lines
            .join(" ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(text(&state).contains(copying), "{}", text(&state));
    let mut boot = State::default();
    boot.apply(&Event::Started(Phase::Boot), second);
    let loading = "U-Boot is looking for a system · until a login, 300 s at most";
    boot.apply(&Event::Detail(Phase::Boot, loading.to_owned()), second * 57);
    let told = text(&boot);
    assert!(
        told.contains("U-Boot is looking for a system for 5 s until"),
        "{told}"
    );
}
