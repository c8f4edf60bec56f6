use super::*;
use crate::ui::lines;
use crate::ui::tests::began;

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
    began(id, &format!("p{id}"))
}

fn will(derivations: u64) -> NixEvent {
    NixEvent::WillBuild { derivations }
}

fn built(done: u64, expected: u64) -> NixEvent {
    NixEvent::Built {
        done,
        expected,
        running: 1,
    }
}

fn moved(done: u64) -> NixEvent {
    NixEvent::Moved {
        id: 8,
        done,
        expected: 2_000_000,
    }
}

#[test]
fn progress_of_nix_follows_its_forecast() {
    assert_eq!(
        lines::counts(&state(&[]), SECOND),
        ["evaluating the configuration"]
    );
    let state = state(&[
        will(62),
        NixEvent::WillFetch {
            paths: 9,
            download: 5_000_000,
            unpacked: 1,
        },
        built(3, 66),
        NixEvent::FetchStarted {
            id: 8,
            path: "/nix/store/x-bash".into(),
            cache: String::new(),
        },
        moved(1_000_000),
        moved(1_500_000),
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
        lines::counts(&state, SECOND * 3),
        ["fetched 1 of 9 (1.5 of 5.0 MB)", "built 3 of 62"]
    );
    assert_eq!(state.active().count(), 0);
    assert!(state.slowest.is_empty(), "a download is no build");
}

/// The forecast of the whole, then those of the two processes that build it; then a build that begins anew.
#[test]
fn forecast_of_a_part_does_not_change_the_whole() {
    let counted = |events: &[NixEvent]| state(events).built;
    let of = |done, all| Progress { done, all };
    let mut events = vec![will(102), will(70), built(70, 71), will(32)];
    assert_eq!(counted(&events), of(70, 102));
    events.push(built(102, 103));
    assert_eq!(counted(&events), of(102, 102));
    assert_eq!(
        counted(&[will(300), built(295, 300), will(290)]),
        of(295, 585)
    );
    assert_eq!(counted(&[built(1, 9)]), of(1, 9));
    assert_eq!(counted(&[built(0, 2)]), of(0, 0), "only inspected");
}

/// Nix runs several times in one build, and each run has a forecast of its own.
#[test]
fn share_never_goes_back_and_reaches_the_end() {
    let mut events = vec![will(102), will(70)];
    events.extend((0..=70).map(|n| built(n, 71)));
    events.push(will(32));
    events.extend((70..=102).map(|n| built(n, 103)));
    // A build that begins anew, under emulation.
    events.extend([NixEvent::Restarted, will(100)]);
    events.extend((102..=202).map(|n| built(n, 203)));
    let mut state = state(&[]);
    let mut before = 0;
    for event in &events {
        state.apply(&Event::Nix(event.clone()), SECOND);
        let share = state.current.as_ref().unwrap().share.as_ref();
        let share = share.map_or(0, |share| share.share);
        assert!(share >= before && share <= WHOLE, "{event:?}");
        before = share;
    }
    assert_eq!(
        state.built,
        Progress {
            done: 202,
            all: 202
        }
    );
    assert!(before > WHOLE / 100 * 99);
    assert_eq!(state.current.unwrap().percent(), Some(99));
}

#[test]
fn text_of_a_builder_is_bounded() {
    let long = "x".repeat(9000);
    let state = state(&[
        build(7),
        NixEvent::BuildPhase {
            id: 7,
            phase: long.clone(),
        },
        NixEvent::BuildLine { id: 7, line: long },
        NixEvent::BuildLine {
            id: 99,
            line: "of an unknown build".into(),
        },
    ]);
    let seven = state.activities.get(&7).unwrap();
    assert_eq!(seven.name, "p7");
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
    let slowest = state.slowest.iter();
    let slowest: Vec<_> = slowest.map(|(n, t)| (n.as_str(), t.as_secs())).collect();
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
    assert!(state.activities.contains_key(&9999));
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
    assert!(lines::counts(&state, SECOND * 3).is_empty());
    state.apply(&bytes(Phase::CopyOut, Some(2000)), SECOND * 3);
    assert_eq!(
        lines::counts(&state, SECOND * 3),
        ["1.0 of 2.0 kB", "500 B/s"]
    );
    assert_eq!(state.current.unwrap().percent(), Some(50));
}

#[test]
fn the_last_report_about_a_build_is_shown() {
    let shown = |events: &[NixEvent]| lines::last(state(events).activities.get(&1).unwrap());
    let step = NixEvent::Step {
        id: 1,
        unit: StepUnit::Bytes,
        done: 400_000_000,
        expected: 900_000_000,
    };
    let says = |line: &str| NixEvent::BuildLine {
        id: 1,
        line: line.to_owned(),
    };
    let shown_after = |events: [NixEvent; 2]| shown(&[&[build(1)], &events[..]].concat());
    let line = says("checking");
    assert_eq!(
        shown_after([step.clone(), line.clone()]).unwrap(),
        "checking"
    );
    assert_eq!(shown_after([line, step]).unwrap(), "400 of 900 MB");
}

/// Nix reports the end of a build that it was asked for by name only when its whole process ends.
#[test]
fn build_whose_end_is_reported_late_ends_by_the_count() {
    let mut state = state(&[build(1), build(2)]);
    let names = |state: &State| {
        state
            .active()
            .map(|one| one.name.clone())
            .collect::<Vec<_>>()
    };
    state.set_running(1, SECOND * 4);
    assert_eq!(names(&state), ["p1"]);
    // The count was about the other one.
    state.stop(1, SECOND * 5);
    state.set_running(1, SECOND * 5);
    assert_eq!(names(&state), ["p2"]);
    state.set_running(0, SECOND * 7);
    state.stop(2, SECOND * 90);
    let took = state.slowest.iter().map(|(_, took)| took.as_secs());
    assert_eq!(took.collect::<Vec<_>>(), [5, 4]);
}
