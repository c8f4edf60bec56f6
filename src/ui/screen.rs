//! Standard error as a person sees it: a live line on a terminal, plain lines anywhere else.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ui::sanitize::sanitize;

/// How often a view without a live line says how far a phase is.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Where lines are written, and the live line below them.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    terminal: bool,
    /// The live line, while a phase is under way on a terminal.
    live: Option<ProgressBar>,
    spoke: Instant,
}

impl Screen {
    /// One with a live line on standard error (`terminal`) or without; lines go to `out`.
    pub(super) fn new(out: impl Write + Send + 'static, terminal: bool) -> Self {
        Self {
            out: Box::new(out),
            terminal,
            live: None,
            spoke: Instant::now(),
        }
    }

    /// A phase begins.
    pub(super) fn begin(&mut self) {
        self.spoke = Instant::now();
        self.end();
        self.live = self.terminal.then(live_line);
    }

    /// The phase ended.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.live.take() {
            bar.finish_and_clear();
        }
    }

    /// Takes the live line away for good.
    pub(super) fn close(&mut self) {
        self.terminal = false;
        self.end();
    }

    /// Writes whole lines. A closed, full or dead standard error must not end a run.
    pub(super) fn write(&mut self, lines: &str) {
        let out = &mut self.out;
        let mut write = || {
            out.write_all(lines.as_bytes())
                .and_then(|()| out.flush())
                .unwrap_or(());
        };
        match &self.live {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Tells how far the phase is: at once where there is a live line, now and then elsewhere.
    pub(super) fn progress(&mut self, text: &str) {
        let text = sanitize(text).replace('\n', " ");
        if let Some(bar) = &self.live {
            bar.set_message(text);
        } else if self.spoke.elapsed() >= PLAIN_INTERVAL {
            self.write(&format!("{text}\n"));
            self.spoke = Instant::now();
        }
    }
}

fn live_line() -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
    bar.enable_steady_tick(Duration::from_millis(125));
    bar
}
