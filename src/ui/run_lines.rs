//! The lines about a run that stay on the screen: its header, the phases that ended, and the image. Pure.

use std::time::Duration;

use console::measure_text_width;

use crate::ui::colour::Paint;
use crate::ui::frame::{NAME_COLUMNS, line};
use crate::ui::layout::{NARROW, SEPARATOR, WIDEST_RUN, fill, fill_parts, wrapped};
use crate::ui::sanitize::sanitize_line;
use crate::ui::state::{Ended, State};
use crate::ui::words;
use sdbuild_core::event::{ImageDone, LastLine, Phase, RunSummary, Stop};
use sdbuild_core::text::truncate;

/// A phase that took less has no line on a terminal, and elsewhere only if it has something to tell.
const MIN_SHOWN: Duration = Duration::from_millis(100);
/// The same for cleaning up, which is not part of the work.
const MIN_CLEAN_UP_SHOWN: Duration = Duration::from_secs(1);

/// The form of the lines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// For a terminal of this many columns.
    Columns(usize),
    /// For a log or a program: no columns, no marks.
    Plain,
}

/// The first line: the version, `sd-card.nix → aarch64-linux`, `Docker 28.5 on this machine` and `nixpkgs 26.05`, broken
/// between these parts, and where one is too long.
pub(super) fn header(run: &RunSummary, form: Form, paint: Paint) -> Vec<String> {
    let [configuration, system, engine, nixpkgs] =
        [&run.configuration, &run.system, &run.engine, &run.nixpkgs]
            .map(|text| sanitize_line(text));
    let name = format!("sdbuild {}", env!("CARGO_PKG_VERSION"));
    let columns = match form {
        // No wider than what follows.
        Form::Columns(columns) => columns.min(WIDEST_RUN).saturating_sub(1),
        Form::Plain => usize::MAX,
    };
    let parts = [
        name.clone(),
        format!("{configuration} → {system}"),
        engine,
        format!("nixpkgs {nixpkgs}"),
    ];
    let mut lines = fill_parts(&parts, "", "  ", columns);
    if let Some(first) = lines.first_mut() {
        *first = first.replacen(&name, &paint.strong(&name), 1);
    }
    if matches!(form, Form::Columns(_)) {
        lines.push(String::new());
    }
    lines
}

/// The lines about a phase that succeeded; none if it took no time, unless `all` phases are shown, and for
/// [`Phase::Measure`], whose result follows.
pub(super) fn succeeded(
    phase: Phase,
    took: Duration,
    outcome: Option<&str>,
    all: bool,
    form: Form,
    paint: Paint,
) -> Vec<String> {
    if phase == Phase::Measure && !all {
        return Vec::new();
    }
    let (name, time) = (words::phase(phase), words::duration(took));
    let outcome = outcome.map(sanitize_line);
    let min = if phase == Phase::Release {
        MIN_CLEAN_UP_SHOWN
    } else {
        MIN_SHOWN
    };
    let Form::Columns(columns) = form else {
        let is_told = all || took >= min || outcome.is_some();
        let outcome = outcome.map(|text| format!(" ({text})")).unwrap_or_default();
        let line = || format!("{name}: done in {time}{outcome}");
        return is_told.then(line).into_iter().collect();
    };
    // That a card was read back has to be seen, however little time it took.
    let all = all || phase == Phase::Verify;
    if all || took >= min {
        timed(name, &outcome.unwrap_or_default(), &time, columns, paint)
    } else {
        Vec::new()
    }
}

/// The lines about a phase that succeeded. An `outcome` that has no room beside the time stands below it.
fn timed(name: &str, outcome: &str, time: &str, columns: usize, paint: Paint) -> Vec<String> {
    let mark = paint.good("✓");
    let with = |outcome: &str| columned(&mark, name, &paint.faint(outcome), columns, paint);
    let wide = columns.min(WIDEST_RUN).saturating_sub(1);
    if measure_text_width(&with(outcome)) + 1 + measure_text_width(time) <= wide {
        return vec![line(&with(outcome), time, columns)];
    }
    // Below the outcomes of other phases.
    let margin = " ".repeat(if columns < NARROW {
        5
    } else {
        NAME_COLUMNS + 5
    });
    let rows = fill(outcome, &margin, &margin, wide).into_iter();
    let rows = rows.map(|row| line(&paint.faint(&row), "", columns));
    std::iter::once(line(&with(""), time, columns))
        .chain(rows)
        .collect()
}

