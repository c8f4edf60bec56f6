//! Empty and broken lines.

use std::time::Duration;

use crate::common::event::{Event, ImageDone, RunSummary};
use crate::common::nix_event::NixEvent;
use crate::ui::plain::Plain;
use crate::ui::view::{Item, View, ViewKind};

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
        up_to_date: true,
        path_follows: false,
        next: Vec::new(),
    };
    let told = texts(view.handle(&Event::ImageDone(image.clone()), SECOND));
    assert_eq!(told, [" ✓ pi.img · 1 B · up to date · 1.0 s"]);
    let again = texts(view.handle(&Event::ImageDone(image), SECOND));
    assert_eq!(again[0], "", "another line is between");
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
