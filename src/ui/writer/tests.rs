use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;
use crate::common::event::{NixEvent, Phase};
use crate::ui::json::Json;
use crate::ui::plain::Plain;
use crate::ui::view::Kind;

/// A reader that takes one piece for each word of the test, and none unasked.
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

/// A view without a terminal that shows the builder's log.
fn start(screen: Screen) -> Writer {
    let view = View::new(Kind::Plain(Plain::default()), 1, false);
    Writer::start(screen, view).unwrap()
}

fn slow() -> (Writer, Receiver<Vec<u8>>) {
    let (send, read) = sync_channel(0);
    let writer = start(Screen::plain(Slow(send)));
    (writer, read)
}

/// What stands before the line of a build that nobody saw begin.
const UNNAMED: &str = "?> ";

fn log(line: &str) -> Event {
    let line = line.to_owned();
    Event::Nix(NixEvent::BuildLine { id: 1, line })
}

/// All that is read until `last` comes.
fn until(read: &Receiver<Vec<u8>>, last: &str) -> String {
    let mut all = String::new();
    while !all.contains(last) {
        let piece = read.recv_timeout(Duration::from_secs(20));
        all.push_str(&String::from_utf8(piece.unwrap()).unwrap());
    }
    all
}

#[test]
fn a_reader_that_stops_holds_nobody_up_and_misses_only_the_log() {
    let (writer, read) = slow();
    writer.take(&Event::Warning("first".into()));
    while !writer.0.lock().waiting.is_empty() {
        std::thread::yield_now();
    }
    // More than may wait, while the thread is in its first write: nobody has read a byte.
    let line = "x".repeat(1000);
    for _ in 0..20_000 {
        writer.take(&log(&line));
    }
    writer.take(&Event::Warning("last".into()));
    writer.take(&Event::Finished(Phase::Build, Duration::ZERO));
    writer.close(Duration::from_millis(1));
    writer.close(Duration::from_secs(3600));
    let all = until(&read, "left out)");
    for kept in [
        "warning: first\n",
        "warning: last\n",
        "build with Nix: done",
    ] {
        assert!(all.contains(kept), "{kept}");
    }
    let shown = all.matches(&line).count();
    assert_eq!(shown, MOST_WAITING / (line.len() + UNNAMED.len()));
    assert!(all.contains(&format!("({} lines", 20_000 - shown)));
}

#[test]
fn programs_that_do_not_read_miss_counts_and_no_change() {
    let (send, read) = sync_channel(0);
    let view = View::new(Kind::Json(Json::default()), 0, false);
    let writer = Writer::start(Screen::plain(Slow(send)), view).unwrap();
    writer.take(&Event::Started(Phase::Build));
    while !writer.0.lock().waiting.is_empty() {
        std::thread::yield_now();
    }
    // Each is of another activity, so none is too soon after the last.
    let moved = |id| NixEvent::Moved {
        id,
        done: 1,
        expected: 2,
    };
    for id in 0..120_000 {
        writer.take(&Event::Nix(moved(id)));
    }
    assert!(writer.0.lock().bytes <= MOST_WAITING);
    writer.take(&Event::Nix(NixEvent::Stopped { id: 7 }));
    writer.take(&Event::Finished(Phase::Build, Duration::ZERO));
    writer.close(Duration::from_millis(1));
    let all = until(&read, "phase-ended");
    assert!(all.contains("\"ended\"") && all.contains("phase-started"));
    assert!(all.matches("\"progress\"").count() < 120_000);
    assert!(!all.contains("left-out"));
}

#[test]
fn a_reader_that_reads_gets_everything_in_order() {
    let (writer, read) = slow();
    let reader = std::thread::spawn(move || until(&read, "done in"));
    for n in 0..5000 {
        writer.take(&log(&n.to_string()));
    }
    writer.take(&Event::Finished(Phase::Build, Duration::ZERO));
    writer.close(Duration::from_secs(20));
    let all = reader.join().unwrap();
    let said = all.lines().filter_map(|line| line.strip_prefix(UNNAMED));
    let numbers: Vec<i32> = said.filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
}

#[test]
fn a_question_takes_the_live_view_away_for_as_long_as_it_is_open() {
    let view = View::new(Kind::Live, 0, false);
    let writer = Writer::start(Screen::plain(io::sink()), view).unwrap();
    let size = Size {
        columns: 80,
        rows: 24,
    };
    let is_drawn = || {
        let batch = writer.0.lock().empty(Duration::from_secs(9), size);
        batch.frame.is_some_and(|frame| !frame.is_empty())
    };
    writer.take(&Event::Started(Phase::Flash));
    assert!(is_drawn());
    writer.pause(Duration::from_secs(20));
    assert!(!is_drawn());
    writer.resume();
    assert!(is_drawn());
}

#[test]
fn a_broken_pipe_is_nobody() {
    let (writer, read) = slow();
    drop(read);
    writer.take(&Event::Notice("into the void".into()));
    writer.close(Duration::from_secs(20));
    assert!(!writer.0.lock().given_up);
}
