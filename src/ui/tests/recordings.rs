//! A recorded build, and its output without a live view.

use std::time::Duration;

use crate::common::build_shares::{BuildShares, BuildTimes};
use crate::common::event::{EarlierBuilds, Event, Phase, Stop};
use crate::nixos::log::Log;
use crate::ui::json::Json;
use crate::ui::plain::Plain;
use crate::ui::state::{Fraction, State};
use crate::ui::tests::terminal::Terminal;
use crate::ui::view::{Item, View, ViewKind};

/// Nix's log of a build of the miniature image: milliseconds, then the line.
const RECORDED: &str = include_str!("../../../tests/streams/mini-build.log");

/// The events of the recorded build up to `until`, each with its time.
pub(super) fn recorded(until: Duration) -> Vec<(Duration, Event)> {
    let mut log = Log::default();
    let mut events = vec![
        (Duration::ZERO, Event::Started(Phase::Upload)),
        (
            Duration::ZERO,
            Event::Finished(Phase::Upload, Duration::from_millis(300)),
        ),
        (Duration::ZERO, Event::LogFile("/home/me/build.log".into())),
        (Duration::ZERO, Event::Started(Phase::Build)),
    ];
    for line in RECORDED.lines() {
        let (at, line) = line.split_once(' ').unwrap();
        let at = Duration::from_millis(at.parse().unwrap());
        if at > until {
            break;
        }
        events.extend(log.line(line).map(|event| (at, Event::Nix(event))));
    }
    events
}

/// How long each derivation of the recorded build took.
fn recorded_times() -> BuildTimes {
    let mut shares = BuildShares::default();
    for (at, event) in recorded(Duration::MAX) {
        if let Event::Nix(event) = event {
            shares.apply(&event, at);
        }
    }
    shares.times()
}

#[test]
fn plain_output_has_no_control_characters_and_no_log() {
    let mut view = View::new(ViewKind::Plain(Plain::default()), 0, false);
    let mut lines = Vec::new();
    for (at, event) in recorded(Duration::MAX) {
        let items = view.tick(at).into_iter().chain(view.handle(&event, at));
        lines.extend(items.map(|item| match item {
            Item::Line(text) | Item::Builder(text) => text,
            Item::Log(_) | Item::Progress(_) | Item::Closed | Item::Paused | Item::Resumed => {
                panic!("the log was not requested")
            }
        }));
    }
    assert!(
        !lines
            .iter()
            .flat_map(|line| line.chars())
            .any(char::is_control)
    );
    assert_eq!(
        lines,
        [
            "Upload: done in 0.3 s",
            "log: /home/me/build.log",
            "to build: 72 derivations",
            "Build: 20 % · 10 s · built 48 of 72 · building linux-6.12.107-1 (3 s), dosfstools-4.2-1.2 (1 s)",
            "Build: 38 % · 21 s · built 57 of 72 · building linux-6.12.107-1-modules-shrunk (4 s), util-linux-2.41.5-0+deb13u1 (1 s)",
            "Build: 94 % · 31 s · built 71 of 72 · building nixos-image-sd-card-26.05.mini-aarch64-linux.img (1 s)",
        ]
    );
}

#[test]
fn failed_checks_are_told_by_their_errors_alone() {
    let lines = |phase| {
        let mut view = View::new(ViewKind::Plain(Plain::default()), 0, false);
        let stopped = Event::Stopped(phase, Duration::from_secs(2), Stop::Failed);
        let events = [Event::Started(phase), stopped, Event::WorkEnded];
        let items = events
            .iter()
            .flat_map(|event| view.handle(event, Duration::from_secs(2)));
        format!("{:?}", items.collect::<Vec<_>>())
    };
    assert!(lines(Phase::Build).contains("Build: failed after"));
    assert_eq!(lines(Phase::Preflight), "[]");
}

