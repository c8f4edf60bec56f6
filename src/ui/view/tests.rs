use super::*;
use sdbuild_core::event::RunSummary;

const SECOND: Duration = Duration::from_secs(1);

fn texts(items: impl IntoIterator<Item = Item>) -> Vec<String> {
    let text = |item| match item {
        Item::Text(_, text) => Some(text),
        Item::Closed | Item::Paused | Item::Resumed => None,
    };
    items.into_iter().filter_map(text).collect()
}

/// What a run shows about its phases, with a header or without one.
fn shown(has_header: bool, events: &[Event]) -> Vec<String> {
    let mut view = View::new(OutputMode::Plain, 0, false);
    if has_header {
        view.handle(&Event::RunStarted(RunSummary::default()), SECOND);
    }
    let items = events.iter().flat_map(|event| view.handle(event, SECOND));
    texts(items.collect::<Vec<_>>())
}

fn stopped(phase: Phase, stop: Stop) -> Event {
    Event::Stopped(phase, SECOND, stop)
}

#[test]
fn failures_and_interruptions_are_shown_when_they_happen() {
    let released = Event::Finished(Phase::Release, SECOND);
    let end = Event::WorkEnded;
    for (stop, line) in [
        (Stop::Failed, "Build: failed after 1.0 s"),
        (Stop::Interrupted, "Build: interrupted after 1.0 s"),
    ] {
        let events = [stopped(Phase::Build, stop), released.clone(), end.clone()];
        assert_eq!(shown(true, &events), [line, "Clean up: done in 1.0 s"]);
    }
    // Without a header, only the end tells the phase.
    let events = [stopped(Phase::Boot, Stop::Failed), released, end.clone()];
    let lines = ["Clean up: done in 1.0 s", "Boot: failed after 1.0 s"];
    assert_eq!(shown(false, &events), lines);
    // A warning says what the run survives, and the errors say what the checks found.
    let events = [
        stopped(Phase::GiveBack, Stop::Tolerated),
        stopped(Phase::Preflight, Stop::Failed),
        end,
    ];
    assert!(shown(true, &events).is_empty());
}

#[test]
fn what_waits_for_an_answer_has_failed_only_at_the_end() {
    let (asks, end) = (stopped(Phase::CopyOut, Stop::Question), Event::WorkEnded);
    let events = [asks.clone(), end.clone()];
    assert_eq!(shown(true, &events), ["Image: failed after 1.0 s"]);
    let done = Event::Finished(Phase::CopyOut, SECOND);
    let events = [asks, done, end];
    assert_eq!(shown(true, &events), ["Image: done in 1.0 s"]);
}

#[test]
fn lines_and_progress_go_on_after_the_live_view() {
    let mut view = View::new(OutputMode::Live, 0, false);
    view.set_columns(40);
    view.end_live();
    let notice = Event::Notice("next: look through the file, then `sdbuild build`".into());
    assert_eq!(
        texts(view.handle(&notice, SECOND)),
        ["next: look through the file, then\n  `sdbuild build`"]
    );
    view.handle(&Event::Started(Phase::Unpack), SECOND);
    let (phase, done, total) = (Phase::Unpack, 5000, None);
    view.handle(&Event::Bytes { phase, done, total }, SECOND);
    let line = texts(view.tick(SECOND * 20));
    assert_eq!(line, ["Unpack the image: 19 s · 5.0 kB · 263 B/s"]);
    let (columns, rows) = (80, 24);
    assert_eq!(view.frame(SECOND, Size { columns, rows }), None);
}

/// A view that is ticked every second.
struct Recorder {
    view: View,
    lines: Vec<(u64, String)>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            view: View::new(OutputMode::Plain, 0, false),
            lines: Vec::new(),
        }
    }
}

impl Recorder {
    fn handle(&mut self, second: u64, event: &Event) {
        let items = self.view.handle(event, Duration::from_secs(second));
        let lines = texts(items).into_iter();
        self.lines.extend(lines.map(|line| (second, line)));
    }

    fn watch(&mut self, seconds: std::ops::Range<u64>) {
        for second in seconds {
            let items = self.view.tick(Duration::from_secs(second));
            let lines = texts(items).into_iter();
            self.lines.extend(lines.map(|line| (second, line)));
        }
    }

    fn at(&self) -> Vec<u64> {
        self.lines.iter().map(|(at, _)| *at).collect()
    }
}

#[test]
fn line_needs_ten_seconds_and_ten_per_cent() {
    let mut recorder = Recorder::default();
    recorder.handle(0, &Event::Started(Phase::CopyOut));
    for second in 0..=300 {
        let (phase, done, total) = (Phase::CopyOut, second, Some(300));
        recorder.handle(second, &Event::Bytes { phase, done, total });
        recorder.watch(second..second + 1);
    }
    // The first line after ten seconds, then one for each tenth.
    assert_eq!(
        recorder.at(),
        [10, 40, 70, 100, 130, 160, 190, 220, 250, 280]
    );
    let line = &recorder.lines[4].1;
    assert_eq!(line, "Image: 43 % · 2 min 10 s · 130 of 300 B · 1 B/s");
}

#[test]
fn phase_without_news_gets_a_line_every_minute() {
    let mut recorder = Recorder::default();
    recorder.handle(0, &Event::Started(Phase::Boot));
    recorder.watch(0..80);
    let detail = "until a login succeeds".to_owned();
    recorder.handle(80, &Event::Detail(Phase::Boot, detail));
    recorder.watch(80..150);
    assert_eq!(recorder.at(), [10, 70, 130]);
    assert_eq!(recorder.lines[1].1, "Boot: 1 min 10 s");
    let last = &recorder.lines[2].1;
    assert_eq!(last, "Boot: 2 min 10 s · until a login succeeds");
}
