mod planned;

use super::*;
use crate::common::nix_event::StepUnit;

const SECOND: Duration = Duration::from_secs(1);

fn path(name: &str) -> String {
    format!("/nix/store/{}-{name}.drv", "a".repeat(32))
}

fn started(id: u64, name: &str) -> NixEvent {
    NixEvent::BuildStarted {
        id,
        derivation: path(name),
        machine: String::new(),
    }
}

fn running(running: u64) -> NixEvent {
    NixEvent::Built {
        done: 0,
        expected: 9,
        running,
    }
}

fn listed(name: &str) -> NixEvent {
    NixEvent::Message {
        level: 3,
        text: format!("  {}", path(name)),
    }
}

fn counted(events: &[(u32, NixEvent)]) -> BuildShares {
    let mut shares = BuildShares::default();
    for (at, event) in events {
        shares.apply(event, SECOND * *at);
    }
    shares
}

fn of(done: u64, all: u64) -> Progress {
    Progress { done, all }
}

fn times(of: &[(&str, u64)]) -> BuildTimes {
    let seconds = |(name, seconds): &(&str, u64)| ((*name).to_owned(), (seconds * 1000).into());
    of.iter().map(seconds).collect()
}

/// Names with the parts that they had of the time of a build, and the times from begin to end, in seconds.
fn in_parallel(of: &[(&str, u32, u32)]) -> BuildTimes {
    let seconds = |(name, share, whole): &(&str, u32, u32)| {
        let time = BuildTime::mean(SECOND * *share, SECOND * *whole, 1);
        ((*name).to_owned(), time)
    };
    of.iter().map(seconds).collect()
}

#[test]
fn parallel_builds_share_the_time() {
    let stopped = |id| NixEvent::Stopped { id };
    let shares = counted(&[
        (0, started(1, "linux-6.12.1")),
        (10, started(2, "vim")),
        (20, stopped(2)),
        (21, started(3, "vim")),
        (23, stopped(3)),
        (30, stopped(1)),
    ]);
    // 10 + 5 + 1 + 1 + 7 of the kernel; 5 and 1 of the two others.
    let expected = in_parallel(&[("linux-0", 24, 30), ("vim", 3, 6)]);
    assert_eq!(shares.times(), expected);
}

/// Nix reports the end of both only when it ends itself.
#[test]
fn build_that_nix_no_longer_counts_gets_no_time() {
    let shares = counted(&[
        (0, started(1, "a")),
        (0, running(1)),
        (5, running(0)),
        (9, started(2, "b")),
        (9, running(1)),
        (12, running(0)),
        (60, NixEvent::Stopped { id: 1 }),
        (60, NixEvent::Restarted),
    ]);
    assert_eq!(shares.times(), times(&[("a", 5), ("b", 3)]));
}

/// Nix reports no end of 1 and then counts one build: 2 goes on, as its log shows.
#[test]
fn time_goes_to_the_parallel_build_that_still_speaks() {
    let line = NixEvent::BuildLine {
        id: 2,
        line: "compiling".to_owned(),
    };
    let shares = counted(&[
        (0, started(1, "a")),
        (0, started(2, "b")),
        (10, running(1)),
        (10, line),
        (40, running(0)),
        (50, NixEvent::Stopped { id: 1 }),
        (50, NixEvent::Stopped { id: 2 }),
    ]);
    let expected = in_parallel(&[("a", 5, 10), ("b", 35, 40)]);
    assert_eq!(shares.times(), expected);
}

#[test]
fn time_before_a_build_speaks_again_is_not_its_own() {
    let line = |id| NixEvent::BuildLine {
        id,
        line: "compiling".to_owned(),
    };
    let mut shares = counted(&[
        (0, started(1, "a")),
        (0, started(2, "b")),
        (10, running(1)),
        (15, line(1)),
        (20, line(2)),
        (50, line(2)),
    ]);
    // 5 + 5 + 5 of the first, 5 + 30 of the second.
    let earlier = times(&[("a", 100), ("b", 100)]);
    assert_eq!(shares.left(&earlier, SECOND * 60), Some(SECOND * 55));
    for id in [1, 2] {
        shares.apply(&NixEvent::Stopped { id }, SECOND * 60);
    }
    let expected = in_parallel(&[("a", 15, 20), ("b", 45, 60)]);
    assert_eq!(shares.times(), expected);
}

#[test]
fn builds_of_a_nix_that_was_stopped_get_no_time() {
    let earlier = times(&[("a", 9), ("b", 7)]);
    let mut shares = counted(&[
        (0, started(1, "a")),
        (5, NixEvent::Restarted),
        (6, started(2, "b")),
    ]);
    assert_eq!(shares.left(&earlier, SECOND * 8), Some(SECOND * 5));
    shares.apply(&NixEvent::Stopped { id: 2 }, SECOND * 9);
    assert_eq!(shares.times(), times(&[("b", 3)]));
}

