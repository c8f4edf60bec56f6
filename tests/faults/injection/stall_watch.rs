//! Detects when the machine itself stalls: a virtual machine that its host suspends, a disk whose journal is being written.
//! No program can meet a time limit then, so short limits do not count that time.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// The pause between two pieces of work.
const PAUSE: Duration = Duration::from_millis(20);
/// A delay up to this length is usual on a machine with a few builds.
const USUAL_DELAY: Duration = Duration::from_millis(250);

/// Writes and removes a small file all the time, and records when that took too long.
pub struct StallWatch(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    stalls: Vec<(Instant, Duration)>,
    /// When the last piece of work was done; `None` once the work has failed.
    last: Option<Instant>,
}

impl StallWatch {
    /// Makes a file below `dir` and removes it.
    pub fn below(dir: &std::path::Path) -> Self {
        let file: PathBuf = dir.join("watch");
        Self::of(move || std::fs::write(&file, "x").and_then(|()| std::fs::remove_file(&file)))
    }

    fn of(work: impl Fn() -> io::Result<()> + Send + 'static) -> Self {
        let notes = Arc::new(Mutex::default());
        let theirs = Arc::downgrade(&notes);
        thread::spawn(move || watch(&theirs, work));
        Self(notes)
    }

    /// How long the machine stood still since `moment`.
    pub fn stalled_for(&self, moment: Instant) -> Duration {
        let notes = self.0.lock().unwrap();
        let now = notes.last.map(|last| (last, last.elapsed()));
        let now = now.filter(|(_, length)| *length > USUAL_DELAY);
        let all = notes.stalls.iter().copied().chain(now);
        all.map(|(start, length)| (start + length).saturating_duration_since(moment.max(start)))
            .sum()
    }
}

fn watch(notes: &Weak<Mutex<Notes>>, work: impl Fn() -> io::Result<()>) {
    let mut last = Instant::now();
    loop {
        let worked = work();
        let took = last.elapsed();
        let Some(notes) = notes.upgrade() else { return };
        let mut notes = notes.lock().unwrap();
        // Work that fails excuses nothing from then on: the disk may be full, and in the end the directory is removed.
        if worked.is_err() {
            notes.last = None;
            return;
        }
        if took > USUAL_DELAY {
            notes.stalls.push((last, took));
        }
        last = Instant::now();
        notes.last = Some(last);
        drop(notes);
        thread::sleep(PAUSE);
    }
}

#[test]
fn stall_is_noticed_during_and_after_it() {
    let (sender, orders) = std::sync::mpsc::channel::<Duration>();
    let watch = StallWatch::of(move || {
        if let Ok(length) = orders.try_recv() {
            thread::sleep(length);
        }
        Ok(())
    });
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    thread::sleep(second);
    let durations = watch.stalled_for(start);
    sender.send(2 * second).unwrap();
    thread::sleep(second * 3 / 2);
    let meanwhile = watch.stalled_for(start).saturating_sub(durations);
    assert!(meanwhile >= second, "{meanwhile:?}");
    thread::sleep(second * 3 / 2);
    let afterwards = watch.stalled_for(start).saturating_sub(durations);
    assert!(afterwards >= 2 * second, "{afterwards:?}");
    let later = Instant::now();
    assert!(watch.stalled_for(later) < second, "that was before");
}

#[test]
fn failing_watch_excuses_nothing() {
    let (sender, orders) = std::sync::mpsc::channel::<()>();
    let watch = StallWatch::of(move || match orders.try_recv() {
        Ok(()) => Err(io::ErrorKind::StorageFull.into()),
        Err(_) => Ok(()),
    });
    sender.send(()).unwrap();
    thread::sleep(2 * USUAL_DELAY);
    let start = Instant::now();
    thread::sleep(4 * USUAL_DELAY);
    assert_eq!(watch.stalled_for(start), Duration::ZERO);
}
