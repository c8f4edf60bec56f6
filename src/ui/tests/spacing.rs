//! Empty and broken lines.

use std::time::Duration;

use crate::ui::view::{Item, Plain, View, ViewKind};
use sdbuild_core::event::{Event, ImageDone, Phase, RunSummary, Stop};
use sdbuild_core::nix_event::NixEvent;

const SECOND: Duration = Duration::from_secs(1);

fn texts(items: Vec<Item>) -> Vec<String> {
    let mut texts = Vec::new();
    for item in items {
        if let Item::Line(text) = item {
            texts.push(text);
        }
    }
    texts
}

#[test]
fn an_image_that_is_up_to_date_follows_one_empty_line() {
    let mut view = View::new(ViewKind::Live, 0, false);
    let first = texts(view.handle(&Event::RunStarted(RunSummary::default()), SECOND));
    assert_eq!(first.last().map(String::as_str), Some(""));
    let image = ImageDone {
        path: "/pi/pi.img".into(),
        shown: "pi.img".into(),
        size: 1,
        raw_size: 1,
        raw: "on the card",
        sha256: "ab".into(),
        took: SECOND,
        is_booted_next: false,
        up_to_date: true,
        older: Vec::new(),
        path_follows: false,
        next: Vec::new(),
    };
    let told = texts(view.handle(&Event::ImageDone(image.clone()), SECOND));
    assert_eq!(told, [" ✓ pi.img · 1 B · up to date · 1.0 s"]);
    let again = texts(view.handle(&Event::ImageDone(image), SECOND));
    assert_eq!(again[0], "", "another line is between");
}

/// What a run tells whose build stops for the reason `stop`, with `end` as its last event.
fn told_of(kind: ViewKind, stop: Stop, end: Option<Event>) -> Vec<String> {
    let mut view = View::new(kind, 0, false);
    let header = Event::RunStarted(RunSummary::default());
    view.handle(&header, Duration::ZERO);
    let events = [
        Event::Started(Phase::Build),
        Event::Stopped(Phase::Build, SECOND, stop),
        Event::Started(Phase::Release),
        Event::Finished(Phase::Release, SECOND),
    ];
    let events = events.into_iter().chain(end);
    let told = events.flat_map(|event| view.handle(&event, SECOND));
    texts(told.collect())
}

#[test]
fn a_failure_is_told_before_the_clean_up() {
    let plain = ViewKind::Plain(Plain::default());
    assert_eq!(
        told_of(plain, Stop::Failed, Some(Event::WorkEnded)),
        ["Build: failed after 1.0 s", "Clean up: done in 1.0 s"]
    );
    let told = told_of(ViewKind::Live, Stop::Failed, Some(Event::WorkEnded));
    assert_eq!(marks(&told), [" ✗ Build", " ✓ Clean up"]);
}

/// The first part of each line.
fn marks(told: &[String]) -> Vec<&str> {
    told.iter()
        .map(|line| line.split_at(20).0.trim_end())
        .collect()
}

/// Once, a build that Ctrl-C stopped was told as a failure, and later its line disappeared.
#[test]
fn an_interruption_is_not_told_as_a_failure() {
    let told = told_of(ViewKind::Live, Stop::Interrupted, None);
    assert_eq!(marks(&told), [" ■ Build", " ✓ Clean up"]);
    assert!(told[0].contains("  interrupted  "), "{told:?}");
    let plain = ViewKind::Plain(Plain::default());
    assert_eq!(
        told_of(plain, Stop::Interrupted, None),
        ["Build: interrupted after 1.0 s", "Clean up: done in 1.0 s"]
    );
}

#[test]
fn no_emulation_is_not_told() {
    let mut view = View::new(ViewKind::Plain(Plain::default()), 0, false);
    let none = Event::Nix(NixEvent::WillEmulate { derivations: 0 });
    assert!(view.handle(&none, SECOND).is_empty());
}

#[test]
fn lines_behind_the_end_of_the_view_are_broken_too() {
    let mut view = View::new(ViewKind::Live, 0, false);
    view.set_columns(40);
    view.end_live();
    let notice = Event::Notice("next: look through the file, then `sdbuild build`".into());
    assert_eq!(
        texts(view.handle(&notice, SECOND)),
        ["next: look through the file, then\n  `sdbuild build`"]
    );
}
