//! A pseudo-terminal for tests: what was written to it, and what it shows.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use console::Term;
use nix::pty::{Winsize, openpty};

use crate::ui::OutputMode;
use crate::ui::screen::Screen;
use crate::ui::view::{Item, View};
use sdbuild_core::event::Event;

/// A marker that no program writes: once it is read, everything before it has arrived.
pub(super) const MARK: &[u8] = b"\x1b]7777;sdbuild\x07";

fn parser(columns: u16, rows: u16) -> vt100::Parser {
    vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 1000)
}

/// Both ends of a new pseudo-terminal: what is written to the second is read from the first.
pub(super) fn pair(columns: u16, rows: u16) -> (File, File) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).unwrap();
    (File::from(pty.master), File::from(pty.slave))
}

/// A live screen on the terminal `display`.
pub(super) fn screen_on(display: &File) -> Screen {
    let end = || display.try_clone().unwrap();
    Screen::live(end(), Term::read_write_pair(end(), end()), false)
}

/// Everything up to the marker, including it.
pub(super) fn read_until_mark(keyboard: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while !bytes.ends_with(MARK) {
        let n = keyboard.read(&mut piece)?;
        bytes.extend_from_slice(&piece[..n]);
    }
    Ok(bytes)
}

/// A terminal with a live screen.
pub(super) struct Terminal {
    /// What was written up to each marker. A thread of its own reads it: who writes more than fits waits for a reader.
    read: Receiver<Vec<u8>>,
    display: File,
    path: String,
    parser: vt100::Parser,
    pub(super) screen: Screen,
    view: View,
    pub(super) written: usize,
}

impl Terminal {
    pub(super) fn new(columns: u16, rows: u16, verbose: u8) -> Self {
        let (mut keyboard, display) = pair(columns, rows);
        let (sender, read) = channel();
        // It ends with the terminal.
        std::thread::spawn(move || {
            while let Ok(bytes) = read_until_mark(&mut keyboard) {
                if sender.send(bytes).is_err() {
                    break;
                }
            }
        });
        let path = format!("/proc/self/fd/{}", display.as_raw_fd());
        let path = std::fs::read_link(path)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        Self {
            read,
            path,
            parser: parser(columns, rows),
            screen: screen_on(&display),
            view: View::new(OutputMode::Live, verbose, false),
            display,
            written: 0,
        }
    }

    /// Shows all `events` and then the live view, as the writer does with a batch.
    pub(super) fn show(&mut self, events: &[(Duration, Event)]) {
        let mut lines = String::new();
        self.view.set_columns(self.screen.size().columns);
        for (at, event) in events {
            for item in self.view.handle(event, *at) {
                match item {
                    Item::Text(_, text) => lines.extend([&text, "\n"]),
                    Item::Closed => self.screen.close(),
                    Item::Paused | Item::Resumed => {}
                }
            }
        }
        let at = events.last().map_or(Duration::ZERO, |(at, _)| *at);
        self.draw(&lines, at);
    }

    pub(super) fn picture(&mut self, at: Duration) {
        self.draw("", at);
    }

    fn draw(&mut self, lines: &str, at: Duration) {
        let size = self.screen.size();
        self.view.set_columns(size.columns);
        assert!(self.view.tick(at).is_none());
        let frame = self.view.frame(at, size);
        self.screen.show(lines, frame.as_ref());
        self.read();
    }

    /// Reads everything that was written.
    pub(super) fn read(&mut self) {
        self.display.write_all(MARK).unwrap();
        let mut bytes = self.read.recv().unwrap();
        bytes.truncate(bytes.len() - MARK.len());
        self.written += bytes.len();
        self.parser.process(&bytes);
    }

    /// Changes the size; the terminal cuts or keeps its lines.
    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        self.set_size(columns, rows);
        let screen = self.parser.screen_mut();
        screen.set_size(rows.try_into().unwrap(), columns.try_into().unwrap());
    }

    /// Changes the width as most terminals do: lines that no longer fit are wrapped, and the cursor stays with the
    /// character that it is on.
    pub(super) fn resize_and_wrap(&mut self, columns: u16) {
        let (rows, _) = self.parser.screen().size();
        self.set_size(columns, rows.get());
        let lines = self.lines();
        let (row, column) = self.parser.screen().cursor_position();
        self.parser = parser(columns, rows.get());
        self.parser.process(lines.join("\r\n").as_bytes());
        let width = usize::from(columns);
        let wrapped = |line: &String| line.chars().count().div_ceil(width).max(1);
        let above: usize = lines.iter().take(row.into()).map(wrapped).sum();
        let (row, column) = (
            above + usize::from(column) / width + 1,
            usize::from(column) % width + 1,
        );
        self.parser
            .process(format!("\x1b[{row};{column}H").as_bytes());
    }

    fn set_size(&self, columns: u16, rows: u16) {
        let (cols, lines) = (columns.to_string(), rows.to_string());
        let mut stty = Command::new("stty");
        stty.args(["-F", &self.path, "cols", &cols, "rows", &lines]);
        assert!(stty.status().unwrap().success());
    }

    /// What the terminal itself writes, such as the echo of a key.
    pub(super) fn echo(&mut self, text: &str) {
        self.parser.process(text.as_bytes());
    }

    /// The lines on the screen, without empty lines at the end.
    pub(super) fn lines(&self) -> Vec<String> {
        let screen = self.parser.screen();
        let rows = screen.rows(0, screen.size().1.get());
        let mut lines: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        while lines.pop_if(|line| line.is_empty()).is_some() {}
        // How often the spinner has turned depends on the machine.
        let still = |line: String| line.replace(|c| ('⠁'..='⣿').contains(&c), "⠿");
        lines.into_iter().map(still).collect()
    }
}
