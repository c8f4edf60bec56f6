//! Standard error: lines, and on a terminal a live view below them.
//!
//! Considered: indicatif, which draws one message here. It keeps the cursor below its lines and clears as many rows as
//! it counted for the width of the last redraw, so a terminal that wraps them anew when it becomes narrower keeps some,
//! as does the `^C` that the terminal echoes; with one bar per line its limit on redraws drops some of them; and its
//! bars would be a second state beside the one that every form of output shows.

use std::io::Write;

use console::Term;

use crate::ui::frame::Size;

/// Erases from the cursor to the end of the line.
const ERASE_LINE: &str = "\x1b[K";
/// Erases from the cursor to the end of the screen.
const ERASE_BELOW: &str = "\x1b[J";

/// Writes lines, and redraws the live view below them.
///
/// Between two redraws the cursor stands on the first character of the live view. However a terminal moves or wraps
/// lines when its size changes, the cursor stays with the character, and everything to erase is behind it.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    terminal: Option<Term>,
    closed: bool,
    /// The live view on the terminal, and the size that it was drawn for.
    shown: Vec<String>,
    drawn_for: Option<Size>,
}

impl Screen {
    /// A screen without live view.
    pub(super) fn plain(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Box::new(out),
            terminal: None,
            closed: false,
            shown: Vec::new(),
            drawn_for: None,
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

    /// Writes complete lines, and `frame` below them in place of the live view before. Errors are ignored: a closed or
    /// full standard error must not end a run.
    pub(super) fn show(&mut self, lines: &str, frame: Vec<String>) {
        let frame = if self.terminal.is_some() && !self.closed {
            frame
        } else {
            Vec::new()
        };
        let size = self.terminal.is_some().then(|| self.size());
        let is_shown = frame == self.shown && (frame.is_empty() || size == self.drawn_for);
        if lines.is_empty() && is_shown {
            return;
        }
        let mut text = String::new();
        // Without a live view the terminal may have echoed `^C` there.
        if !lines.is_empty() && self.terminal.is_some() && !self.closed {
            text.push('\r');
            text.push_str(ERASE_BELOW);
        }
        text.push_str(lines);
        if !frame.is_empty() || lines.is_empty() {
            push_frame(&mut text, &frame);
        }
        self.shown = frame;
        self.drawn_for = size;
        self.out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
            .ok();
    }

    /// Puts the cursor on an empty line: another program may have left its last line unfinished. Behind text, this many blanks reach
    /// into the next line; on an empty line they do not.
    pub(super) fn begin_line(&mut self) {
        if self.terminal.is_some() && !self.closed {
            let blanks = " ".repeat(self.size().columns);
            write!(self.out, "{blanks}\r{ERASE_LINE}").ok();
        }
    }

    /// Removes the live view for the rest of the run.
    pub(super) fn close(&mut self) {
        self.show("", Vec::new());
        self.closed = true;
    }
}

/// Overwrites what is behind the cursor, which stays at the beginning. In one write and without erasing everything first,
/// so that nothing flickers.
fn push_frame(text: &mut String, frame: &[String]) {
    for (row, line) in frame.iter().enumerate() {
        let start = if row == 0 { "\r" } else { "\r\n" };
        text.extend([start, line, ERASE_LINE]);
    }
    // Removes rows of the view before that this one does not have.
    let below = if frame.is_empty() { "\r" } else { "" };
    text.extend([below, ERASE_BELOW]);
    if let Some(up @ 1..) = frame.len().checked_sub(1) {
        text.extend(["\x1b[", &up.to_string(), "A"]);
    }
    text.push('\r');
}