/// The line about a phase that did not succeed.
pub(super) fn not_succeeded(ended: &Ended, form: Form, paint: Paint) -> String {
    let (name, time) = (words::phase(ended.phase), words::duration(ended.took));
    let (mark, how) = if ended.stop == Some(Stop::Interrupted) {
        (paint.attention("■"), "interrupted")
    } else {
        (paint.bad("✗"), "failed")
    };
    match form {
        Form::Columns(columns) => {
            let text = columned(&mark, name, how, columns, paint);
            line(&text, &time, columns)
        }
        Form::Plain => format!("{name}: {how} after {time}"),
    }
}

fn columned(mark: &str, name: &str, text: &str, columns: usize, paint: Paint) -> String {
    let wide = if columns < NARROW { 0 } else { NAME_COLUMNS };
    let name = paint.strong(&format!("{name:<wide$}"));
    format!(" {mark} {name}  {text}").trim_end().to_owned()
}

/// Columns in front of the path of an image, and of the result of a run.
const PATH_INDENT: usize = 3;
/// Columns in front of what a command is for, where there is no room beside it.
const PURPOSE_INDENT: usize = 11;

/// The lines about the image: its path and sizes, and how to go on.
pub(super) fn image(image: &ImageDone, form: Form, paint: Paint) -> Vec<String> {
    let shown = sanitize_line(&image.shown);
    let mut facts = words::human_bytes(image.size);
    if image.raw_size != image.size {
        facts.extend([", ", &words::human_bytes(image.raw_size), " ", image.raw]);
    }
    if image.up_to_date {
        facts.extend([SEPARATOR, "up to date"]);
    }
    let took = words::duration(image.took);
    let took = if image.is_booted_next && !image.up_to_date {
        format!("built in {took}")
    } else {
        took
    };
    let facts = [facts, took].join(SEPARATOR);
    let older = older(&image.older);
    let Form::Columns(columns) = form else {
        let facts = format!("{facts}, SHA-256 {}", image.sha256);
        let image = if image.path_follows {
            format!("image: {facts}")
        } else {
            format!("image: {shown} ({facts})")
        };
        return std::iter::once(image).chain(older).collect();
    };
    let fits = |text: &str| measure_text_width(text) < columns;
    let mark = paint.good("✓");
    let path = paint.strong(&shown);
    let one = format!(" {mark} {path}{SEPARATOR}{facts}");
    let mut lines = vec![String::new()];
    if fits(&one) {
        lines.push(one);
    } else {
        // Nobody copies it from here, and the terminal would break it anywhere.
        let rows = textwrap::wrap(&shown, columns.saturating_sub(PATH_INDENT + 1));
        let marks = std::iter::once(mark.as_str()).chain(std::iter::repeat(" "));
        let rows = marks.zip(&rows);
        lines.extend(rows.map(|(mark, row)| format!(" {mark} {}", paint.strong(row))));
        let facts: Vec<String> = facts.split(SEPARATOR).map(str::to_owned).collect();
        lines.extend(fill_parts(&facts, "   ", "   ", columns.saturating_sub(1)));
    }
    let rows = older.map(|text| wrapped(&text, columns.saturating_sub(PATH_INDENT + 1)));
    lines.extend(rows.into_iter().flatten().map(|row| format!("   {row}")));
    lines.extend(next_lines(&image.next, columns, paint));
    lines
}

/// What is said of images that are not replaced.
fn older(images: &[(String, u64)]) -> Option<String> {
    let size = words::human_bytes(images.iter().map(|(_, size)| size).sum());
    match images {
        [] => None,
        [(name, _)] => Some(format!("an earlier image stays: {name} ({size})")),
        more => Some(format!(
            "{} earlier images stay ({size}): `sdbuild status`",
            more.len()
        )),
    }
}

