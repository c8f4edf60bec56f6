mod share;
mod time_left;

use super::activities::MAX_ACTIVE;
use super::*;
use crate::common::nix_event::StepUnit;
use crate::ui::progress;

const SECOND: Duration = Duration::from_secs(1);

fn state(events: &[NixEvent]) -> State {
    let mut state = State::default();
    state.apply(&Event::Started(Phase::Build), Duration::ZERO);
    for (at, event) in (1..).zip(events) {
        state.apply(&Event::Nix(event.clone()), SECOND * at);
    }
    state
}

fn build(id: u64) -> NixEvent {
    let derivation = format!("/nix/store/{}-p{id}.drv", "a".repeat(32));
    NixEvent::BuildStarted {
        id,
        derivation,
        machine: String::new(),
    }
}

/// A state that knows that a derivation took 40 s before. All derivations of these tests have the same name but for its number.
fn with_earlier_time() -> State {
    let mut state = State::default();
    let earlier = EarlierBuilds {
        times: crate::common::build_shares::BuildTimes::from([("p0".to_owned(), 40_000.into())]),
        ..EarlierBuilds::default()
    };
    state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
    state
}

#[test]
fn progress_of_nix_follows_its_forecast() {
    assert_eq!(
        progress::counts(&state(&[]), SECOND).unwrap(),
        "evaluating the configuration"
    );
    let state = state(&[
        NixEvent::WillBuild { derivations: 62 },
        NixEvent::WillFetch {
            paths: 9,
            download: 5_000_000,
            unpacked: 1,
        },
        NixEvent::Built {
            done: 3,
            expected: 66,
            running: 1,
        },
        NixEvent::FetchStarted {
            id: 8,
            path: "/nix/store/x-bash".into(),
            cache: String::new(),
        },
        NixEvent::Moved {
            id: 8,
            done: 1_000_000,
            expected: 2_000_000,
        },
        NixEvent::Moved {
            id: 8,
            done: 1_500_000,
            expected: 2_000_000,
        },
        NixEvent::Stopped { id: 8 },
        NixEvent::Fetched {
            done: 1,
            expected: 1,
        },
        NixEvent::Fetched {
            done: 0,
            expected: 0,
        },
    ]);
    assert_eq!(
        progress::counts(&state, SECOND * 6).unwrap(),
        "fetched 1 of 9 (1.5 of 5.0 MB, 500 kB/s) · built 3 of 62"
    );
    assert_eq!(
        progress::counts(&state, SECOND * 60).unwrap(),
        "fetched 1 of 9 (1.5 of 5.0 MB) · built 3 of 62"
    );
    assert_eq!(state.active().count(), 0);
}

#[test]
fn finished_build_tells_what_was_built() {
    let inspected = |done| {
        state(&[NixEvent::Built {
            done,
            expected: 2,
            running: 0,
        }])
    };
    let outcome = |done| progress::outcome(&inspected(done)).unwrap();
    assert_eq!(outcome(0), "nothing to build");
    assert_eq!(outcome(1), "1 built");
}

#[test]
fn phase_and_last_line_of_a_builder_are_kept() {
    let state = state(&[
        build(7),
        NixEvent::BuildPhase {
            id: 7,
            phase: "buildPhase".into(),
        },
        NixEvent::BuildLine {
            id: 7,
            line: "x".repeat(9000),
        },
        NixEvent::BuildLine {
            id: 99,
            line: "of an unknown build".into(),
        },
    ]);
    let seven = state.activity(7).unwrap();
    assert_eq!(seven.name, "p7");
    assert_eq!(seven.phase.as_deref(), Some("buildPhase"));
    assert_eq!(seven.last.as_ref().unwrap().len(), MAX_LAST_LINE);
}

#[test]
fn slowest_builds_are_kept() {
    let mut state = state(&[]);
    for id in 0..10 {
        state.apply(&Event::Nix(build(id)), SECOND);
        let end = SECOND * u32::try_from(id * 7 % 10 + 1).unwrap();
        state.apply(&Event::Nix(NixEvent::Stopped { id }), end);
    }
    let slowest: Vec<_> = state
        .slowest()
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_secs()))
        .collect();
    assert_eq!(
        slowest,
        [("p7", 9), ("p4", 8), ("p1", 7), ("p8", 6), ("p5", 5)]
    );
}

#[test]
fn activities_that_never_end_are_bounded() {
    let mut state = state(&[]);
    for id in 0..10_000 {
        state.apply(&Event::Nix(build(id)), SECOND);
    }
    assert_eq!(state.active().count(), MAX_ACTIVE);
    assert!(state.activity(9999).is_some());
    state.apply(&Event::Started(Phase::CopyOut), SECOND);
    assert_eq!(state.active().count(), 0);
}

#[test]
fn bytes_of_another_phase_are_not_shown() {
    let mut state = State::default();
    let mut apply = |event| state.apply(&event, SECOND);
    apply(Event::Started(Phase::CopyOut));
    let bytes = |phase, total| Event::Bytes {
        phase,
        done: 1000,
        total,
    };
    apply(bytes(Phase::Fetch, None));
    assert_eq!(progress::counts(&state, SECOND), None);
    state.apply(&bytes(Phase::CopyOut, Some(2000)), SECOND);
    assert_eq!(
        progress::counts(&state, SECOND * 3).unwrap(),
        "1.0 of 2.0 kB"
    );
    state.apply(&Event::Started(Phase::Flash), SECOND);
    state.apply(&bytes(Phase::Flash, Some(3000)), SECOND * 3);
    let counts = progress::counts(&state, SECOND * 3).unwrap();
    assert_eq!(counts, "1.0 of 3.0 kB · 500 B/s");
}