#[test]
fn names_have_no_version_and_no_git_revision() {
    for revision in ["20260102.abc12de", "20260317.1234567", "1234.0f0f0f0f0f"] {
        let name = general_name(&path(&format!("nixos-manual-26.05.{revision}")));
        assert_eq!(name, "nixos-manual-0");
    }
    assert_eq!(general_name(&path("unit-a.service")), "unit-a0service");
}

/// The image of another host name takes as long.
#[test]
fn names_have_no_name_of_the_machine() {
    for machine in ["pi", "living-room-2", "image-sd-card", "system-7"] {
        for label in ["26.05.20260102.abc12de", "tagged-24.11", "26.05.mini"] {
            let general = |of: &str| general_name(&path(of));
            let system = general(&format!("nixos-system-{machine}-{label}"));
            assert_eq!(system, "nixos-system");
            let image = |end| general(&format!("nixos-{machine}-{label}-{end}"));
            assert_eq!(image("aarch64-linux.img.zst"), "nixos-aarch0-linux0img0zst");
            assert_eq!(image("x86_64-linux.iso"), "nixos-x0_0-linux0iso");
            assert_eq!(image("x86_64-linux.tar.xz"), "nixos-x0_0-linux0tar0xz");
        }
    }
    assert_eq!(general_name(&path("nixos-rebuild")), "nixos-rebuild");
}

#[test]
fn rest_takes_as_long_as_in_the_earlier_build() {
    let earlier = times(&[("linux-0", 60), ("etc", 2), ("image", 30), ("other", 500)]);
    let mut shares = counted(&[
        (0, NixEvent::WillBuild { derivations: 3 }),
        (0, listed("linux-6.13")),
        (0, listed("etc")),
        (0, listed("image")),
    ]);
    assert_eq!(shares.left(&earlier, SECOND), None, "the list may go on");
    shares.apply(&NixEvent::ToDownload { bytes: 0 }, Duration::ZERO);
    let left = |shares: &BuildShares, at| shares.left(&earlier, SECOND * at);
    assert_eq!(left(&shares, 0), Some(SECOND * 92));
    shares.apply(&started(1, "linux-6.13"), SECOND * 10);
    assert_eq!(left(&shares, 30), Some(SECOND * 72));
    shares.apply(&started(2, "etc"), SECOND * 30);
    assert_eq!(left(&shares, 32), Some(SECOND * 70));
    // The second one takes longer than it did, and then far too long.
    assert_eq!(left(&shares, 44), Some(SECOND * 63));
    assert_eq!(left(&shares, 70), None);
}

#[test]
fn nothing_is_estimated_of_what_was_not_built_before() {
    let earlier = times(&[("etc", 2)]);
    let mut shares = counted(&[
        (0, NixEvent::WillBuild { derivations: 2 }),
        (0, listed("etc")),
        (0, listed("new")),
        (0, NixEvent::ToDownload { bytes: 0 }),
    ]);
    assert_eq!(shares.left(&earlier, SECOND), None);
    shares.apply(&started(1, "new"), SECOND);
    assert_eq!(shares.left(&earlier, SECOND), None);
    shares.apply(&NixEvent::Stopped { id: 1 }, SECOND * 4);
    assert_eq!(shares.left(&earlier, SECOND * 4), Some(SECOND * 2));
    shares.apply(&NixEvent::Restarted, SECOND * 5);
    assert_eq!(shares.left(&earlier, SECOND * 5), None);
}

#[test]
fn only_the_list_of_a_forecast_is_read() {
    let mut shares = counted(&[(0, listed("etc"))]);
    assert!(shares.waiting.is_empty());
    shares.apply(&NixEvent::WillBuild { derivations: 1 }, SECOND);
    shares.apply(&NixEvent::Other("else".to_owned()), SECOND);
    shares.apply(&listed("etc"), SECOND);
    assert!(shares.waiting.is_empty());
    assert_eq!(listed_derivation("  /nix/store/a-b"), None);
}

#[test]
fn a_build_slower_than_the_earlier_one_takes_longer_to_its_end() {
    let earlier = times(&[("a", 20), ("b", 30), ("c", 5)]);
    let stopped = |id| NixEvent::Stopped { id };
    let forecast = NixEvent::WillBuild { derivations: 3 };
    let events = [(0, forecast), (0, listed("b")), (0, started(1, "a"))];
    let left = |shares: &BuildShares, at| shares.left(&earlier, SECOND * at);
    let mut shares = counted(&events);
    assert_eq!(left(&shares, 10), Some(SECOND * 40));
    shares.apply(&stopped(1), SECOND * 40);
    // By 45 s instead of 25.
    assert_eq!(left(&shares, 40), Some(SECOND * 54));
    // One that was faster promises nothing.
    let mut shares = counted(&events);
    shares.apply(&stopped(1), SECOND * 10);
    assert_eq!(left(&shares, 10), Some(SECOND * 30));
}

