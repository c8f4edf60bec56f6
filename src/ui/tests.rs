//! Recorded events shown on a real pseudo-terminal and read back with a terminal emulator. Time follows the recording.

mod recordings;
mod terminal;

use std::io::Write as _;
use std::time::Duration;

use self::recordings::recorded;
use self::terminal::{MARK, Terminal, pair, read_until_mark, screen_on};
use super::OutputMode;
use super::view::View;
use super::writer::Writer;
use sdbuild_core::event::{Event, ImageDone, Phase};
use sdbuild_core::nix_event::{NixEvent, StepUnit};

/// Two derivations are being built, without log lines yet.
const TWO_BUILDS: Duration = Duration::from_secs(12);
/// One derivation is being built, with log lines.
const ONE_BUILD: Duration = Duration::from_secs(30);

fn lines_of(size: (u16, u16), until: Duration) -> Vec<String> {
    let mut terminal = Terminal::new(size.0, size.1, 0);
    terminal.show(&recorded(until));
    terminal.lines()
}

#[test]
fn a_build_on_a_terminal() {
    assert_eq!(
        lines_of((80, 24), TWO_BUILDS),
        [
            " ✓ Upload                                                                 0.3 s",
            " ⠿ Build               ━━━━━━━━━━━━━━━━━━━━━━━━━╸──────────── 68 %         10 s",
            "     built 49 of 72",
            "     building linux-6.12.107-1                  buildPhase                  4 s",
            "     building e2fsprogs-1.47.2-3+b12            buildPhase                  0 s",
        ]
    );
    let later = lines_of((80, 24), ONE_BUILD);
    assert!(
        later[3].contains("ext4-fs.img") && later[3].contains("NIXOS_SD: "),
        "{later:#?}"
    );
    let narrow = lines_of((40, 15), TWO_BUILDS);
    assert_eq!(
        narrow[3..],
        [
            "     building linux-6.12.107-1  bu… 4 s",
            "     building e2fsprogs-1.47.2-3+b… 0 s",
        ]
    );
    let wide = lines_of((200, 50), TWO_BUILDS);
    let ends = [0, 1, 3, 4].map(|row| console::measure_text_width(&wide[row]));
    assert_eq!(ends, [199; 4], "{wide:#?}");
}

#[test]
fn end_of_a_build() {
    let mut terminal = Terminal::new(80, 40, 1);
    terminal.show(&recorded(Duration::MAX));
    let end = Duration::from_secs(32);
    let image = ImageDone {
        shown: "pi.img.zst".into(),
        size: 34_000_000,
        raw_size: 160_000_000,
        raw: "on the card",
        took: Duration::from_secs(34),
        next: vec![("sdbuild boot".into(), "see it start in a virtual machine")],
        ..ImageDone::default()
    };
    terminal.show(&[
        (end, Event::Finished(Phase::Build, end)),
        (end, Event::WorkEnded),
        (end, Event::ImageDone(image)),
    ]);
    let lines = terminal.lines();
    let from = lines.iter().position(|line| line.starts_with(" ✓ Build"));
    assert_eq!(
        lines[from.unwrap()..],
        [
            " ✓ Build               72 built                                            32 s",
            "slowest derivations: linux-6.12.107-1 (10 s), linux-6.12.107-1-modules-shrunk",
            "  (4.2 s), e2fsprogs-1.47.2-3+b12 (4.0 s), initrd (3.7 s), ext4-fs.img (3.2 s)",
            "",
            " ✓ pi.img.zst · 34 MB, 160 MB on the card · 34 s",
            "   next  sdbuild boot   see it start in a virtual machine",
        ]
    );
}

/// The build of a derivation begins.
pub(super) fn began(id: u64, name: &str) -> NixEvent {
    NixEvent::BuildStarted {
        id,
        derivation: format!("/nix/store/{}-{name}.drv", "a".repeat(32)),
        machine: String::new(),
    }
}

/// One event of every kind, whose numbers and texts differ for each `n`, with `line` in place of each long text.
#[rustfmt::skip]
pub(super) fn nix_events(n: u64, line: &str) -> Vec<NixEvent> {
    let (id, text) = (n, || line.to_owned());
    vec![
        NixEvent::WillEmulate { derivations: n },
        NixEvent::WillBuild { derivations: n },
        NixEvent::WillFetch { paths: n, download: n, unpacked: n },
        NixEvent::Restarted,
        began(id, &n.to_string()),
        NixEvent::BuildPhase { id, phase: text() },
        NixEvent::BuildLine { id, line: text() },
        NixEvent::Step { id, unit: StepUnit::Bytes, done: n, expected: n },
        NixEvent::Step { id, unit: StepUnit::Paths, done: n, expected: n },
        NixEvent::Moved { id, done: n, expected: n / 2 },
        NixEvent::Built { done: n, expected: n, running: n },
        NixEvent::Fetched { done: n, expected: n },
        NixEvent::ToDownload { bytes: n },
        NixEvent::Message { level: 1, text: text() },
        NixEvent::FetchStarted { id: n.wrapping_add(1_000_000), path: text(), cache: text() },
        NixEvent::Stopped { id: n / 2 },
        NixEvent::Other(text()),
    ]
}

