//! A recorded build, and its output without a live view.

use std::time::Duration;

use crate::ui::OutputMode;
use crate::ui::view::{Item, Kind, View};
use sdbuild_core::event::{Event, Phase};
use sdbuild_nix::log::Log;

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

#[test]
fn plain_output_has_no_control_characters_and_no_log() {
    let mut view = View::new(OutputMode::Plain, 0, false);
    let mut lines = Vec::new();
    for (at, event) in recorded(Duration::MAX) {
        let items = view.tick(at).into_iter().chain(view.handle(&event, at));
        lines.extend(items.map(|item| match item {
            Item::Text(Kind::Own | Kind::Builder, text) => text,
            other @ (Item::Text(..) | Item::Closed | Item::Paused | Item::Resumed) => {
                panic!("not requested: {other:?}")
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
            "Build: 66 % · 10 s · built 48 of 72 · building linux-6.12.107-1 (3 s), dosfstools-4.2-1.2 (1 s)",
            "Build: 79 % · 21 s · built 57 of 72 · building linux-6.12.107-1-modules-shrunk (4 s), util-linux-2.41.5-0+deb13u1 (1 s)",
            "Build: 98 % · 31 s · built 71 of 72 · building nixos-image-sd-card-26.05.mini-aarch64-linux.img (1 s)",
        ]
    );
}
