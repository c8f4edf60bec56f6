//! How long the build still takes, as far as earlier builds tell.

use super::*;
use crate::common::build_shares::BuildTimes;
use crate::common::event::BuildEffort;
use crate::ui::words;

#[test]
fn time_left_follows_an_earlier_build_that_did_as_much() {
    let effort = |built, seconds| BuildEffort {
        built,
        downloaded: 0,
        seconds,
    };
    let building = |same, others: &[BuildEffort]| {
        let mut state = State::default();
        let others = others.to_vec();
        let earlier = EarlierBuilds {
            same,
            others,
            ..EarlierBuilds::default()
        };
        state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
        state.apply(&Event::Started(Phase::Build), SECOND);
        let will = NixEvent::WillBuild { derivations: 100 };
        state.apply(&Event::Nix(will), SECOND * 2);
        state
    };
    let left = |built, seconds, at: u32| {
        building(Some(effort(built, seconds)), &[]).time_left(SECOND * at)
    };
    assert_eq!(left(100, 300, 61), Some(SECOND * 240));
    assert_eq!(left(110, 300, 61), Some(SECOND * 240));
    let mut half = building(Some(effort(100, 300)), &[]);
    let built = NixEvent::Built {
        done: 50,
        expected: 100,
        running: 1,
    };
    half.apply(&Event::Nix(built), SECOND * 3);
    assert_eq!(half.time_left(SECOND * 4), Some(SECOND * 150));
    // Another build than this one, and one that has taken longer already.
    assert_eq!(left(200, 300, 61), None);
    assert_eq!(left(100, 300, 400), None);
    // The same configuration counts first, then the newest that downloaded as much.
    let mut others = [effort(9, 900), effort(105, 200), effort(100, 500)];
    let of_others = building(None, &others);
    assert_eq!(of_others.time_left(SECOND * 61), None);
    others[1].downloaded = 1_000_000_000;
    let mut of_others = building(None, &others);
    let will_fetch = NixEvent::WillFetch {
        paths: 100,
        download: 1_000_000_000,
        unpacked: 1,
    };
    of_others.apply(&Event::Nix(will_fetch), SECOND * 2);
    assert_eq!(of_others.time_left(SECOND * 61), Some(SECOND * 140));
    let of_same = building(Some(effort(100, 300)), &others);
    assert_eq!(of_same.time_left(SECOND * 61), Some(SECOND * 240));
    assert_eq!(State::default().time_left(SECOND), None);
}

/// Nothing is known of it but what it has done so far.
#[test]
fn a_first_build_tells_its_time_left_once_it_is_under_way() {
    let mut state = State::default();
    state.apply(&Event::Started(Phase::Build), Duration::ZERO);
    let will_build = NixEvent::WillBuild { derivations: 600 };
    let will_fetch = NixEvent::WillFetch {
        paths: 100,
        download: 1_000_000_000,
        unpacked: 1,
    };
    let fetch = NixEvent::FetchStarted {
        id: 9,
        path: "/nix/store/x-linux".into(),
        cache: String::new(),
    };
    for event in [will_build, will_fetch, fetch] {
        state.apply(&Event::Nix(event), SECOND);
    }
    // One derivation in a second, and all downloads in 200 seconds.
    let mut told = Vec::new();
    for second in 1..=590 {
        let at = SECOND * second;
        let moved = NixEvent::Moved {
            id: 9,
            done: 5_000_000 * u64::from(second.min(200)),
            expected: 1_000_000_000,
        };
        let built = NixEvent::Built {
            done: second.into(),
            expected: 600,
            running: 1,
        };
        let id = u64::from(second) + 10;
        let ended = NixEvent::Stopped { id: id - 1 };
        for event in [ended, build(id), moved, built] {
            state.apply(&Event::Nix(event), at);
        }
        told.push(state.time_left(at).map(words::time_left));
    }
    let at = |second: usize| told[second].as_deref();
    assert_eq!(at(20), None);
    assert_eq!(at(120), Some("about 7 min left"));
    assert_eq!(at(420), Some("about 3 min left"));
    // Of the last derivations, which make the image, nobody knows.
    assert_eq!(at(580), None);
    // Nix begins anew, with as much.
    let will_build = NixEvent::WillBuild { derivations: 600 };
    for event in [NixEvent::Restarted, will_build] {
        state.apply(&Event::Nix(event), SECOND * 591);
    }
    state.tick(SECOND * 610);
    assert!(state.time_left(SECOND * 610) > Some(SECOND * 300));
}

