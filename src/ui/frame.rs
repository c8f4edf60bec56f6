//! Renders the live view as lines: the phase with its bar, what it counts, and the builds and downloads in progress. Pure.

use std::time::Duration;

use console::{measure_text_width, truncate_str};

use crate::ui::colour::Paint;
use crate::ui::layout::{NARROW, WIDEST_RUN, filled};
use crate::ui::progress;
use crate::ui::sanitize::sanitize;
use crate::ui::state::{Activity, Fraction, State, WHOLE};
use crate::ui::words;

/// Maximum height of the live view in lines, on any terminal.
const MAX_LINES: usize = 12;
/// Time between two frames of the spinner.
pub(super) const SPINNER_INTERVAL: Duration = Duration::from_millis(125);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Columns of a phase's name.
pub(super) const NAME_COLUMNS: usize = 18;
/// The shortest bar that shows more than the percentage beside it.
const MIN_BAR: usize = 8;
/// Lines of a live view with one for the phases that follow, at least.
const MIN_ROOM_FOR_NEXT: usize = 4;
/// Columns of the name of what is built or downloaded, at least.
const MIN_NAME: usize = 24;
/// The same at most where all names have as many: what is written by it has the rest.
const MAX_NAME: usize = 64;
/// Columns that a long name leaves of what is written by it: those of `112 of 340 MB`.
const MIN_LAST: usize = 13;
/// What the lines below that of the phase begin with.
const MARGIN: &str = "     ";
/// What separates the parts of a line.
const SEPARATOR: &str = " · ";
/// Columns of the longest elapsed time below an hour: `59 min 59 s`.
const ELAPSED_COLUMNS: usize = 11;
/// Further lines of a sentence are indented by this much more.
const HANGING: usize = 2;

/// Width and height of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The live view of `state` at the time `at`; empty between two phases. Each line is narrower than the terminal, and
/// all lines together take at most half of its height.
pub(super) fn frame(state: &State, at: Duration, size: Size, paint: Paint) -> Vec<String> {
    let Some((phase, _)) = state.phase() else {
        return Vec::new();
    };
    let columns = size.columns;
    let mut lines = vec![head(state, words::phase(phase), at, columns, paint)];
    let room = (size.rows / 2).clamp(1, MAX_LINES);
    let has_next = room >= MIN_ROOM_FOR_NEXT;
    if has_next {
        lines.extend(to_come(state, at, columns, paint));
    }
    let counts = progress::counts(state).filter(|_| room > 1);
    lines.extend(counts.into_iter().flat_map(|counts| {
        if let Some(since) = state.reached() {
            let reached = words::seconds(at.saturating_sub(since));
            let reached = paint.faint(&format!("for {reached}"));
            return stage_lines(&counts, &reached, columns);
        }
        count_lines(&counts, columns)
    }));
    lines.truncate(room);
    let console = state.console().filter(|_| lines.len() < room);
    lines.extend(console.map(|last| {
        let words: Vec<&str> = last.text.split_whitespace().collect();
        let text = paint.faint(&sanitize(&format!("console: {}", words.join(" "))));
        let ago = format!("{} ago", words::seconds(at.saturating_sub(last.since)));
        line(&format!("{MARGIN}{text}"), &paint.faint(&ago), columns)
    }));
    let room = room - lines.len();
    let listed = progress::listed(state);
    let shown = if listed.len() > room {
        room.saturating_sub(1)
    } else {
        listed.len()
    };
    let (first, rest) = listed.split_at(shown);
    for (activity, count) in first {
        let time = paint.faint(&words::seconds(at.saturating_sub(activity.since)));
        let columns = columns.min(WIDEST_RUN);
        let room = columns.saturating_sub(measure_text_width(&time) + 2);
        let text = activity_columns(activity, *count, room, columns, paint);
        lines.push(line(&text, &time, columns));
    }
    let more: usize = rest.iter().map(|(_, count)| count).sum();
    if more > 0 && room > 0 {
        let more = format!("{MARGIN}and {more} more");
        lines.push(line(&more, "", columns));
    }
    lines
}

