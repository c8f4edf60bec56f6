//! A screen as a picture: text as text, in the colours that it has, and no font of its own.

use std::fmt::Write as _;

use vt100::{Cell, Color};

use super::machine::{ROWS, Run};
use crate::support::parser;

/// A character's width and a line's height.
const CELL: (f32, f32) = (8.4, 18.0);
/// Around the text; above it is the window's bar.
const MARGIN: (f32, f32) = (16.0, 44.0);
/// The first sixteen colours of a terminal, on dark and on light ground, as the classes `c0` to `c15`.
const COLOURS: [(&str, &str); 16] = [
    ("#3b4252", "#24292f"),
    ("#e06c75", "#cf222e"),
    ("#98c379", "#116329"),
    ("#e5c07b", "#7d4e00"),
    ("#61afef", "#0550ae"),
    ("#c678dd", "#8250df"),
    ("#56b6c2", "#1b7c83"),
    ("#d8dee9", "#57606a"),
    ("#6b7689", "#57606a"),
    ("#ff7b85", "#a40e26"),
    ("#b5e890", "#1a7f37"),
    ("#ffd68a", "#633c01"),
    ("#7cc7ff", "#0969da"),
    ("#d896f0", "#6639ba"),
    ("#6fd3df", "#3192aa"),
    ("#ffffff", "#24292f"),
];
const GROUND: (&str, &str) = ("#1e222a", "#ffffff");
const TEXT: (&str, &str) = ("#d8dee9", "#24292f");
const FRAME: (&str, &str) = ("#1e222a", "#d0d7de");

/// The moment of `run` that `worth` likes best.
pub(super) fn of(run: &Run, worth: impl Fn(&str) -> usize) -> String {
    let stream = run.stream();
    let size = (run.columns, ROWS);
    let mut best = (0, 0);
    let mut looking = parser(size);
    let mut from = 0;
    // A view is whole where the next one begins: at a carriage return.
    let ends = stream
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\r');
    for (end, _) in ends {
        looking.process(&stream[from..end]);
        from = end;
        let worth = worth(&looking.screen().contents());
        if worth >= best.0 {
            best = (worth, end);
        }
    }
    let mut parser = parser(size);
    parser.process(&stream[..best.1]);
    draw(parser.screen(), run.words())
}

/// The colours as classes, those for light ground where the reader prefers that.
fn style() -> String {
    let rules = |choose: fn((&'static str, &'static str)) -> &'static str| {
        let mut rules = format!(
            ".ground{{fill:{};stroke:{}}} text{{fill:{}}}",
            choose(GROUND),
            choose(FRAME),
            choose(TEXT)
        );
        for (index, colour) in COLOURS.into_iter().enumerate() {
            write!(rules, " .c{index}{{fill:{}}}", choose(colour)).unwrap();
        }
        rules
    };
    format!(
        "<style>{} @media (prefers-color-scheme: light){{{}}}</style>",
        rules(|(dark, _)| dark),
        rules(|(_, light)| light)
    )
}

fn draw(screen: &vt100::Screen, words: &str) -> String {
    let columns = screen.size().1.get();
    let rows: Vec<String> = screen.rows(0, columns).collect();
    let used = rows.iter().rposition(|row| !row.trim().is_empty());
    let used = u16::try_from(used.unwrap_or(0)).unwrap() + 1;
    let (columns, rows) = (f32::from(columns), f32::from(used));
    let (width, height) = (
        columns * CELL.0 + 2.0 * MARGIN.0,
        rows * CELL.1 + MARGIN.1 + MARGIN.0,
    );
    let command: Vec<&str> = words.split(' ').take(2).collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"{} on a terminal\">\n{}\n\
         <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"8\"/>\n\
         <circle cx=\"20\" cy=\"18\" r=\"6\" fill=\"#e06c75\"/><circle cx=\"40\" cy=\"18\" r=\"6\" fill=\"#e5c07b\"/>\
         <circle cx=\"60\" cy=\"18\" r=\"6\" fill=\"#98c379\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" \
         xml:space=\"preserve\">\n",
        command.join(" "),
        style(),
        width - 1.0,
        height - 1.0,
    );
    for row in 0..ROWS {
        for (column, text, cell) in pieces(screen, row) {
            write!(svg, "{}", span((column, row), &text, cell)).unwrap();
        }
    }
    svg + "</g>\n</svg>\n"
}

/// Stretches of a row that look the same, without those of blanks.
fn pieces(screen: &vt100::Screen, row: u16) -> Vec<(u16, String, &Cell)> {
    let mut all: Vec<(u16, String, &Cell)> = Vec::new();
    for column in 0..screen.size().1.get() {
        let cell = screen.cell(row, column).unwrap();
        let text = if cell.has_contents() {
            cell.contents()
        } else {
            " "
        };
        match all.last_mut() {
            Some((_, before, other)) if look(other) == look(cell) => before.push_str(text),
            _ => all.push((column, text.to_owned(), cell)),
        }
    }
    all.retain(|(_, text, _)| !text.trim().is_empty());
    all
}

fn look(cell: &Cell) -> (Color, bool, bool) {
    (cell.fgcolor(), cell.bold(), cell.dim())
}

fn span((column, row): (u16, u16), text: &str, cell: &Cell) -> String {
    let leading = text.len() - text.trim_start().len();
    let x = MARGIN.0 + (f32::from(column) + f32::from(u16::try_from(leading).unwrap())) * CELL.0;
    let y = MARGIN.1 + (f32::from(row) + 0.7) * CELL.1;
    let text = text.trim();
    let width = f32::from(u16::try_from(text.chars().count()).unwrap()) * CELL.0;
    let mut how = String::new();
    if let Color::Idx(n) = cell.fgcolor() {
        write!(how, " class=\"c{}\"", n % 16).unwrap();
    }
    if cell.bold() {
        how.push_str(" font-weight=\"bold\"");
    }
    if cell.dim() {
        how.push_str(" opacity=\"0.65\"");
    }
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{width:.1}\"{how}>{text}</text>\n")
}
