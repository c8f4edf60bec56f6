use super::*;
use sdbuild_core::event::RunSummary;

const SECOND: Duration = Duration::from_secs(1);

/// The phases that are due after each of the events.
fn due(events: &[Event]) -> Vec<Vec<Phase>> {
    let mut failures = Failures::default();
    let due = events.iter().map(|event| {
        failures
            .due(event)
            .iter()
            .map(|ended| ended.phase)
            .collect()
    });
    due.collect()
}

fn header() -> Event {
    Event::RunStarted(RunSummary::default())
}

fn stopped(phase: Phase, stop: Stop) -> Event {
    Event::Stopped(phase, SECOND, stop)
}

#[test]
fn a_failure_is_shown_once_when_it_happens() {
    let events = [
        header(),
        stopped(Phase::Build, Stop::Failed),
        stopped(Phase::Release, Stop::Failed),
        Event::WorkEnded,
    ];
    let none = vec![];
    let each = [none.clone(), vec![Phase::Build], vec![Phase::Release], none];
    assert_eq!(due(&events), each);
}

/// Once, a machine of an earlier run that could not be given back was told as a failure of the run, which hid a later one of its own.
#[test]
fn what_the_run_survives_hides_no_later_failure() {
    let tolerated = stopped(Phase::GiveBack, Stop::Tolerated);
    let events = [tolerated.clone(), header(), Event::WorkEnded];
    assert!(due(&events).concat().is_empty());
    let failed = |phase| stopped(phase, Stop::Failed);
    let events = [
        tolerated,
        header(),
        failed(Phase::Build),
        failed(Phase::GiveBack),
        failed(Phase::GiveBack),
        Event::WorkEnded,
    ];
    let expected = [Phase::Build, Phase::GiveBack, Phase::GiveBack];
    assert_eq!(due(&events).concat(), expected);
}

#[test]
fn without_a_header_a_failure_is_shown_at_the_end() {
    let events = [stopped(Phase::Boot, Stop::Failed), Event::WorkEnded];
    assert_eq!(due(&events), [vec![], vec![Phase::Boot]]);
}

#[test]
fn what_waits_for_an_answer_has_failed_only_at_the_end() {
    let asks = stopped(Phase::CopyOut, Stop::Question);
    let events = [header(), asks.clone(), Event::WorkEnded];
    assert_eq!(due(&events), [vec![], vec![], vec![Phase::CopyOut]]);
    let done = Event::Finished(Phase::CopyOut, SECOND);
    let events = [header(), asks, done, Event::WorkEnded];
    assert!(due(&events).concat().is_empty());
}

/// A view that is ticked every second.
#[derive(Default)]
struct Recorder {
    plain: Plain,
    state: State,
    lines: Vec<(u64, String)>,
}

impl Recorder {
    fn handle(&mut self, second: u64, event: &Event) {
        let at = Duration::from_secs(second);
        let line = self.plain.line(event, &self.state, at, false);
        self.lines.extend(line.map(|line| (second, line)));
        self.state.apply(event, at);
    }

    fn watch(
        &mut self,
        seconds: std::ops::Range<u64>,
        mut each: impl FnMut(u64) -> Option<NixEvent>,
    ) {
        for second in seconds {
            if let Some(event) = each(second) {
                self.handle(second, &Event::Nix(event));
            }
            let line = self.plain.tick(&self.state, Duration::from_secs(second));
            self.lines.extend(line.map(|line| (second, line)));
        }
    }

    fn at(&self) -> Vec<u64> {
        self.lines.iter().map(|(at, _)| *at).collect()
    }
}

fn began(id: u64, name: &str) -> Event {
    let derivation = format!("/nix/store/{}-{name}.drv", "a".repeat(32));
    Event::Nix(NixEvent::BuildStarted {
        id,
        derivation,
        machine: String::new(),
    })
}

#[test]
fn long_build_is_named_and_its_end_has_a_line() {
    let mut recorder = Recorder::default();
    recorder.handle(0, &Event::Started(Phase::Build));
    recorder.handle(1, &began(1, "kernel"));
    recorder.handle(1, &began(2, "quick"));
    recorder.handle(3, &Event::Nix(NixEvent::Stopped { id: 2 }));
    recorder.watch(4..75, |_| None);
    recorder.handle(80, &Event::Nix(NixEvent::Stopped { id: 1 }));
    let lines: Vec<_> = recorder
        .lines
        .iter()
        .map(|(at, l)| (*at, l.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            (
                10,
                "Build: 10 s · evaluating the configuration · building kernel (9 s)"
            ),
            (
                70,
                "Build: 1 min 10 s · evaluating the configuration · building kernel (1 min 09 s)"
            ),
            (80, "kernel: built in 1 min 19 s"),
        ]
    );
}

#[test]
fn line_needs_ten_seconds_and_ten_per_cent() {
    let mut recorder = Recorder::default();
    recorder.handle(0, &Event::Started(Phase::CopyOut));
    for second in 0..=300 {
        let (phase, done, total) = (Phase::CopyOut, second, Some(300));
        recorder.handle(second, &Event::Bytes { phase, done, total });
        recorder.watch(second..second + 1, |_| None);
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
    recorder.watch(0..80, |_| None);
    let detail = "until a login succeeds".to_owned();
    recorder.handle(80, &Event::Detail(Phase::Boot, detail));
    recorder.watch(80..150, |_| None);
    assert_eq!(recorder.at(), [10, 70, 130]);
    assert_eq!(recorder.lines[1].1, "Boot: 1 min 10 s");
    let last = &recorder.lines[2].1;
    assert_eq!(last, "Boot: 2 min 10 s · until a login succeeds");
}