/// `builds` concurrent builds, each with a line that tries to control the terminal.
fn crowd(builds: u64) -> Vec<(Duration, Event)> {
    let mut events = vec![(Duration::ZERO, Event::Started(Phase::Build))];
    for id in 0..builds {
        let line = format!("\u{1b}[2J\r\u{9b}1;1H\u{202e}line of {id}");
        let began = began(id, &format!("build-{id}"));
        for event in [began, NixEvent::BuildLine { id, line }] {
            events.push((Duration::ZERO, Event::Nix(event)));
        }
    }
    events
}

#[test]
fn resized_terminal_is_redrawn() {
    let mut terminal = Terminal::new(80, 24, 0);
    terminal.show(&crowd(30));
    assert_eq!(terminal.lines().len(), 12);
    terminal.resize(100, 10);
    terminal.picture(Duration::from_secs(1));
    let lines = terminal.lines();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(
        lines[0].chars().count() > 80,
        "as wide as it is now: {lines:#?}"
    );
    assert_eq!(lines.last().unwrap(), "     and 28 more");
}

#[test]
fn narrower_terminal_keeps_no_line_of_the_view_before() {
    let mut terminal = Terminal::new(120, 24, 0);
    terminal.show(&[(Duration::ZERO, Event::Notice("above".into()))]);
    terminal.show(&crowd(3));
    for columns in [70, 41, 90] {
        terminal.resize_and_wrap(columns);
        terminal.picture(Duration::from_secs(columns.into()));
        let lines = terminal.lines();
        assert_eq!(lines[0], "above");
        assert!(lines[1].contains(" Build "), "{lines:#?}");
        assert_eq!(lines.len(), 6, "{lines:#?}");
    }
}

#[test]
fn echo_of_ctrl_c_does_not_stay() {
    // Between two phases there is no live view.
    for events in [crowd(2), Vec::new()] {
        let mut terminal = Terminal::new(80, 24, 0);
        terminal.show(&events);
        terminal.echo("^C");
        terminal.screen.show("interrupted\n", None);
        terminal.read();
        assert_eq!(terminal.lines(), ["interrupted"]);
    }
}

#[test]
fn the_view_comes_back_below_the_output_of_a_command() {
    for (output, shown) in [("ok", 1), ("a", 1), ("ok\r\n", 1), ("", 0)] {
        let mut terminal = Terminal::new(40, 24, 0);
        terminal.echo(output);
        terminal.screen.begin_line();
        terminal.show(&[(Duration::ZERO, Event::Started(Phase::PowerOff))]);
        let lines = terminal.lines();
        assert_eq!(lines.len(), shown + 1, "{lines:?}");
        assert!(lines[shown].contains("Switch off"), "{lines:?}");
        assert_eq!(lines[..shown].concat(), output.trim_end());
    }
}

#[test]
fn foreign_text_does_not_control_the_terminal() {
    let mut terminal = Terminal::new(80, 24, 2);
    terminal.show(&crowd(3));
    let lines = terminal.lines();
    let log = "build-2> \\u{1b}[2J\\u{d}\\u{9b}1;1H\\u{202e}line of 2";
    assert!(lines.iter().any(|line| line == log), "{lines:#?}");
    assert!(lines[0].starts_with("building '/nix/store/"), "{lines:#?}");
    assert_eq!(lines.len(), 6 + 5, "{lines:#?}");
}

#[test]
fn closed_view_leaves_no_lines() {
    let mut terminal = Terminal::new(80, 24, 0);
    terminal.show(&crowd(5));
    terminal.screen.close();
    terminal.screen.show("after\n", None);
    terminal.read();
    assert_eq!(terminal.lines(), ["after"]);
}

#[test]
fn many_lines_above_a_live_view_take_few_writes() {
    const LINES: u64 = 10_000;
    let (mut keyboard, display) = pair(80, 24);
    let view = View::new(OutputMode::Live, 1, false);
    let writer = Writer::start(screen_on(&display), view).unwrap();
    let reader = std::thread::spawn(move || read_until_mark(&mut keyboard).unwrap());
    for (_, event) in crowd(1) {
        writer.handle(&event);
    }
    let line = |n: u64| format!("{n} {}", "x".repeat(60));
    for n in 0..LINES {
        let line = line(n);
        writer.handle(&Event::Nix(NixEvent::BuildLine { id: 0, line }));
        // Like a build: the writer could write each line as it comes.
        std::thread::park_timeout(Duration::from_micros(100));
    }
    writer.close(Duration::from_mins(1));
    (&display).write_all(MARK).unwrap();
    let bytes = reader.join().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let shown: Vec<&str> = text
        .lines()
        .filter_map(|l| l.split("build-0> ").nth(1))
        .collect();
    assert_eq!(shown.len() as u64, LINES + 1);
    assert!(
        (0..LINES)
            .zip(&shown[1..])
            .all(|(n, shown)| line(n) == shown.trim_end())
    );
    let alone = shown.iter().map(|line| line.len() + 11).sum::<usize>();
    assert!(
        text.len() < alone * 3 / 2,
        "{} bytes for {alone}",
        text.len()
    );
}
