//! Whether the machine itself stands still: a virtual one that its host leaves waiting, a disk whose journal
//! is being written out. Nobody keeps a time limit then, so the limits of a few moments leave it out.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How often the witness does its little work.
const BEAT: Duration = Duration::from_millis(20);
/// What a machine with a few builds on it makes it wait for at times.
const USUAL: Duration = Duration::from_millis(250);

/// Does a little work all the time, of the kind that everybody needs, and notes when it could not.
pub struct Witness(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    stalls: Vec<(Instant, Duration)>,
    /// When the last piece of work was done, while there is a witness.
    last: Option<Instant>,
}

impl Witness {
    /// Makes a file below `dir` and removes it.
    pub fn below(dir: &std::path::Path) -> Self {
        let file: PathBuf = dir.join("witness");
        Self::of(move || std::fs::write(&file, "x").and_then(|()| std::fs::remove_file(&file)))
    }

    fn of(work: impl Fn() -> io::Result<()> + Send + 'static) -> Self {
        let notes = Arc::new(Mutex::default());
        let theirs = Arc::downgrade(&notes);
        thread::spawn(move || watch(&theirs, work));
        Self(notes)
    }

    /// How long the machine stood still since `moment`.
    pub fn stood_still(&self, moment: Instant) -> Duration {
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
    let witness = Witness::of(move || {
        if let Ok(length) = orders.try_recv() {
            thread::sleep(length);
        }
        Ok(())
    });
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    thread::sleep(second);
    let usual = witness.stood_still(start);
    sender.send(2 * second).unwrap();
    thread::sleep(second * 3 / 2);
    let meanwhile = witness.stood_still(start).saturating_sub(usual);
    assert!(meanwhile >= second, "{meanwhile:?}");
    thread::sleep(second * 3 / 2);
    let afterwards = witness.stood_still(start).saturating_sub(usual);
    assert!(afterwards >= 2 * second, "{afterwards:?}");
    let later = Instant::now();
    assert!(witness.stood_still(later) < second, "that was before");
}

#[test]
fn a_witness_that_cannot_work_excuses_nothing() {
    let (sender, orders) = std::sync::mpsc::channel::<()>();
    let witness = Witness::of(move || match orders.try_recv() {
        Ok(()) => Err(io::ErrorKind::StorageFull.into()),
        Err(_) => Ok(()),
    });
    sender.send(()).unwrap();
    thread::sleep(2 * USUAL);
    let start = Instant::now();
    thread::sleep(4 * USUAL);
    assert_eq!(witness.stood_still(start), Duration::ZERO);
}