#[test]
fn a_build_of_something_new_is_like_no_earlier_one() {
    let mut state = State::default();
    let earlier = EarlierBuilds {
        same: Some(BuildEffort {
            built: 2,
            downloaded: 0,
            seconds: 100,
        }),
        times: BuildTimes::from([("p0".to_owned(), 100_000.into())]),
        ..EarlierBuilds::default()
    };
    state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
    state.apply(&Event::Started(Phase::Build), SECOND);
    let will_build = NixEvent::WillBuild { derivations: 2 };
    state.apply(&Event::Nix(will_build), SECOND);
    state.apply(
        &Event::Nix(NixEvent::ToDownload { bytes: 9_000_000 }),
        SECOND,
    );
    assert_eq!(state.time_left(SECOND * 11), Some(SECOND * 90));
    let new = NixEvent::BuildStarted {
        id: 7,
        derivation: format!("/nix/store/{}-blink.drv", "a".repeat(32)),
        machine: String::new(),
    };
    state.apply(&Event::Nix(new), SECOND * 12);
    assert_eq!(state.time_left(SECOND * 12), None);
}

/// A package was added, and the store is new.
#[test]
fn a_build_of_little_that_is_new_is_like_the_last_one() {
    let earlier = EarlierBuilds {
        same: Some(BuildEffort {
            built: 10,
            downloaded: 0,
            seconds: 100,
        }),
        times: BuildTimes::from([("p0".to_owned(), 10_000.into())]),
        ..EarlierBuilds::default()
    };
    let mut state = State::default();
    state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
    state.apply(&Event::Started(Phase::Build), SECOND);
    let new = format!("/nix/store/{}-blink.drv", "a".repeat(32));
    let will_build = NixEvent::WillBuild { derivations: 11 };
    let listed = NixEvent::Message {
        level: 3,
        text: format!("  {new}"),
    };
    let listed_all = NixEvent::ToDownload { bytes: 0 };
    for event in [will_build, listed, listed_all] {
        state.apply(&Event::Nix(event), SECOND);
    }
    assert_eq!(state.time_left(SECOND * 11), Some(SECOND * 90));
    let begins = NixEvent::BuildStarted {
        id: 7,
        derivation: new,
        machine: String::new(),
    };
    state.apply(&Event::Nix(begins), SECOND * 12);
    assert_eq!(state.time_left(SECOND * 13), Some(SECOND * 88));
    // It takes long, which the last build tells nothing of.
    let line = NixEvent::BuildLine {
        id: 7,
        line: "cc".to_owned(),
    };
    state.apply(&Event::Nix(line), SECOND * 30);
    assert_eq!(state.time_left(SECOND * 30), None);
}

#[test]
fn time_left_to_build_is_known_from_the_same_derivations() {
    let derivation = |id| {
        let NixEvent::BuildStarted { derivation, .. } = build(id) else {
            panic!("it starts a build");
        };
        derivation
    };
    let listed = |id| NixEvent::Message {
        level: 3,
        text: format!("  {}", derivation(id)),
    };
    let mut state = with_earlier_time();
    state.apply(&Event::Started(Phase::Build), SECOND);
    let will_fetch = NixEvent::WillFetch {
        paths: 1,
        download: 10_000_000,
        unpacked: 1,
    };
    let will_build = NixEvent::WillBuild { derivations: 2 };
    for event in [will_build, listed(1), listed(2)] {
        state.apply(&Event::Nix(event), SECOND * 2);
    }
    // Whether anything is downloaded comes after the list.
    assert_eq!(state.time_left(SECOND * 2), None);
    for event in [will_fetch, build(1)] {
        state.apply(&Event::Nix(event), SECOND * 2);
    }
    // What downloads take is not known from derivations.
    assert_eq!(state.time_left(SECOND * 3), None);
    let fetched = [
        NixEvent::FetchStarted {
            id: 9,
            path: "/nix/store/x-bash".into(),
            cache: String::new(),
        },
        NixEvent::Moved {
            id: 9,
            done: 10_000_000,
            expected: 10_000_000,
        },
    ];
    for event in fetched {
        state.apply(&Event::Nix(event), SECOND * 12);
    }
    assert_eq!(state.time_left(SECOND * 12), Some(SECOND * 70));
    state.apply(&Event::Started(Phase::CopyOut), SECOND * 90);
    assert_eq!(state.time_left(SECOND * 91), None);
}

