//! Lines of source with a caret below one of them, as Nix quotes them (`    12|   x = y;`), for a terminal. Pure.
//!
//! Nix counts the caret's column in bytes; a terminal counts columns.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::sanitize::sanitize_line;

/// Fewer columns of source say nothing: such lines stay whole.
const MIN_COLUMNS: usize = 12;

/// `lines`, sanitized, in which source around a caret is cut to `columns` columns, so that the caret stays below what it
/// points at. Other lines keep their length.
pub(super) fn fitted(lines: &[String], columns: usize) -> Vec<String> {
    let mut shown: Vec<String> = lines.iter().map(|line| sanitize_line(line)).collect();
    for (at, line) in lines.iter().enumerate() {
        let Some((gutter, column)) = caret(line) else {
            continue;
        };
        let block = Block::around(lines, at, gutter);
        let fitted = block.fitted(column, columns);
        let place = shown.iter_mut().skip(block.first);
        place.zip(fitted).for_each(|(line, new)| *line = new);
    }
    shown
}

/// The columns in front of the `|` of the line below source, and the caret's column, counted from 1.
fn caret(line: &str) -> Option<(usize, usize)> {
    let (gutter, rest) = line.split_once('|')?;
    let blanks = rest.strip_suffix('^')?;
    let is_blank = |text: &str| text.bytes().all(|byte| byte == b' ');
    (is_blank(gutter) && is_blank(blanks) && !blanks.is_empty())
        .then_some((gutter.len(), blanks.len()))
}

/// The source in `line`, if its number has `gutter` columns.
fn source(line: &str, gutter: usize) -> Option<&str> {
    let (number, text) = line.split_once('|')?;
    let digits = number.trim_start();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && number.len() == gutter).then(|| text.strip_prefix(' ').unwrap_or(text))
}

/// The lines of source around one caret.
struct Block<'a> {
    lines: &'a [String],
    /// The index of the first line.
    first: usize,
    /// The index of the caret's line.
    caret: usize,
    gutter: usize,
}

impl<'a> Block<'a> {
    fn around(lines: &'a [String], caret: usize, gutter: usize) -> Self {
        let (before, after) = lines.split_at_checked(caret).unwrap_or((lines, &[]));
        let is_source = |line: &&String| source(line, gutter).is_some();
        let above = before.iter().rev().take_while(is_source).count();
        let below = after.iter().skip(1).take_while(is_source).count();
        let first = caret.saturating_sub(above);
        Self {
            lines: lines.get(first..=caret + below).unwrap_or_default(),
            first,
            caret: above,
            gutter,
        }
    }

    /// The lines within `columns`; `column` is the caret's.
    fn fitted(&self, column: usize, columns: usize) -> Vec<String> {
        let texts: Vec<&str> = self.lines.iter().map(|line| self.text(line)).collect();
        let marked = self.caret.checked_sub(1).and_then(|at| texts.get(at));
        let before = marked.and_then(|text| text.get(..column.saturating_sub(1)));
        let caret = before.map_or(column.saturating_sub(1), |text| sanitize_line(text).width());
        let texts: Vec<String> = texts.into_iter().map(sanitize_line).collect();
        let room = columns.saturating_sub(self.gutter + 2);
        let widest = texts.iter().map(|text| text.width()).max().unwrap_or(0);
        let view = if widest.max(caret + 1) <= room || room < MIN_COLUMNS {
            Window {
                from: 0,
                width: usize::MAX,
            }
        } else {
            Window::around(caret, room)
        };
        let lines = self.lines.iter().zip(texts).enumerate();
        lines
            .map(|(at, (line, text))| {
                let start = line.get(..=self.gutter).unwrap_or(line);
                let text = if at == self.caret {
                    format!("{}^", " ".repeat(caret.saturating_sub(view.from)))
                } else {
                    view.cut(&text)
                };
                format!("{start} {text}").trim_end().to_owned()
            })
            .collect()
    }

