//! A bounded queue between the emitters of events and the screen, and the only thread that writes.
//!
//! Emitting never waits for the reader. When the reader is too slow, progress objects are dropped, lines of the builder's
//! log are dropped and counted, and at last everything else that the builder caused; lines of sdbuild itself are kept. So
//! no build can fill the memory, whatever it writes. The live view needs no queue: the thread renders the newest state.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ui::lines::{Frame, Size};
use crate::ui::screen::Screen;
use crate::ui::view::{Item, Kind, View};
use sdbuild_core::event::Event;

/// Memory for lines of a log that wait for a slow reader: about fifty thousand lines.
const MAX_LOG_BYTES: usize = 8 << 20;
/// Memory for all lines that the builder causes. The difference is for the lines about its builds, of which a full image
/// has some thousand.
const MAX_BUILDER_BYTES: usize = 12 << 20;
/// Memory of an item beside its text: the item itself and what an allocator adds.
const ITEM_OVERHEAD: usize = size_of::<Item>() + 16;
/// Text that is written at once, in bytes.
const MAX_WRITE_BYTES: usize = 1 << 20;
/// Minimum time between two writes above a live view, because each redraws the view.
const REDRAW_INTERVAL: Duration = Duration::from_millis(50);

/// The sending side; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    written: Condvar,
    start: Instant,
}

#[derive(Debug)]
struct Queue {
    view: View,
    items: VecDeque<Item>,
    /// Memory of the items.
    bytes: usize,
    dropped: u64,
    /// Number of items queued and written since the start.
    queued: u64,
    written: u64,
    /// The live view is being removed: do not wait for the next redraw.
    closing: bool,
    /// How many others use the terminal for now: a command, and the shell while that is stopped.
    paused: usize,
    /// Waiting for the reader timed out once; it is not waited for again.
    reader_stalled: bool,
}

impl Writer {
    /// Starts the thread that writes the output of `view` to `screen`.
    pub(super) fn start(screen: Screen, mut view: View) -> io::Result<Self> {
        // The first event comes before the first redraw.
        view.set_columns(screen.size().columns);
        let queue = Queue {
            view,
            items: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            queued: 0,
            written: 0,
            closing: false,
            paused: 0,
            reader_stalled: false,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            written: Condvar::new(),
            start: Instant::now(),
        });
        let for_thread = Arc::clone(&shared);
        // Never joined: it may be blocked in a write for ever. It ends with the process.
        drop(
            std::thread::Builder::new()
                .name("ui".to_owned())
                .spawn(move || for_thread.write_to(screen))?,
        );
        Ok(Self(shared))
    }

    /// Queues the output of `event`; returns at once.
    pub(super) fn handle(&self, event: &Event) {
        let at = self.0.start.elapsed();
        let mut queue = self.0.lock();
        let items = queue.view.handle(event, at);
        // Other events only change the live view, which is redrawn anyway.
        let wake = !items.is_empty() || matches!(event, Event::Started(_));
        for item in items {
            queue.push(item);
        }
        if wake {
            self.0.changed.notify_one();
        }
    }

    /// Removes the live view for the rest of the run and waits until everything is written, at most `timeout`. After one
    /// timeout the reader is not waited for again.
    pub(super) fn close(&self, timeout: Duration) {
        self.push_and_wait(Item::Closed, timeout);
    }

    /// Removes the live view until [`Writer::resume`], and waits like [`Writer::close`].
    pub(super) fn pause(&self, timeout: Duration) {
        self.push_and_wait(Item::Paused, timeout);
    }

    /// Shows the live view again.
    pub(super) fn resume(&self) {
        self.0.lock().push(Item::Resumed);
        self.0.changed.notify_one();
    }

    fn push_and_wait(&self, item: Item, timeout: Duration) {
        let mut queue = self.0.lock();
        queue.push(item);
        self.0.changed.notify_one();
        if queue.reader_stalled {
            return;
        }
        let up_to = queue.queued;
        let waits = |queue: &mut Queue| queue.written < up_to;
        let waited = self.0.written.wait_timeout_while(queue, timeout, waits);
        let (mut queue, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.reader_stalled = waited.timed_out();
    }
}

