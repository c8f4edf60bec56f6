//! Whether the machine itself stands still: a virtual one that its host leaves waiting, a disk whose journal
//! is being written out. Nobody keeps a time limit then, so the limits of a few moments leave it out.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How often the watch does its little work.
const BEAT: Duration = Duration::from_millis(20);
/// What a machine with a few builds on it makes it wait for at times.
const USUAL: Duration = Duration::from_millis(250);

/// Does a little work all the time, of the kind that everybody needs, and notes when it could not.
pub struct StallWatch(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    stalls: Vec<(Instant, Duration)>,
    /// When the last piece of work was done, while there is a watch.
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
        let now = now.filter(|(_, length)| *length > USUAL);
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
        // Whoever cannot work excuses nothing from then on: a disk may be full, and at the end of all the directory goes.
        if worked.is_err() {
            notes.last = None;
            return;
        }
        if took > USUAL {
            notes.stalls.push((last, took));
        }
        last = Instant::now();
        notes.last = Some(last);
        drop(notes);
        thread::sleep(BEAT);
    }
}

#[test]
fn a_machine_that_stands_still_is_noticed_while_it_does_and_afterwards() {
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
fn a_witness_that_cannot_work_excuses_nothing() {
    let (sender, orders) = std::sync::mpsc::channel::<()>();
    let watch = StallWatch::of(move || match orders.try_recv() {
        Ok(()) => Err(io::ErrorKind::StorageFull.into()),
        Err(_) => Ok(()),
    });
    sender.send(()).unwrap();
    thread::sleep(2 * USUAL);
    let start = Instant::now();
    thread::sleep(4 * USUAL);
    assert_eq!(watch.stalled_for(start), Duration::ZERO);
}
