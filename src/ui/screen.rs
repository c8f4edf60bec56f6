//! Standard error: lines, and on a terminal a live view below them, which indicatif draws.
//!
//! indicatif draws into memory, and one write brings lines and view to the terminal. By itself it keeps the cursor below its lines
//! and clears as many rows as it counted for the width of the last redraw, so a terminal that wraps them anew when it becomes
//! narrower keeps some, as does the `^C` that the terminal echoes.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::{Term, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

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
    terminal: Option<Term>,
    /// `None` if there is no live view.
    bar: Option<Bar>,
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
            bar: None,
            shown: Vec::new(),
            drawn_for: None,
        }
    }

    /// A screen with a live view on `terminal`; `out` writes to the same terminal.
    pub(super) fn live(out: impl Write + Send + 'static, terminal: Term, coloured: bool) -> Self {
        console::set_colors_enabled(coloured);
        Self {
            terminal: Some(terminal),
            bar: Some(Bar::new()),
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
    pub(super) fn show(&mut self, lines: &str, frame: Option<&Frame>) {
        let size = self.bar.is_some().then(|| self.size());
        let rows = match (&mut self.bar, frame, size) {
            (Some(bar), Some(frame), Some(size)) => bar.rows(frame, size.columns),
            _ => Vec::new(),
        };
        let is_shown = rows == self.shown && (rows.is_empty() || size == self.drawn_for);
        if lines.is_empty() && is_shown {
            return;
        }
        let mut text = String::new();
        // Without a live view the terminal may have echoed `^C` there.
        if !lines.is_empty() && self.bar.is_some() {
            text.push('\r');
            text.push_str(ERASE_BELOW);
        }
        text.push_str(lines);
        if !rows.is_empty() || lines.is_empty() {
            push_rows(&mut text, &rows);
        }
        self.shown = rows;
        self.drawn_for = size;
        self.out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())
            .ok();
    }

    /// Puts the cursor on an empty line: another program may have left its last line unfinished. Behind text, this many blanks reach
    /// into the next line; on an empty line they do not.
    pub(super) fn begin_line(&mut self) {
        if self.bar.is_some() {
            let blanks = " ".repeat(self.size().columns);
            write!(self.out, "{blanks}\r{ERASE_LINE}").ok();
        }
    }

    /// Removes the live view for the rest of the run.
    pub(super) fn close(&mut self) {
        self.show("", None);
        self.bar = None;
    }
}

/// Overwrites what is behind the cursor, which stays at the beginning. In one write and without erasing everything first,
/// so that nothing flickers.
fn push_rows(text: &mut String, rows: &[String]) {
    for (at, row) in rows.iter().enumerate() {
        let start = if at == 0 { "\r" } else { "\r\n" };
        text.extend([start, row, ERASE_LINE]);
    }
    // Removes rows of the view before that this one does not have.
    let below = if rows.is_empty() { "\r" } else { "" };
    text.extend([below, ERASE_BELOW]);
    if let Some(up @ 1..) = rows.len().checked_sub(1) {
        write!(text, "\x1b[{up}A").ok();
    }
    text.push('\r');
}

/// indicatif's bar for one frame after the other.
#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    canvas: Canvas,
    /// The frames of the spinner so far.
    turn: u128,
}

impl Bar {
    fn new() -> Self {
        let canvas = Canvas::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(canvas.clone()), 1);
        let bar = ProgressBar::with_draw_target(Some(100), target);
        Self {
            bar,
            canvas,
            turn: 0,
        }
    }

    /// The rows of `frame`, each narrower than `columns`.
    fn rows(&mut self, frame: &Frame, columns: usize) -> Vec<String> {
        self.canvas.resize(columns);
        let Ok(style) = style(frame) else {
            return Vec::new();
        };
        self.bar.set_style(style);
        self.bar.set_prefix(frame.name);
        let percent = frame.percent.unwrap_or(0);
        if self.bar.position() != percent {
            self.bar.set_position(percent);
        }
        let turn = frame.elapsed.as_millis() / SPINNER_INTERVAL.as_millis();
        if mem::replace(&mut self.turn, turn) != turn {
            self.bar.tick();
        }
        self.bar.set_message(frame.below.join("\n"));
        self.bar.force_draw();
        self.canvas.take()
    }
}

/// The head line, and below it all other lines. A bar has a place even where nothing is counted: it must not become shorter later.
fn style(frame: &Frame) -> Result<ProgressStyle, indicatif::style::TemplateError> {
    let template = format!(
        " {{spinner:.cyan}} {{prefix:{NAME_COLUMNS}.bold}}  {{wide_bar:.green/dim}} {{share:>4}}  {{time:>11.dim}}\n{{msg}}"
    );
    let (percent, elapsed) = (frame.percent, words::seconds(frame.elapsed));
    let share = percent.map_or_else(String::new, |percent| format!("{percent} %"));
    let style = ProgressStyle::with_template(&template)?
        .tick_chars(SPINNER)
        .progress_chars(if percent.is_some() { BAR } else { NO_BAR })
        .with_key("share", key(share))
        .with_key("time", key(elapsed));
    Ok(style)
}

/// A part of the template that is this text.
fn key(
    text: String,
) -> impl Fn(&ProgressState, &mut dyn std::fmt::Write) + Clone + Send + Sync + 'static {
    move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
        out.write_str(&text).ok();
    }
}

/// A terminal in memory, of any height: what indicatif draws on it are the rows of the live view.
#[derive(Clone, Debug, Default)]
struct Canvas(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    columns: u16,
    /// What was written since the last picture was complete.
    written: Vec<String>,
    rows: Vec<String>,
}

impl Canvas {
    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fits what is drawn next to a terminal of this many columns, the last of which stays free.
    fn resize(&self, columns: usize) {
        let columns = columns.saturating_sub(1);
        self.lock().columns = u16::try_from(columns).unwrap_or(u16::MAX);
    }

    fn take(&self) -> Vec<String> {
        mem::take(&mut self.lock().rows)
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        // indicatif divides by it.
        self.lock().columns.max(1)
    }

    fn height(&self) -> u16 {
        u16::MAX
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
        self.lock().written.push(text.to_owned());
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    /// Each line of a picture is followed by blanks to the end of its last row, which begin the next row on a terminal.
    fn flush(&self) -> io::Result<()> {
        let mut rows = self.lock();
        let width = rows.columns.into();
        let written = mem::take(&mut rows.written);
        let lines = written.iter().step_by(2).map(|line| line.trim_end());
        rows.rows = lines
            .map(|line| truncate_str(line, width, "…").into_owned())
            .collect();
        Ok(())
    }
}
