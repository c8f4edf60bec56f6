//! Between those who emit events and the screen: a bounded queue and a thread that alone writes.
//!
//! Whoever emits never waits for a reader. When nobody reads, lines of the builder's log are left out and
//! counted, counts of bytes for programs are left out, and what is said of the run itself is kept. How far
//! a phase is needs no queue: the thread looks at the newest state when it comes to it.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::common::event::Event;
use crate::ui::frame::Size;
use crate::ui::screen::Screen;
use crate::ui::view::{Item, View};

/// Bytes of text that wait for a slow reader: some hundred thousand lines of a build's log.
const MOST_WAITING: usize = 8 << 20;
/// The least time between two pieces that are written above a live view: each draws the view anew.
const BREATH: Duration = Duration::from_millis(50);

/// The sending side; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inbox: Mutex<Inbox>,
    news: Condvar,
    written: Condvar,
    start: Instant,
}

#[derive(Debug)]
struct Inbox {
    view: View,
    waiting: VecDeque<Item>,
    bytes: usize,
    left_out: u64,
    /// Items that came in and that were written, ever.
    came: u64,
    wrote: u64,
    /// The live view goes: nobody has to wait for the next picture.
    closing: bool,
    /// Somebody else has the terminal for a moment.
    paused: bool,
    /// Somebody waited for the reader in vain.
    given_up: bool,
}

/// What the thread takes out in one go.
struct Batch {
    items: VecDeque<Item>,
    left_out: Option<String>,
    frame: Option<Vec<String>>,
    upto: u64,
}

impl Writer {
    /// Starts the thread that writes what `view` makes of the events to `screen`.
    pub(super) fn start(screen: Screen, view: View) -> io::Result<Self> {
        let inbox = Inbox {
            view,
            waiting: VecDeque::new(),
            bytes: 0,
            left_out: 0,
            came: 0,
            wrote: 0,
            closing: false,
            paused: false,
            given_up: false,
        };
        let shared = Arc::new(Shared {
            inbox: Mutex::new(inbox),
            news: Condvar::new(),
            written: Condvar::new(),
            start: Instant::now(),
        });
        let theirs = Arc::clone(&shared);
        // Never joined: it may be in a write that nobody lets end. It goes with the process.
        drop(
            std::thread::Builder::new()
                .name("ui".to_owned())
                .spawn(move || theirs.write_to(screen))?,
        );
        Ok(Self(shared))
    }

    /// Takes note of `event`; returns at once.
    pub(super) fn take(&self, event: &Event) {
        let at = self.0.start.elapsed();
        let mut inbox = self.0.lock();
        let items = inbox.view.hear(event, at);
        // Most events are but a part of the next picture, which comes by itself.
        let stirs = !items.is_empty() || matches!(event, Event::Started(_));
        for item in items {
            inbox.push(item);
        }
        if stirs {
            self.0.news.notify_one();
        }
    }

    /// Takes the live view away for good and waits until everything is written, `patience` at most. Nobody
    /// waits a second time for a reader that was waited for in vain.
    pub(super) fn close(&self, patience: Duration) {
        self.pass(Item::Closed, patience);
    }

    /// Takes the live view away until [`Writer::resume`], and waits like [`Writer::close`].
    pub(super) fn pause(&self, patience: Duration) {
        self.pass(Item::Paused, patience);
    }

    /// The terminal is ours again.
    pub(super) fn resume(&self) {
        self.0.lock().paused = false;
        self.0.news.notify_one();
    }

    fn pass(&self, item: Item, patience: Duration) {
        let mut inbox = self.0.lock();
        inbox.push(item);
        self.0.news.notify_one();
        if inbox.given_up {
            return;
        }
        let upto = inbox.came;
        let waits = |inbox: &mut Inbox| inbox.wrote < upto;
        let waited = self.0.written.wait_timeout_while(inbox, patience, waits);
        let (mut inbox, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        inbox.given_up = waited.timed_out();
    }
}

impl Inbox {
    fn push(&mut self, item: Item) {
        let bytes = match &item {
            Item::Log(text) if self.bytes.saturating_add(text.len()) > MOST_WAITING => {
                self.left_out += 1;
                return;
            }
            Item::Progress(text) if self.bytes.saturating_add(text.len()) > MOST_WAITING => return,
            Item::Log(text) | Item::Progress(text) | Item::Line(text) => text.len(),
            Item::Closed => {
                self.closing = true;
                self.view.end_live();
                0
            }
            Item::Paused => {
                self.paused = true;
                0
            }
        };
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.push_back(item);
        self.came += 1;
    }

    fn empty(&mut self, at: Duration, size: Size) -> Batch {
        for item in self.view.tick(at) {
            self.push(item);
        }
        self.bytes = 0;
        let left_out = mem::take(&mut self.left_out);
        Batch {
            items: mem::take(&mut self.waiting),
            left_out: (left_out > 0).then(|| self.view.left_out(left_out)),
            frame: (!self.paused).then(|| self.view.frame(at, size)).flatten(),
            upto: self.came,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut screen: Screen) {
        loop {
            let size = screen.size();
            let batch = self.wait().empty(self.start.elapsed(), size);
            let (upto, live) = (batch.upto, batch.frame.is_some());
            // Without the lock: this is what may last for ever.
            batch.show(&mut screen);
            self.lock().wrote = upto;
            self.written.notify_all();
            if live {
                let closing = |inbox: &mut Inbox| !inbox.closing;
                drop(self.news.wait_timeout_while(self.lock(), BREATH, closing));
            }
        }
    }

    /// Waits for something to write, or for the time of the next picture.
    fn wait(&self) -> MutexGuard<'_, Inbox> {
        let mut inbox = self.lock();
        while inbox.waiting.is_empty() {
            let rhythm = inbox.view.rhythm().filter(|_| !inbox.paused);
            inbox = match rhythm {
                Some(rhythm) => {
                    let nothing = |inbox: &mut Inbox| inbox.waiting.is_empty();
                    let waited = self.news.wait_timeout_while(inbox, rhythm, nothing);
                    return waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => self
                    .news
                    .wait(inbox)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        inbox
    }
}

impl Batch {
    fn show(self, screen: &mut Screen) {
        // A view that goes is not drawn again below its last lines.
        if self.frame.as_ref().is_none_or(Vec::is_empty) {
            screen.draw(&[]);
        }
        let mut lines = String::new();
        for item in self.items {
            match item {
                Item::Line(text) | Item::Log(text) | Item::Progress(text) => {
                    lines.extend([text.as_str(), "\n"]);
                }
                Item::Closed => {
                    screen.write(&mem::take(&mut lines));
                    screen.close();
                }
                // That there is no picture has taken the old one away.
                Item::Paused => {}
            }
        }
        lines.extend(self.left_out.map(|text| text + "\n"));
        screen.write(&lines);
        if let Some(frame) = self.frame {
            screen.draw(&frame);
        }
    }
}

#[cfg(test)]
mod tests;