#[test]
fn json_output_is_one_object_per_line() {
    let mut view = View::new(ViewKind::Json(Json::default()), 1, true);
    let mut kinds = std::collections::BTreeMap::<String, u32>::new();
    for (at, event) in recorded(Duration::MAX) {
        for item in view.handle(&event, at) {
            let (Item::Line(text) | Item::Builder(text) | Item::Log(text) | Item::Progress(text)) =
                item
            else {
                panic!("{item:?}");
            };
            let object: serde_json::Value = serde_json::from_str(&text).unwrap();
            *kinds
                .entry(object["event"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    let count = |kind: &str| kinds.get(kind).copied();
    assert_eq!(count("will-build"), Some(1));
    assert_eq!(
        (count("build-started"), count("ended")),
        (Some(72), Some(72))
    );
    assert_eq!(
        (count("build-phase"), count("build-line")),
        (Some(38), Some(44))
    );
    assert_eq!(count("nix-message"), Some(108));
}

/// Nothing is known of its derivations but what is typical.
#[test]
fn share_of_a_first_build_is_what_was_built() {
    let events = recorded(Duration::MAX);
    let end = events.last().unwrap().0.as_secs();
    let mut state = State::default();
    let mut events = events.iter().peekable();
    let mut shares = Vec::new();
    for second in 0..end {
        let at = Duration::from_secs(second);
        while let Some((at, event)) = events.next_if(|(when, _)| *when <= at) {
            state.apply(event, *at);
        }
        state.tick(at);
        shares.push(state.fraction().map_or(0, Fraction::percent));
    }
    // The file system is planned with as much as all the others took, which have ended after 27 s.
    assert!(shares.is_sorted(), "{shares:?}");
    assert!(shares[10] > 10 && shares[26] < 55, "{shares:?}");
    assert!(shares[30] < 60, "{shares:?}");
}

/// The percentages on the screen each 0.2 s.
fn percentages(earlier: EarlierBuilds) -> Vec<u64> {
    let events = recorded(Duration::MAX);
    let end = events.last().unwrap().0;
    let mut events = events.into_iter().peekable();
    let mut terminal = Terminal::new(80, 24, 0);
    terminal.show(&[(Duration::ZERO, Event::EarlierBuilds(earlier))]);
    let (mut percentages, mut at) = (Vec::new(), Duration::ZERO);
    while at < end {
        at += Duration::from_millis(50);
        let new: Vec<_> = std::iter::from_fn(|| events.next_if(|(when, _)| *when <= at)).collect();
        terminal.show(&new);
        terminal.picture(at);
        let lines = terminal.lines();
        let of_build = lines.iter().find(|line| line.contains(" Build  "));
        let percent = of_build.and_then(|line| Some(line.rsplit_once(" %")?.0));
        let percent = percent.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        if at.as_millis() % 200 == 0 {
            percentages.extend::<Option<u64>>(percent);
        }
    }
    percentages
}

/// Of a first build, and of the same one again.
#[test]
fn percentages_on_the_screen_never_jump() {
    let again = EarlierBuilds {
        times: recorded_times(),
        ..EarlierBuilds::default()
    };
    for earlier in [EarlierBuilds::default(), again] {
        let is_first = earlier.times.is_empty();
        let shown = percentages(earlier);
        assert!(shown.len() > 100 && shown.is_sorted(), "{shown:?}");
        assert!(
            shown.windows(2).all(|two| two[1] - two[0] <= 12),
            "{shown:?}"
        );
        // Whose times are known is there at the end.
        let last = shown.last().copied().unwrap_or_default();
        assert!(is_first || last > 90, "{shown:?}");
    }
}

/// The same build again: how long each derivation took is known from the first one.
#[test]
fn time_left_of_a_build_seen_before_is_near_the_truth() {
    let events = recorded(Duration::MAX);
    let earlier = EarlierBuilds {
        times: recorded_times(),
        ..EarlierBuilds::default()
    };
    let mut state = State::default();
    state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
    let end = events.last().unwrap().0;
    let second = Duration::from_secs(1);
    let (mut before, mut told) = (end, 0);
    let next = events.iter().skip(1).map(|(at, _)| *at);
    for ((at, event), next) in events.iter().zip(next) {
        state.apply(event, *at);
        // Nix tells that one build fewer runs, and some milliseconds later which one has ended.
        let is_seen = next.saturating_sub(*at) >= Duration::from_millis(5);
        let Some(left) = state.time_left(*at).filter(|_| is_seen) else {
            continue;
        };
        assert!(left <= before + second, "{left:?} after {before:?}");
        let truth = end.saturating_sub(*at);
        assert!(left.abs_diff(truth) < second * 2, "{left:?} of {truth:?}");
        (before, told) = (left, told + 1);
    }
    assert!(told > 100, "{told}");
}
