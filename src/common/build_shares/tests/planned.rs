//! What is planned for derivations, and how much of it is done.

use super::*;

/// What is planned, in tenths of a second.
fn planned(shares: &BuildShares, earlier: &BuildTimes, built: Progress, at: Duration) -> [u128; 2] {
    let work = shares.planned(earlier, built, at);
    [work.done, work.all].map(|time| time.as_millis() / 100)
}

#[test]
fn what_is_planned_for_known_ones_never_changes() {
    let earlier = times(&[("linux-0", 40), ("etc", 2)]);
    let mut shares = counted(&[
        (0, NixEvent::WillBuild { derivations: 4 }),
        (0, listed("linux-6.13")),
        (0, listed("etc")),
        (0, listed("blink")),
    ]);
    // One of them no list has named: it takes as long as another unknown one.
    let at = |shares: &BuildShares, done, at| planned(shares, &earlier, of(done, 4), SECOND * at);
    assert_eq!(at(&shares, 0, 1), [0, 422]);
    shares.apply(&started(1, "linux-6.13"), SECOND * 10);
    assert_eq!(at(&shares, 0, 20), [100, 422]);
    // It takes three times as long: more and more of its own time, and never all.
    assert_eq!(at(&shares, 0, 130), [387, 422]);
    shares.apply(&NixEvent::Stopped { id: 1 }, SECOND * 130);
    assert_eq!(at(&shares, 1, 131), [400, 422]);
    // One of unknown length weighs as much as it takes, and counts once it has ended.
    shares.apply(&started(2, "blink"), SECOND * 131);
    assert_eq!(at(&shares, 1, 231), [400, 1421]);
    shares.apply(&NixEvent::Stopped { id: 2 }, SECOND * 231);
    // Another one may take longer than a small one.
    assert_eq!(at(&shares, 2, 231), [1400, 1520]);
    assert_eq!(at(&shares, 3, 231), [1401, 1421], "unnamed");
}

/// Of seven unknown ones none is built, however long the first one takes.
#[test]
fn no_more_than_what_runs_is_added_to_what_is_built() {
    let none = BuildTimes::new();
    let shares = counted(&[(0, started(1, "sleep"))]);
    let mut before = Duration::ZERO;
    for second in 1..200 {
        let work = shares.planned(&none, of(0, 7), SECOND * second);
        assert!(work.done > before && work.done * 7 < work.all, "{work:?}");
        before = work.done;
    }
}

/// Nix tells that one build fewer runs, and right after that which one has ended: it was the older one.
#[test]
fn the_wrong_one_does_not_count_as_built_meanwhile() {
    let earlier = times(&[("linux-0", 100), ("etc", 4)]);
    let mut shares = counted(&[
        (0, started(1, "etc")),
        (0, started(2, "linux-6.13")),
        (0, running(2)),
        (8, running(1)),
    ]);
    let at = |shares: &BuildShares, at| planned(shares, &earlier, of(0, 2), at)[0];
    let (told, stopped) = (SECOND * 8, SECOND * 8 + Duration::from_millis(20));
    assert_eq!(at(&shares, told), 118, "of 4 s not all, and 8 s");
    shares.apply(&NixEvent::Stopped { id: 1 }, stopped);
    assert_eq!(at(&shares, stopped), 120);
    shares.apply(&running(0), SECOND * 10);
    assert_eq!(at(&shares, SECOND * 11), 1040);
}

/// It was built beside another one, and is alone now.
#[test]
fn a_derivation_takes_as_long_as_from_its_begin_to_its_end() {
    let earlier = in_parallel(&[("pa", 7, 14)]);
    let mut shares = counted(&[(0, NixEvent::WillBuild { derivations: 1 })]);
    shares.apply(&NixEvent::ToDownload { bytes: 0 }, Duration::ZERO);
    shares.apply(&started(1, "pa"), Duration::ZERO);
    for at in [1, 7, 13] {
        assert_eq!(shares.left(&earlier, SECOND * at), Some(SECOND * (14 - at)));
    }
    assert_eq!(planned(&shares, &earlier, of(0, 1), SECOND * 7), [35, 70]);
    assert_eq!(shares.late(&earlier, SECOND * 15), SECOND);
}
