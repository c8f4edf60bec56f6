//! Standard error as a user sees it: a live view on a terminal below the lines, or lines alone.

use std::io::Write;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ui::frame::Size;

/// What is drawn in a second at most; the writer draws less often.
const RATE: u8 = 50;

/// Where lines are written, and the live view below them.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    terminal: Option<Term>,
    /// The live view, while there is something to show.
    live: Option<ProgressBar>,
}

impl Screen {
    /// One of lines alone.
    pub(super) fn plain(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Box::new(out),
            terminal: None,
            live: None,
        }
    }

    /// One with a live view on `terminal`, which is where `out` writes to as well.
    pub(super) fn live(out: impl Write + Send + 'static, terminal: Term) -> Self {
        Self {
            terminal: Some(terminal),
            ..Self::plain(out)
        }
    }

    /// How large the terminal is now: people resize it. A wide one, when it does not say.
    pub(super) fn size(&self) -> Size {
        let size = self.terminal.as_ref().and_then(Term::size_checked);
        let (rows, columns) = size.unwrap_or((24, 80));
        Size {
            columns: columns.into(),
            rows: rows.into(),
        }
    }

    /// Shows these lines as the live view, in place of those that were there.
    pub(super) fn draw(&mut self, frame: &[String]) {
        let Some(terminal) = self.terminal.as_ref().filter(|_| !frame.is_empty()) else {
            return self.clear();
        };
        let bar = self.live.get_or_insert_with(|| lines_of(terminal));
        bar.set_message(frame.join("\n"));
    }

    fn clear(&mut self) {
        if let Some(bar) = self.live.take() {
            bar.finish_and_clear();
        }
    }

    /// Takes the live view away for good.
    pub(super) fn close(&mut self) {
        self.terminal = None;
        self.clear();
    }

    /// Writes whole lines. A closed, full or dead standard error must not end a run.
    pub(super) fn write(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
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
}

fn lines_of(terminal: &Term) -> ProgressBar {
    let target = ProgressDrawTarget::term(terminal.clone(), RATE);
    let style = ProgressStyle::with_template("{msg}");
    ProgressBar::with_draw_target(None, target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
