//! Standard error: lines, and on a terminal a live view below them, which indicatif draws.
//!
//! indicatif draws into memory, and one write brings lines and view to the terminal. By itself it keeps the cursor below its lines
//! and clears as many rows as it counted for the width of the last redraw, so a terminal that wraps them anew when it becomes
//! narrower keeps some, as does the `^C` that the terminal echoes.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::{Term, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::ui::lines::{Frame, NAME_COLUMNS, Size};
use crate::ui::words;

/// Erases from the cursor to the end of the line.
const ERASE_LINE: &str = "\x1b[K";
/// Erases from the cursor to the end of the screen.
const ERASE_BELOW: &str = "\x1b[J";
/// Time between two frames of the spinner.
pub(super) const SPINNER_INTERVAL: Duration = Duration::from_millis(125);
const SPINNER: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ";
const BAR: &str = "━╸─";
const NO_BAR: &str = "  ";

/// Writes lines, and redraws the live view below them.
///
/// Between two redraws the cursor stands on the first character of the live view. However a terminal moves or wraps
/// lines when its size changes, the cursor stays with the character, and everything to erase is behind it.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    /// `None` if there is no live view.
    live: Option<Live>,
    /// Whether the terminal shows a live view now.
    is_drawn: bool,
}

struct Live {
    terminal: Term,
    bar: ProgressBar,
    canvas: Canvas,
}

impl Screen {
    /// A screen without live view.
    pub(super) fn plain(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Box::new(out),
            live: None,
            is_drawn: false,
        }
    }

    /// A screen with a live view on `terminal`; `out` writes to the same terminal.
    pub(super) fn live(out: impl Write + Send + 'static, terminal: Term, coloured: bool) -> Self {
        console::set_colors_enabled(coloured);
        let canvas = Canvas::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(canvas.clone()), 1);
        let bar = ProgressBar::with_draw_target(Some(100), target);
        Self {
            live: Some(Live {
                terminal,
                bar,
                canvas,
            }),
            ..Self::plain(out)
        }
    }

    /// The current size of the terminal, which can change at any time; 80 by 24 when it is unknown.
    pub(super) fn size(&self) -> Size {
        let size = self.live.as_ref().and_then(|l| l.terminal.size_checked());
        let (rows, columns) = size.unwrap_or((24, 80));
        Size {
            columns: columns.into(),
            rows: rows.into(),
        }
    }

    /// Writes complete lines, and `frame` below them in place of the live view before. Errors are ignored: a closed or
    /// full standard error must not end a run.
    pub(super) fn show(&mut self, lines: &str, frame: Option<&Frame>) {
        let columns = self.size().columns;
        let frame = self.live.as_ref().zip(frame);
        if lines.is_empty() && frame.is_none() && !self.is_drawn {
            return;
        }
        let mut text = String::new();
        // Without a live view the terminal may have echoed `^C` there.
        if self.live.is_some() && (frame.is_none() || !lines.is_empty()) {
            text.extend(["\r", ERASE_BELOW]);
        }
        text.push_str(lines);
        self.is_drawn = frame.is_some();
        if let Some((live, frame)) = frame {
            push_rows(&mut text, &live.head(frame, columns), &frame.below);
        }
        self.out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
            .ok();
    }

    /// Puts the cursor on an empty line: another program may have left its last line unfinished. Behind text, this many blanks reach
    /// into the next line; on an empty line they do not.
    pub(super) fn begin_line(&mut self) {
        if self.live.is_some() {
            let blanks = " ".repeat(self.size().columns);
            write!(self.out, "{blanks}\r{ERASE_LINE}").ok();
        }
    }

    /// Removes the live view for the rest of the run.
    pub(super) fn close(&mut self) {
        self.show("", None);
        self.live = None;
    }
}

/// Overwrites what is behind the cursor, which stays at the beginning. In one write and without erasing everything first,
/// so that nothing flickers.
fn push_rows(text: &mut String, head: &str, below: &[String]) {
    text.extend(["\r", head, ERASE_LINE]);
    for row in below {
        text.extend(["\r\n", row, ERASE_LINE]);
    }
    // Removes rows of the view before that this one does not have.
    text.push_str(ERASE_BELOW);
    if !below.is_empty() {
        write!(text, "\x1b[{}A", below.len()).ok();
    }
    text.push('\r');
}

impl Live {
    /// The first row of `frame`, narrower than `columns`. A bar has a place even where nothing is counted: it must not become shorter
    /// later.
    fn head(&self, frame: &Frame, columns: usize) -> String {
        let width = columns.saturating_sub(1);
        self.canvas.lock().columns = u16::try_from(width).unwrap_or(u16::MAX);
        let (chars, share) = match frame.percent {
            Some(percent) => (BAR, format!("{percent} %")),
            None => (NO_BAR, String::new()),
        };
        let time = words::seconds(frame.elapsed);
        let template = format!(
            " {{spinner:.cyan}} {{prefix:{NAME_COLUMNS}.bold}}  {{wide_bar:.green/dim}} {share:>4}  {time:>11}"
        );
        let Ok(style) = ProgressStyle::with_template(&template) else {
            return String::new();
        };
        self.bar
            .set_style(style.tick_chars(SPINNER).progress_chars(chars));
        self.bar.set_prefix(frame.name);
        self.bar.set_position(frame.percent.unwrap_or(0));
        self.bar.tick();
        self.bar.force_draw();
        truncate_str(&self.canvas.lock().row, width, "…").into_owned()
    }
}

/// A terminal in memory, on which indicatif draws one row.
#[derive(Clone, Debug, Default)]
struct Canvas(Arc<Mutex<Row>>);

#[derive(Debug, Default)]
struct Row {
    columns: u16,
    row: String,
}

impl Canvas {
    fn lock(&self) -> MutexGuard<'_, Row> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        // indicatif divides by it.
        self.lock().columns.max(1)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // The row is followed by blanks up to its end.
        if !text.trim().is_empty() {
            text.trim_end().clone_into(&mut self.lock().row);
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