#[test]
fn last_build_is_reported_while_no_time_left_is_known() {
    let counts_of = |forecast: Option<u64>, built, seconds, at: u32| {
        let mut state = State::default();
        let same = Some(BuildEffort {
            built,
            downloaded: 0,
            seconds,
        });
        let earlier = EarlierBuilds {
            same,
            ..EarlierBuilds::default()
        };
        state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
        state.apply(&Event::Started(Phase::Build), SECOND);
        if let Some(derivations) = forecast {
            let will = NixEvent::WillBuild { derivations };
            state.apply(&Event::Nix(will), SECOND * 2);
        }
        progress::counts(&state, SECOND * at).unwrap()
    };
    let counts = |built, seconds, at| counts_of(Some(100), built, seconds, at);
    let told = "built 0 of 100 · longer than the last build (6 min 40 s)";
    assert_eq!(counts(100, 400, 500), told);
    assert_eq!(counts(100, 400, 5), "built 0 of 100");
    assert_eq!(counts(100, 9, 500), "built 0 of 100");
    // What it does is not known before it is evaluated.
    let evaluating = counts_of(None, 100, 400, 5);
    assert_eq!(evaluating, "evaluating the configuration");
    // It does much more, or less, than the last one did.
    assert_eq!(counts(50, 400, 5), "built 0 of 100");
    assert_eq!(counts(500, 400, 5), "built 0 of 100");
}

/// A build of 100 derivations, `built` of them after a second; the last one took 20 s.
fn like_the_last_of_20_s(built: u64) -> State {
    let mut state = State::default();
    let same = Some(BuildEffort {
        built: 100,
        downloaded: 0,
        seconds: 20,
    });
    let earlier = EarlierBuilds {
        same,
        ..EarlierBuilds::default()
    };
    state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
    state.apply(&Event::Started(Phase::Build), Duration::ZERO);
    let will = NixEvent::WillBuild { derivations: 100 };
    state.apply(&Event::Nix(will), Duration::ZERO);
    let built = NixEvent::Built {
        done: built,
        expected: 100,
        running: 1,
    };
    state.apply(&Event::Nix(built), SECOND);
    state
}

#[test]
fn short_time_left_follows_the_clock() {
    let state = like_the_last_of_20_s(40);
    let told = |second| state.time_left(SECOND * second).map(words::time_left);
    let at = |second| told(second).unwrap_or_default();
    assert_eq!(at(5), "about 10 s left");
    assert_eq!(at(10), "about 10 s left");
    assert_eq!(at(14), "about 5 s left");
    assert_eq!(at(15), "about 5 s left");
}

#[test]
fn no_time_left_is_told_that_the_share_contradicts() {
    let state = like_the_last_of_20_s(19);
    assert_eq!(state.time_left(SECOND * 5), Some(SECOND * 15));
    assert_eq!(state.time_left(SECOND * 17), None);
    let told = progress::counts(&state, SECOND * 17).unwrap();
    assert_eq!(told, "built 19 of 100 · the last build took 20 s");
}

#[test]
fn a_build_is_longer_than_the_last_one_by_a_tenth() {
    let state = like_the_last_of_20_s(60);
    let told = |second| progress::counts(&state, SECOND * second).unwrap();
    assert_eq!(told(23), "built 60 of 100 · the last build took 20 s");
    let longer = "built 60 of 100 · longer than the last build (20 s)";
    assert_eq!(told(24), longer);
}

/// The first of two takes longer than it did, and the second only a second.
#[test]
fn nothing_is_told_while_a_derivation_is_late_for_longer() {
    let mut state = State::default();
    let earlier = EarlierBuilds {
        times: BuildTimes::from([
            ("p0".to_owned(), 40_000.into()),
            ("etc".to_owned(), 1000.into()),
        ]),
        ..EarlierBuilds::default()
    };
    state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
    state.apply(&Event::Started(Phase::Build), SECOND);
    let listed = ["p1", "etc"].map(|name| NixEvent::Message {
        level: 3,
        text: format!("  /nix/store/{}-{name}.drv", "a".repeat(32)),
    });
    let events = [NixEvent::WillBuild { derivations: 2 }].into_iter();
    for event in events.chain(listed).chain([build(1)]) {
        state.apply(&Event::Nix(event), SECOND);
    }
    let mut left = |second| {
        state.tick(SECOND * second);
        state.time_left(SECOND * second)
    };
    assert_eq!(left(31), Some(SECOND * 11));
    assert_eq!(left(51), None);
}