impl Queue {
    fn push(&mut self, item: Item) {
        let (text_bytes, max) = match &item {
            Item::Text(Kind::Log | Kind::Progress, text) => (text.capacity(), MAX_LOG_BYTES),
            Item::Text(Kind::Builder, text) => (text.capacity(), MAX_BUILDER_BYTES),
            Item::Text(Kind::Own, text) => (text.capacity(), usize::MAX),
            Item::Closed => {
                self.closing = true;
                self.view.end_live();
                (0, usize::MAX)
            }
            Item::Paused => {
                self.paused += 1;
                (0, usize::MAX)
            }
            Item::Resumed => {
                self.paused = self.paused.saturating_sub(1);
                (0, usize::MAX)
            }
        };
        let bytes = self.bytes.saturating_add(text_bytes + ITEM_OVERHEAD);
        if bytes > max {
            // A later progress object supersedes this one.
            self.dropped += u64::from(!matches!(item, Item::Text(Kind::Progress, _)));
            return;
        }
        self.bytes = bytes;
        self.items.push_back(item);
        self.queued += 1;
    }

    /// Takes what is to be written at once: the items, and the frame below them.
    fn take(&mut self, at: Duration, size: Size) -> (VecDeque<Item>, Option<Frame>) {
        self.view.set_columns(size.columns);
        if let Some(item) = self.view.tick(at) {
            self.push(item);
        }
        self.bytes = 0;
        let mut items = mem::take(&mut self.items);
        let dropped = mem::take(&mut self.dropped);
        if dropped > 0 {
            items.push_back(Item::Text(Kind::Own, self.view.dropped_lines(dropped)));
        }
        let frame = || self.view.frame(at, size);
        (items, (self.paused == 0).then(frame).flatten())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut screen: Screen) {
        loop {
            let size = screen.size();
            let mut queue = self.wait();
            let (items, frame) = queue.take(self.start.elapsed(), size);
            let is_live = queue.paused == 0 && queue.view.is_live();
            let up_to = queue.queued;
            // Without the lock, because this write may block for ever.
            drop(queue);
            show(items, frame.as_ref(), &mut screen);
            self.lock().written = up_to;
            self.written.notify_all();
            if is_live {
                let closing = |queue: &mut Queue| !queue.closing;
                drop(
                    self.changed
                        .wait_timeout_while(self.lock(), REDRAW_INTERVAL, closing),
                );
            }
        }
    }

    /// Waits until there is something to write, or until the next redraw is due.
    fn wait(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.lock();
        while queue.items.is_empty() {
            let interval = queue.view.tick_interval().filter(|_| queue.paused == 0);
            queue = match interval {
                Some(interval) => {
                    let nothing = |queue: &mut Queue| queue.items.is_empty();
                    let waited = self.changed.wait_timeout_while(queue, interval, nothing);
                    return waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        queue
    }
}

fn show(items: VecDeque<Item>, frame: Option<&Frame>, screen: &mut Screen) {
    let mut lines = String::new();
    for item in items {
        match item {
            Item::Text(_, text) => {
                lines.extend([text.as_str(), "\n"]);
                if lines.len() >= MAX_WRITE_BYTES {
                    screen.show(&mem::take(&mut lines), None);
                }
            }
            Item::Closed => {
                screen.show(&mem::take(&mut lines), None);
                screen.close();
            }
            // The missing frame removes the live view.
            Item::Paused => {}
            Item::Resumed => {
                screen.show(&mem::take(&mut lines), None);
                screen.begin_line();
            }
        }
    }
    screen.show(&lines, frame);
}

#[cfg(test)]
mod tests;