/// The same as `last_lines`, in a sentence.
pub(super) fn last_text(last: &LastLine) -> String {
    let next = match last {
        LastLine::Done(text) => return text.clone(),
        LastLine::Commands(next) => next.iter(),
    };
    let next = next.map(|(command, purpose)| format!("{command} ({purpose})"));
    format!("next: {}", next.collect::<Vec<_>>().join(", "))
}

/// The lines at the end of a run.
pub(super) fn last_lines(last: &LastLine, columns: usize, paint: Paint) -> Vec<String> {
    let text = match last {
        LastLine::Done(text) => text,
        LastLine::Commands(next) => return next_lines(next, columns, paint),
    };
    let rows = wrapped(text, columns.saturating_sub(PATH_INDENT + 1));
    let marks = std::iter::once(paint.good("✓")).chain(std::iter::repeat(" ".to_owned()));
    let rows = marks.zip(rows);
    rows.map(|(mark, row)| format!(" {mark} {row}")).collect()
}

/// The commands to go on with, each with what it is for: beside it if there is room, otherwise below it.
fn next_lines(next: &[(String, &'static str)], columns: usize, paint: Paint) -> Vec<String> {
    let next = next.iter();
    let next: Vec<_> = next
        .map(|(command, to)| (sanitize_line(command), to))
        .collect();
    let wide = next
        .iter()
        .map(|(command, _)| command.len())
        .max()
        .unwrap_or(0);
    let labels = std::iter::once("next").chain(std::iter::repeat("    "));
    let start = |label: &str| format!("   {}  ", paint.faint(label));
    let with_purpose = labels
        .clone()
        .zip(&next)
        .map(|(label, (command, purpose))| {
            let command = paint.active(&format!("{command:<wide$}"));
            format!("{}{command}   {purpose}", start(label))
        });
    let with_purpose: Vec<String> = with_purpose.collect();
    if with_purpose
        .iter()
        .all(|line| measure_text_width(line) < columns)
    {
        return with_purpose;
    }
    let mut lines = Vec::new();
    for (label, (command, purpose)) in labels.zip(&next) {
        // A command must stay one line.
        lines.push(start(label) + &paint.active(command));
        let rows = wrapped(purpose, columns.saturating_sub(PURPOSE_INDENT + 1));
        let rows = rows.iter();
        lines.extend(rows.map(|row| format!("{:PURPOSE_INDENT$}{row}", "")));
    }
    lines
}

/// Width of the names, so that the table fits 80 columns.
const NAME: usize = 56;
/// Width of the times: `12 h 34 min`.
const TIME: usize = 12;

/// The phases and the slowest derivations with their times; empty if Nix did not run.
pub(super) fn table(state: &State, at: Duration) -> Vec<String> {
    if !state
        .ended()
        .iter()
        .any(|ended| ended.phase == Phase::Build)
    {
        return Vec::new();
    }
    let rows = |(name, took): &(String, Duration)| row(name, &words::duration(*took));
    let phases = state.ended().iter();
    let mut lines: Vec<String> = phases
        .map(|Ended { phase, took, stop }| {
            let how = match stop {
                None => "",
                Some(Stop::Failed | Stop::Question | Stop::Tolerated) => ": failed",
                Some(Stop::Interrupted) => ": interrupted",
                Some(Stop::Refused) => ": refused",
            };
            let name = format!("{}{how}", words::phase(*phase));
            row(&name, &words::duration(*took))
        })
        .collect();
    lines.insert(0, row("phase", "took"));
    let all = at.saturating_sub(state.began().unwrap_or(at));
    lines.push(row("total", &words::duration(all)));
    if !state.slowest().is_empty() {
        lines.push(row("slowest derivations", "took"));
        lines.extend(state.slowest().iter().map(rows));
    }
    lines
}

fn row(name: &str, took: &str) -> String {
    let name = truncate(name, NAME);
    format!("  {name:<0$}{took:>TIME$}", NAME + 2)
}

#[cfg(test)]
mod tests;