/// Which phases follow, below the running one: there they keep their place while what is built and downloaded changes. At the right
/// edge, how long the run has taken so far.
fn to_come(state: &State, at: Duration, columns: usize, paint: Paint) -> Option<String> {
    let names: Vec<&str> = state.to_come().iter().copied().map(words::phase).collect();
    let so_far = format!("in all: {} so far", words::seconds(at));
    let next = format!("{MARGIN}then {}", names.join(SEPARATOR));
    let next = line(&paint.faint(&next), &paint.faint(&so_far), columns);
    (!names.is_empty()).then_some(next)
}

/// The line of the phase: its name, the bar and the percentage if they are known, and the time it took so far. What there is no
/// room for is left out, the bar last.
fn head(state: &State, name: &str, at: Duration, columns: usize, paint: Paint) -> String {
    let since = state.phase().map_or(at, |(_, since)| since);
    let elapsed = words::seconds(at.saturating_sub(since));
    let tick = usize::try_from(at.as_millis() / SPINNER_INTERVAL.as_millis()).unwrap_or(0);
    let columns = columns.min(WIDEST_RUN);
    let spinner = SPINNER.get(tick % SPINNER.len()).copied().unwrap_or(' ');
    let name_columns = if columns < NARROW { 0 } else { NAME_COLUMNS };
    let spinner = paint.active(&spinner.to_string());
    let mut text = format!(
        " {spinner} {}",
        paint.strong(&format!("{name:<name_columns$}"))
    );
    if let Some(shown) = state.fraction() {
        // What surrounds the bar: margins of two blanks, and `99 %`. A bar that became shorter with the time would seem to go back.
        let elapsed_columns = elapsed.len().max(ELAPSED_COLUMNS);
        let taken = measure_text_width(&text) + elapsed_columns + 2 + 6 + 3;
        let room = columns.saturating_sub(taken);
        if room >= MIN_BAR {
            let bar = bar(shown, room, paint);
            text.extend(["  ", &bar]);
        }
        let percent = shown.percent();
        text.extend([format!(" {percent:>3} %")]);
    }
    line(&text, &paint.faint(&elapsed), columns)
}

/// The stage of a boot with the time since it was `reached`, and below it what the boot waits for: so the lines below keep their place.
fn stage_lines(text: &str, reached: &str, columns: usize) -> Vec<String> {
    let (stage, until) = text.split_once(SEPARATOR).unwrap_or((text, ""));
    let room = columns.min(WIDEST_RUN).saturating_sub(MARGIN.len() + 1);
    let beside = room.saturating_sub(measure_text_width(reached) + 1);
    let mut lines = sentence_lines(stage, room, room);
    let fits = |last: &mut String| measure_text_width(last) <= MARGIN.len() + beside;
    let last = lines.pop_if(fits).unwrap_or_else(|| MARGIN.to_owned());
    lines.push(line(&last, reached, columns));
    let until = Some(until).filter(|until| !until.is_empty());
    lines.extend(
        until
            .into_iter()
            .flat_map(|until| count_lines(until, columns)),
    );
    lines
}

/// A sentence in lines, the first one of at most `first` columns, the others of `width`; where a part up to a comma has room in a
/// line, it is not broken.
fn sentence_lines(text: &str, first: usize, width: usize) -> Vec<String> {
    let narrow = width.saturating_sub(HANGING);
    let parts = text.split_inclusive(", ").map(str::trim_end);
    let pieces = parts.flat_map(|part| {
        let is_whole = measure_text_width(part) <= first.min(narrow);
        let words = (!is_whole).then(|| part.split_whitespace());
        let whole = is_whole.then_some(part);
        whole.into_iter().chain(words.into_iter().flatten())
    });
    let rows = filled(pieces, first, narrow).into_iter().enumerate();
    let rows = rows.map(|(at, row)| {
        let hanging = if at == 0 { 0 } else { HANGING };
        format!("{MARGIN}{:hanging$}{row}", "")
    });
    rows.collect()
}