/// Nix runs several times in one build, and each run has a forecast of its own.
#[test]
fn bar_never_goes_back_and_reaches_the_end() {
    let built = |done, expected| NixEvent::Built {
        done,
        expected,
        running: 1,
    };
    let will = |derivations| NixEvent::WillBuild { derivations };
    let mut events = vec![will(102), will(70)];
    events.extend((0..=70).map(|n| built(n, 71)));
    events.push(will(32));
    events.extend((70..=102).map(|n| built(n, 103)));
    // A build that begins anew, under emulation.
    events.push(will(100));
    events.extend((102..=202).map(|n| built(n, 203)));
    let mut state = state(&[]);
    let mut before = 0;
    for event in &events {
        state.apply(&Event::Nix(event.clone()), SECOND);
        let share = state.fraction().map_or(0, Fraction::share);
        assert!(share >= before, "{event:?}");
        if matches!(event, NixEvent::Built { done, .. } if *done > 0 && *done < 101) {
            let moves = share > before || matches!(event, NixEvent::Built { done: 70, .. });
            assert!(moves, "{event:?}");
        }
        before = share;
    }
    assert_eq!((state.nix().built.done, state.nix().built.all), (202, 202));
    assert!(before > WHOLE / 100 * 99);
}

/// "0 of 1 built" was once the outcome of a build whose image was in the store.
#[test]
fn derivations_that_are_only_looked_at_are_not_built() {
    let built = |done, expected| NixEvent::Built {
        done,
        expected,
        running: 0,
    };
    let outcome = |events: &[NixEvent]| progress::outcome(&state(events)).unwrap();
    assert_eq!(outcome(&[built(0, 1)]), "nothing to build");
    assert_eq!(outcome(&[built(0, 1), built(3, 5)]), "3 built");
    let will = NixEvent::WillBuild { derivations: 4 };
    let emulated = NixEvent::WillEmulate { derivations: 2 };
    assert_eq!(
        outcome(&[will, emulated, built(4, 4)]),
        "4 built, 2 of them emulated"
    );
}

/// The file system is copied and written, then the image: the time moves the bar on, within what is planned for each, and no report
/// moves it back.
#[test]
fn time_within_the_last_builds_moves_the_bar() {
    let step = |id, unit, done, expected| NixEvent::Step {
        id,
        unit,
        done,
        expected,
    };
    let built = |done| NixEvent::Built {
        done,
        expected: 10,
        running: 1,
    };
    let events = [
        NixEvent::WillBuild { derivations: 10 },
        built(8),
        build(1),
        step(1, StepUnit::Paths, 1, 100),
        step(1, StepUnit::Paths, 90, 100),
        step(1, StepUnit::Bytes, 100_000_000, 900_000_000),
        step(1, StepUnit::Bytes, 800_000_000, 900_000_000),
        NixEvent::Stopped { id: 1 },
        built(9),
        build(2),
        step(2, StepUnit::Bytes, 1_000_000, 1_000_000_000),
        step(2, StepUnit::Bytes, 900_000_000, 1_000_000_000),
        step(2, StepUnit::Bytes, 1_000_000, 30_000_000),
        NixEvent::Stopped { id: 2 },
    ];
    let shares: Vec<u64> = (1..=events.len())
        .map(|count| state(&events[..count]).fraction().unwrap().share())
        .collect();
    assert!(shares.is_sorted(), "{shares:?}");
    for moved in [3, 4, 5, 6, 8, 10, 11, 12] {
        assert!(shares[moved] > shares[moved - 1], "{moved}: {shares:?}");
    }
    assert!(shares[6] < WHOLE / 10 * 9 && shares[8] >= WHOLE / 10 * 9);
    let mut all = state(&events);
    assert!(all.fraction().unwrap().percent() < 100);
    all.apply(&Event::Nix(built(10)), SECOND * 60);
    assert_eq!(all.fraction().unwrap().percent(), 100);
}

#[test]
fn the_last_report_about_a_build_is_shown() {
    let shown = |events: &[NixEvent]| progress::last(state(events).activity(1).unwrap());
    let step = NixEvent::Step {
        id: 1,
        unit: StepUnit::Bytes,
        done: 400_000_000,
        expected: 900_000_000,
    };
    let line = NixEvent::BuildLine {
        id: 1,
        line: "checking".to_owned(),
    };
    let events = [build(1), step.clone()];
    assert_eq!(shown(&events).unwrap(), "400 of 900 MB");
    let events = [build(1), step.clone(), line.clone()];
    assert_eq!(shown(&events).unwrap(), "checking");
    let events = [build(1), line.clone(), step];
    assert_eq!(shown(&events).unwrap(), "400 of 900 MB");
    // The last line of most images, which stands while Nix registers the result.
    let count_of_dd = NixEvent::BuildLine {
        id: 1,
        line: "30+0 records out".to_owned(),
    };
    assert_eq!(shown(&[build(1), line, count_of_dd]), None);
}

#[test]
fn an_empty_detail_removes_the_one_before() {
    let mut state = State::default();
    state.apply(&Event::Started(Phase::Upload), Duration::ZERO);
    for (text, shown) in [("filling", Some("filling")), ("", None)] {
        state.apply(&Event::Detail(Phase::Upload, text.to_owned()), SECOND);
        assert_eq!(state.detail(), shown);
    }
}