/// It is late after 5 s: what is left does not become more while it runs, only once it has ended.
#[test]
fn a_derivation_that_is_late_does_not_raise_the_time_left() {
    let earlier = times(&[("b", 30), ("c", 5)]);
    let forecast = NixEvent::WillBuild { derivations: 2 };
    let events = [(0, forecast), (0, listed("b")), (0, started(3, "c"))];
    let mut shares = counted(&events);
    shares.apply(&NixEvent::ToDownload { bytes: 0 }, SECOND);
    // No event comes meanwhile.
    let left = |shares: &BuildShares, at| shares.left(&earlier, SECOND * at).unwrap();
    for at in [5, 10, 15] {
        assert_eq!(left(&shares, at), SECOND * 30);
    }
    shares.apply(&NixEvent::Stopped { id: 3 }, SECOND * 15);
    assert_eq!(left(&shares, 15), SECOND * 60);
}

#[test]
fn a_derivation_moves_on_however_long_it_takes() {
    let earlier = times(&[("linux-0", 40)]);
    let mut shares = counted(&[(2, started(1, "linux-6.12.1"))]);
    let seconds = |at, earlier: &BuildTimes, shares: &BuildShares| {
        let work = shares.work(earlier, of(0, 1), SECOND * at);
        (work.building.as_secs(), work.rest.as_secs())
    };
    assert_eq!(seconds(12, &earlier, &shares), (10, 30));
    // Late: half as much again.
    assert_eq!(seconds(42, &earlier, &shares), (40, 20));
    assert_eq!(seconds(62, &earlier, &shares), (60, 30));
    // Nobody knows what it is: it compiles something.
    let unknown = BuildTimes::new();
    assert_eq!(seconds(12, &unknown, &shares), (10, 30));
    assert_eq!(seconds(62, &unknown, &shares), (60, 180));
    let phase = NixEvent::BuildPhase {
        id: 1,
        phase: "installPhase".to_owned(),
    };
    shares.apply(&phase, SECOND * 62);
    assert_eq!(seconds(62, &unknown, &shares), (60, 15));
    shares.apply(&NixEvent::Stopped { id: 1 }, SECOND * 66);
    assert_eq!(seconds(90, &unknown, &shares), (64, 0));
}

#[test]
fn steps_of_a_build_tell_what_is_left_of_it_at_least() {
    let step = |unit, done, expected| NixEvent::Step {
        id: 1,
        unit,
        done,
        expected,
    };
    let mut shares = counted(&[(0, started(1, "tarball"))]);
    let mut rest = |event: &NixEvent| {
        shares.apply(event, Duration::ZERO);
        shares
            .work(&BuildTimes::new(), of(0, 1), Duration::ZERO)
            .rest
    };
    assert_eq!(
        rest(&step(StepUnit::Bytes, 100_000_000, 900_000_000)),
        SECOND * 8
    );
    assert_eq!(rest(&step(StepUnit::Paths, 10, 260)), SECOND * 10);
}

#[test]
fn rest_of_a_first_build_follows_its_speed() {
    let none = BuildTimes::new();
    let forecast = NixEvent::WillBuild { derivations: 300 };
    let mut shares = counted(&[(0, forecast), (0, NixEvent::ToDownload { bytes: 0 })]);
    let work = shares.work(&none, of(0, 300), SECOND);
    assert_eq!(work.rest, typical::SMALL * 300);
    // One in a second, instead of ten.
    for n in 0..40_u32 {
        shares.apply(&started(n.into(), &format!("unit-{n}")), SECOND * n);
        let at = SECOND * (n + 1);
        shares.apply(&NixEvent::Stopped { id: n.into() }, at);
    }
    let Work { building, rest } = shares.work(&none, of(40, 300), SECOND * 40);
    assert_eq!(building, SECOND * 40);
    assert!(rest > SECOND * 120 && rest < SECOND * 260, "{rest:?}");
}

#[test]
fn how_late_derivations_are_is_known() {
    let earlier = times(&[("a", 20), ("b", 5)]);
    let shares = counted(&[(0, started(1, "a"))]);
    assert_eq!(shares.late(&earlier, SECOND * 20), Duration::ZERO);
    assert_eq!(shares.late(&earlier, SECOND * 32), SECOND * 12);
    let other = times(&[("b", 5)]);
    assert_eq!(shares.late(&other, SECOND * 32), Duration::ZERO);
}

#[test]
fn time_between_derivations_passes_for_the_rest_too() {
    let earlier = times(&[("a", 4), ("b", 20)]);
    let shares = counted(&[
        (0, NixEvent::WillBuild { derivations: 2 }),
        (0, listed("b")),
        (0, started(1, "a")),
        (4, NixEvent::Stopped { id: 1 }),
        (5, NixEvent::ToDownload { bytes: 0 }),
    ]);
    // 1 of 5 seconds, beside one that counts as built without a pause.
    assert_eq!(shares.left(&earlier, SECOND * 5), Some(SECOND * 24));
}
