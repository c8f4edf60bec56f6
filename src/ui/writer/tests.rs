use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;
use crate::ui::OutputMode;
use crate::ui::tests::nix_events;
use sdbuild_core::event::Phase;
use sdbuild_core::nix_event::NixEvent;

/// A reader that takes one write each time the test allows it.
struct Slow(SyncSender<Vec<u8>>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.send(bytes.to_vec());
        sent.map(|()| bytes.len())
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A plain view that shows the builder's log.
fn start(screen: Screen) -> Writer {
    let view = View::new(OutputMode::Plain, 1, false);
    Writer::start(screen, view).unwrap()
}

fn slow() -> (Writer, Receiver<Vec<u8>>) {
    let (send, read) = sync_channel(0);
    let writer = start(Screen::plain(Slow(send)));
    (writer, read)
}

/// The prefix of a log line whose build's start was not seen.
const UNNAMED: &str = "?> ";

fn log(line: &str) -> Event {
    let line = line.to_owned();
    Event::Nix(NixEvent::BuildLine { id: 1, line })
}

/// Everything that is read up to `last`.
fn until(read: &Receiver<Vec<u8>>, last: &str) -> String {
    let (mut all, mut from) = (Vec::new(), 0);
    while !String::from_utf8_lossy(&all[from..]).contains(last) {
        from = all.len().saturating_sub(last.len());
        all.extend(read.recv_timeout(Duration::from_secs(20)).unwrap());
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn stalled_reader_misses_only_log_lines() {
    let (writer, read) = slow();
    writer.handle(&Event::Warning("first".into()));
    while !writer.0.lock().items.is_empty() {
        std::thread::yield_now();
    }
    // More than the queue holds, while the thread is blocked in its first write.
    let line = "x".repeat(1000);
    for _ in 0..12_000 {
        writer.handle(&log(&line));
    }
    writer.handle(&Event::Warning("last".into()));
    writer.handle(&Event::Finished(Phase::Build, Duration::ZERO));
    writer.close(Duration::from_millis(1));
    writer.close(Duration::from_hours(1));
    let all = until(&read, "too slowly)");
    for kept in ["warning: first\n", "warning: last\n", "Build: done"] {
        assert!(all.contains(kept), "{kept}");
    }
    let shown = all.matches(&line).count();
    let least = MAX_LOG_BYTES / (2 * line.len() + ITEM_OVERHEAD);
    assert!(
        (least..=MAX_LOG_BYTES / line.len()).contains(&shown),
        "{shown}"
    );
    assert!(all.contains(&format!("({} log lines", 12_000 - shown)));
}

#[test]
fn stalled_program_misses_only_byte_counts() {
    let (send, read) = sync_channel(0);
    let view = View::new(OutputMode::Json, 0, false);
    let writer = Writer::start(Screen::plain(Slow(send)), view).unwrap();
    writer.handle(&Event::Started(Phase::Build));
    while !writer.0.lock().items.is_empty() {
        std::thread::yield_now();
    }
    // Each belongs to another activity, so none is rate-limited.
    let moved = |id| NixEvent::Moved {
        id,
        done: 1,
        expected: 2,
    };
    for id in 0..64_000 {
        writer.handle(&Event::Nix(moved(id)));
    }
    assert!(writer.0.lock().bytes <= MAX_BUILDER_BYTES);
    writer.handle(&Event::Nix(NixEvent::Stopped { id: 7 }));
    writer.handle(&Event::Finished(Phase::Build, Duration::ZERO));
    writer.close(Duration::from_millis(1));
    let all = until(&read, "phase-ended");
    assert!(all.contains("\"ended\"") && all.contains("phase-started"));
    assert!(all.matches("\"progress\"").count() < 64_000);
    assert!(!all.contains("left-out"));
}

#[test]
fn reader_gets_everything_in_order() {
    let (writer, read) = slow();
    let reader = std::thread::spawn(move || until(&read, "done in"));
    for n in 0..5000 {
        writer.handle(&log(&n.to_string()));
    }
    writer.handle(&Event::Finished(Phase::Build, Duration::ZERO));
    writer.close(Duration::from_secs(20));
    let all = reader.join().unwrap();
    let shown = all.lines().filter_map(|line| line.strip_prefix(UNNAMED));
    let numbers: Vec<i32> = shown.filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
}

#[test]
fn question_hides_the_live_view_until_answered() {
    let view = View::new(OutputMode::Live, 0, false);
    let writer = Writer::start(Screen::plain(io::sink()), view).unwrap();
    let size = Size {
        columns: 80,
        rows: 24,
    };
    let is_drawn = || {
        let (_, frame) = writer.0.lock().take(Duration::from_secs(9), size);
        frame.is_some()
    };
    writer.handle(&Event::Started(Phase::Flash));
    assert!(is_drawn());
    writer.pause(Duration::from_secs(20));
    assert!(!is_drawn());
    writer.resume();
    assert!(is_drawn());
    // Ctrl-Z while a command runs.
    writer.pause(Duration::from_secs(20));
    writer.pause(Duration::from_secs(20));
    writer.resume();
    assert!(!is_drawn(), "the command has not ended");
    writer.resume();
    assert!(is_drawn());
}

#[test]
fn broken_pipe_is_ignored() {
    let (writer, read) = slow();
    drop(read);
    writer.handle(&Event::Notice("into the void".into()));
    writer.close(Duration::from_secs(20));
    assert!(!writer.0.lock().reader_stalled);
}

#[test]
fn no_words_of_a_builder_fill_the_memory() {
    let kinds = [OutputMode::Json, OutputMode::Plain, OutputMode::Live];
    for (kind, verbose) in kinds.iter().flat_map(|kind| [(*kind, 0), (*kind, 2)]) {
        let told = match &kind {
            OutputMode::Json => "\"left-out\"",
            OutputMode::Live | OutputMode::Plain | OutputMode::Quiet => "too slowly)",
        };
        let (send, read) = sync_channel(0);
        let view = View::new(kind, verbose, false);
        let writer = Writer::start(Screen::plain(Slow(send)), view).unwrap();
        writer.handle(&Event::Started(Phase::Build));
        writer.handle(&Event::Notice("first".into()));
        for n in 0..260 {
            let line = format!("line {n} {}", "x".repeat(12_000));
            for event in nix_events(n, &line) {
                writer.handle(&Event::Nix(event));
            }
        }
        let queue = writer.0.lock();
        let memory_of = |item: &Item| match item {
            Item::Text(_, text) => text.capacity() + ITEM_OVERHEAD,
            Item::Closed | Item::Paused | Item::Resumed => ITEM_OVERHEAD,
        };
        let kept: usize = queue.items.iter().map(memory_of).sum();
        assert!(kept <= MAX_BUILDER_BYTES, "{kept}");
        let is_full = queue.dropped > 0;
        assert!(is_full || verbose == 0 && told != "\"left-out\"");
        drop(queue);
        writer.handle(&Event::Warning("last".into()));
        writer.close(Duration::from_millis(1));
        let all = until(&read, if is_full { told } else { "last" });
        assert!(all.contains("first") && all.contains("last"));
    }
}

#[test]
fn no_numbers_of_a_builder_end_the_run() {
    let size = Size {
        columns: 80,
        rows: 24,
    };
    for kind in [OutputMode::Json, OutputMode::Plain, OutputMode::Live] {
        let mut view = View::new(kind, 2, false);
        let at = Duration::from_secs;
        view.handle(&Event::Started(Phase::Build), at(0));
        for (n, second) in [
            (u64::MAX, 30),
            (0, 60),
            (u64::MAX - 1, 90),
            (u64::MAX / 2, 120),
        ] {
            for event in nix_events(n, "line") {
                view.handle(&Event::Nix(event), at(second));
            }
            view.tick(at(second + 15));
            let drawn = view.frame(at(second + 20), size);
            assert!(drawn.is_none_or(|frame| frame.below.len() < 24));
        }
    }
}
