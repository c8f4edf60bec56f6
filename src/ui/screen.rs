//! Standard error: lines, and on a terminal a live view below them.

use std::io::Write;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::ui::frame::Size;

/// Maximum redraws per second; the writer draws less often.
const MAX_REDRAWS: u8 = 50;

/// Writes lines, and redraws the live view below them.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    terminal: Option<Term>,
    /// The live view, while it has lines.
    live: Option<ProgressBar>,
}

impl Screen {
    /// A screen without live view.
    pub(super) fn plain(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Box::new(out),
            terminal: None,
            live: None,
        }
    }

    /// A screen with a live view on `terminal`; `out` writes to the same terminal.
    pub(super) fn live(out: impl Write + Send + 'static, terminal: Term) -> Self {
        Self {
            terminal: Some(terminal),
            ..Self::plain(out)
        }
    }

    /// The current size of the terminal, which can change at any time; 80 by 24 when it is unknown.
    pub(super) fn size(&self) -> Size {
        let size = self.terminal.as_ref().and_then(Term::size_checked);
        let (rows, columns) = size.unwrap_or((24, 80));
        Size {
            columns: columns.into(),
            rows: rows.into(),
        }
    }

    /// Replaces the live view with these lines.
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

    /// Removes the live view for the rest of the run.
    pub(super) fn close(&mut self) {
        self.terminal = None;
        self.clear();
    }

    /// Writes complete lines. Errors are ignored: a closed or full standard error must not end a run.
    pub(super) fn write(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let out = &mut self.out;
        let mut write = || {
            out.write_all(lines.as_bytes())
                .and_then(|()| out.flush())
                .ok();
        };
        match &self.live {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

fn lines_of(terminal: &Term) -> ProgressBar {
    let target = ProgressDrawTarget::term(terminal.clone(), MAX_REDRAWS);
    let style = ProgressStyle::with_template("{msg}");
    ProgressBar::with_draw_target(None, target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