    fn text(&self, line: &'a str) -> &'a str {
        source(line, self.gutter).unwrap_or_default()
    }
}

/// The columns of a line that are shown.
#[derive(Clone, Copy)]
struct Window {
    from: usize,
    width: usize,
}

impl Window {
    /// `width` columns with the column `caret`, from the first one if possible.
    fn around(caret: usize, width: usize) -> Self {
        // The last column may be a `…`, and a character may have two.
        let from = if caret + 2 < width {
            0
        } else {
            caret - width * 2 / 3
        };
        Self { from, width }
    }

    /// The part of `text` in the window, with `…` in place of the columns next to what is left out.
    fn cut(self, text: &str) -> String {
        if self.from == 0 && text.width() <= self.width {
            return text.to_owned();
        }
        let end = self.from.saturating_add(self.width);
        let ends_inside = text.width() <= end;
        let mut shown = String::new();
        let mut column = 0;
        for c in text.chars() {
            let (start, wide) = (column, c.width().unwrap_or(0));
            column += wide;
            let is_first = self.from > 0 && start <= self.from && column > self.from;
            if is_first {
                shown.push('…');
                // What is left of a wide character.
                shown.extend(std::iter::repeat_n(' ', column - self.from - 1));
            } else if column > self.from && (ends_inside || column < end) {
                shown.push(c);
            } else if start >= self.from {
                shown.push('…');
                break;
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn source_is_cut_around_the_caret() {
        let quoted = lines(&[
            "31|   # Programs that you want to have there.",
            "32|   environment.systemPackages = with pkgs; [ htopp vim htop git ];",
            "  |                                             ^",
            "33|",
        ]);
        assert_eq!(fitted(&quoted, 80), quoted);
        assert_eq!(
            fitted(&quoted, 36),
            [
                "31| …nt to have there.",
                "32| …ages = with pkgs; [ htopp vim …",
                "  |                      ^",
                "33|",
            ]
        );
        assert_eq!(fitted(&quoted, 10), quoted);
    }

    #[test]
    fn caret_near_the_start_cuts_only_the_end() {
        let quoted = lines(&["7|   abc = 1 + some text that is long", "  |   ^"]);
        // No line of source stands above this caret, because the numbers are narrower.
        assert_eq!(fitted(&quoted, 20), quoted);
        let quoted = lines(&["7|   abc = 1 + some text that is long", " |   ^"]);
        assert_eq!(fitted(&quoted, 20), ["7|   abc = 1 + some…", " |   ^"]);
    }

    #[test]
    fn caret_counts_columns_in_place_of_bytes() {
        let quoted = lines(&["7| größe = 漢 + x;", " |                 ^"]);
        assert_eq!(
            fitted(&quoted, 80),
            ["7| größe = 漢 + x;", " |              ^"]
        );
        let tab = lines(&["7| \tx", " |  ^"]);
        assert_eq!(fitted(&tab, 80), ["7|     x", " |     ^"]);
    }

    #[test]
    fn other_lines_are_only_sanitized() {
        let log = lines(&[
            "make: *** [all] Error 1",
            "  |  ^ no caret",
            "a|b",
            "\u{1b}[2J",
            "| ^",
        ]);
        assert_eq!(fitted(&log, 20)[..3], log[..3]);
        assert_eq!(fitted(&log, 20)[3], "\\u{1b}[2J");
        assert_eq!(fitted(&log, 20)[4], "| ^");
    }

    proptest::proptest! {
        #[test]
        fn source_fits_and_the_caret_keeps_its_character(text in "[a-z漢é\t ]{0,80}", from in 0usize..60, columns in 20usize..80) {
            let Some((at, marked)) = text.char_indices().nth(from) else { return Ok(()); };
            let quoted = vec![format!("7| {text}X"), format!(" |{}^", " ".repeat(at + 1))];
            let shown = fitted(&quoted, columns);
            proptest::prop_assert!(shown.iter().all(|line| line.width() <= columns), "{shown:#?}");
            let mut column = 0;
            let below = shown[1].width() - 1;
            let found = shown[0].chars().find(|c| { let here = column == below; column += c.width().unwrap_or(0); here });
            let expected = if marked == '\t' { ' ' } else { marked };
            let is_blank_end = found.is_none() && expected == ' ';
            proptest::prop_assert!(found == Some(expected) || is_blank_end, "{shown:#?}");
        }
    }
}