/// What the phase counts, in several lines if one is too short, broken between its parts.
fn count_lines(counts: &str, columns: usize) -> Vec<String> {
    // The line and its margin.
    let room = columns.saturating_sub(1);
    let mut lines: Vec<String> = Vec::new();
    for part in counts.split(SEPARATOR) {
        match lines.last_mut() {
            Some(last) if measure_text_width(&format!("{last}{SEPARATOR}{part}")) <= room => {
                last.extend([SEPARATOR, part]);
            }
            Some(_) | None => {
                let width = room.saturating_sub(MARGIN.len());
                lines.extend(sentence_lines(part, width, width));
            }
        }
    }
    lines.iter().map(|text| line(text, "", columns)).collect()
}

/// A bar of `columns` characters.
fn bar(shown: &Fraction, columns: usize, paint: Paint) -> String {
    let halves = u128::from(shown.share()) * (columns as u128) * 2 / u128::from(WHOLE);
    let halves = usize::try_from(halves).unwrap_or(usize::MAX);
    // Whatever is done shows.
    let halves = halves.clamp(usize::from(shown.share() > 0), columns * 2);
    let half = if halves % 2 == 1 { "╸" } else { "" };
    let done = format!("{}{half}", "━".repeat(halves / 2));
    let rest = "─".repeat(columns - halves.div_ceil(2));
    format!("{}{}", paint.good(&done), paint.faint(&rest))
}

/// The line of an activity without its time, for `room` of all `columns`: what it does, its name, how many have this name, the
/// builder's phase, and its last log line or the bytes downloaded.
fn activity_columns(
    activity: &Activity,
    count: usize,
    room: usize,
    columns: usize,
    paint: Paint,
) -> String {
    let (verb, name) = (progress::verb(activity), progress::name(activity, count));
    let name = sanitize(&name);
    let phase = activity.phase.as_deref().map(sanitize).unwrap_or_default();
    let last = progress::last(activity).unwrap_or_default();
    let last = sanitize(&last).replace('\n', " ");
    let (name_columns, phase_columns) = if columns < NARROW {
        (0, 0)
    } else {
        let name_columns = (columns / 2).saturating_sub(14);
        (name_columns.clamp(MIN_NAME, MAX_NAME), 14)
    };
    // Where there is no builder's phase, its columns are the name's too; a long name, and what is written by it, say more than the phase.
    let is_long = measure_text_width(&name) > name_columns;
    let (name_columns, phase) = if phase.is_empty() || is_long {
        (name_columns + 2 + phase_columns, String::new())
    } else {
        let phase = format!("  {}", paint.active(&format!("{phase:<phase_columns$}")));
        (name_columns, phase)
    };
    // A longer name moves what follows it, and leaves some of that.
    let before = MARGIN.len() + verb.len() + 1;
    let after = measure_text_width(&phase) + 2 + MIN_LAST;
    let longest = room.saturating_sub(before + after).max(name_columns);
    let name = truncate_str(&name, longest.max(MIN_NAME), "…");
    let padding = name_columns.saturating_sub(measure_text_width(&name));
    let name = format!("{}{:padding$}", paint.strong(&name), "");
    let text = format!(
        "{MARGIN}{} {name}{phase}  {}",
        paint.faint(verb),
        paint.faint(&last)
    );
    text.trim_end().to_owned()
}

/// A line narrower than `columns`: `text`, truncated, and `right` aligned at the right edge, or at [`WIDEST_RUN`]. Neither has
/// control characters but those of [`Paint`].
pub(super) fn line(text: &str, right: &str, columns: usize) -> String {
    let columns = if right.is_empty() {
        columns
    } else {
        columns.min(WIDEST_RUN)
    };
    let wide = columns.saturating_sub(1);
    if wide == 0 {
        return String::new();
    }
    let rest = wide.saturating_sub(measure_text_width(right) + 1);
    if right.is_empty() || rest < 16 {
        return truncate_str(text, wide, "…").into_owned();
    }
    let text = truncate_str(text, rest, "…");
    let gap = rest.saturating_sub(measure_text_width(&text)) + 1;
    format!("{text}{:gap$}{right}", "")
}

#[cfg(test)]
mod tests;
