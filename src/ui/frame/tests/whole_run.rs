//! The time of the whole run, and how the view uses the width.

use super::*;

/// An image that is copied since the second 60 in a run that goes on with a boot, if the last run's times are known for 10 s more.
fn copying(known: &[(Phase, u64)]) -> State {
    let mut state = State::default();
    let earlier = EarlierBuilds {
        phases: known.iter().copied().collect(),
        ..EarlierBuilds::default()
    };
    let mut apply = |event: Event, second| state.apply(&event, Duration::from_secs(second));
    apply(Event::EarlierBuilds(earlier), 0);
    apply(Event::Started(Phase::Build), 1);
    apply(Event::Finished(Phase::Build, Duration::from_secs(59)), 60);
    let to_come = [Phase::CopyOut, Phase::Boot, Phase::PowerOff];
    apply(Event::ToCome(to_come.to_vec()), 60);
    apply(Event::Started(Phase::CopyOut), 60);
    let detail = "copying it out of the builder".to_owned();
    apply(Event::Detail(Phase::CopyOut, detail), 60);
    state
}

const KNOWN: [(Phase, u64); 3] = [
    (Phase::CopyOut, 12_000),
    (Phase::Boot, 16_000),
    (Phase::PowerOff, 3_000),
];

#[test]
fn the_time_of_all_phases_stands_beside_those_that_follow() {
    let (known, first) = (copying(&KNOWN), copying(&[]));
    let time = "in all: 1 min 02 s so far, about 30 s left";
    assert_eq!(
        shown(&known, 80, 24)[1],
        format!("{:<37}{time}", "     then Boot · Switch off")
    );
    let told = shown(&first, 80, 24).remove(1);
    assert!(told.ends_with("    in all: 1 min 02 s so far"), "{told}");
    // Without its name it has room on narrow terminals.
    let time = "1 min 02 s so far, about 30 s left";
    for columns in [40, 49] {
        let rows = shown(&known, columns, 24);
        let width = columns - 1;
        let rest = rows[1..3].join("\n");
        assert_eq!(rest, format!("     then Boot · Switch off\n{time:>width$}"));
    }
    assert!(shown(&first, 40, 24)[2].ends_with("  1 min 02 s so far"));
    // The elapsed time is left out first.
    assert!(shown(&known, 36, 24)[2].ends_with("  about 30 s left"));
}

/// Nothing follows, but much came before.
#[test]
fn the_last_phase_shows_the_time_of_all() {
    let mut state = copying(&KNOWN);
    state.apply(&Event::ToCome(Vec::new()), Duration::from_secs(61));
    let last = shown(&state, 80, 24);
    let time = "in all: 1 min 02 s so far, about 10 s left";
    assert!(last[2].ends_with(time), "{last:?}");
    assert_eq!(last[2].len(), 79);
    state.apply(&Event::Started(Phase::Release), Duration::from_secs(61));
    assert_eq!(shown(&state, 80, 24).len(), 1, "that is no work");
}

/// Two of them would be read as a contradiction.
#[test]
fn the_time_left_of_the_whole_run_stands_for_that_of_the_phase() {
    let mut state = State::default();
    let earlier = EarlierBuilds {
        phases: KNOWN.iter().copied().collect(),
        ..EarlierBuilds::default()
    };
    let mut apply = |event: Event, second| state.apply(&event, Duration::from_secs(second));
    apply(Event::EarlierBuilds(earlier), 0);
    apply(Event::ToCome(vec![Phase::PowerOff]), 50);
    apply(Event::Started(Phase::Boot), 60);
    let detail = "the kernel starts · until a login over SSH succeeds, 180 s at most";
    apply(Event::Detail(Phase::Boot, detail.to_owned()), 60);
    state.tick(Duration::from_secs(62));
    let wide = shown(&state, 100, 24);
    assert!(wide[0].contains(" 12 % "), "{wide:?}");
    assert!(wide[2].ends_with(" for 2 s"), "{wide:?}");
    assert!(wide[1].ends_with(", about 15 s left"), "{wide:?}");
    assert!(wide[3].ends_with(" 180 s at most"), "{wide:?}");
    let narrow = shown(&state, 40, 24);
    assert_eq!(narrow[5..], ["       180 s at most"], "{narrow:?}");
    let late = Duration::from_secs(90);
    state.tick(late);
    let size = Size {
        columns: 100,
        rows: 24,
    };
    let late = frame(&state, late, size, PLAIN);
    assert!(
        late[3].ends_with("longer than last time (16 s)"),
        "{late:?}"
    );
}

#[test]
fn a_wide_terminal_shows_whole_names_and_log_lines() {
    let name = "linux-image-6.12.117+deb13-cloud-arm64_6.12.117-1_arm64.deb";
    let line = "checking for a program that has a very long name of its own... yes".to_owned();
    let phase = "buildPhase".to_owned();
    let state = building(&[
        began(1, name),
        NixEvent::BuildPhase { id: 1, phase },
        NixEvent::BuildLine {
            id: 1,
            line: line.clone(),
        },
    ]);
    let row = shown(&state, 200, 24).remove(2);
    assert!(row.contains(name) && row.contains(&line), "{row}");
    assert!(
        measure_text_width(&row) == 199 && row.ends_with(" 2 s"),
        "{row}"
    );
}

#[test]
fn a_sentence_breaks_behind_a_comma() {
    let text = "until a login over SSH succeeds, 180 s at most";
    assert_eq!(
        sentence_lines(text, 34, 34),
        [
            "     until a login over SSH succeeds,",
            "       180 s at most"
        ]
    );
    assert_eq!(
        sentence_lines("copying it out of the builder, and", 20, 34),
        ["     copying it out of", "       the builder, and"]
    );
}

/// Whoever waits sees whether it takes longer than usual, and no estimate that has come and gone.
#[test]
fn a_derivation_that_is_late_has_the_time_that_it_took_before() {
    let times = [
        ("slow".to_owned(), 40_000.into()),
        ("etc".to_owned(), 900.into()),
    ];
    let with = |began_at: u64, names: &[&str]| {
        let mut state = State::default();
        let mut apply = |event: Event, second| state.apply(&event, Duration::from_secs(second));
        let earlier = EarlierBuilds {
            times: times.clone().into_iter().collect(),
            ..EarlierBuilds::default()
        };
        apply(Event::EarlierBuilds(earlier), 0);
        apply(Event::ToCome(vec![Phase::CopyOut]), 0);
        apply(Event::Started(Phase::Build), 0);
        for (id, name) in (1..).zip(names) {
            apply(Event::Nix(began(id, name)), began_at);
        }
        shown(&state, 100, 24)
    };
    let late = with(15, &["slow", "etc"]);
    assert!(
        late[1].ends_with("  in all: 1 min 02 s so far, longer than last time"),
        "{late:?}"
    );
    assert!(late[3].ends_with("  47 s, last time 40 s"), "{late:?}");
    assert!(late[4].ends_with("  47 s"), "{late:?}");
    let new = with(50, &["blink"]);
    assert!(
        new[1].ends_with("  in all: 1 min 02 s so far, time left unknown"),
        "{new:?}"
    );
    let usual = with(50, &["slow"]);
    assert!(
        usual[1].ends_with("  in all: 1 min 02 s so far"),
        "{usual:?}"
    );
    assert!(usual[3].ends_with("  12 s, last time 40 s"), "{usual:?}");
}
