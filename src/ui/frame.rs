//! What the live view shows: the phase with how much of it is done, what it counts, and the builds and downloads in progress. Pure.

use std::time::Duration;

use console::{measure_text_width, truncate_str};

use crate::ui::colour::Paint;
use crate::ui::layout::{NARROW, SEPARATOR, WIDEST_RUN, fill_parts};
use crate::ui::sanitize::sanitize;
use crate::ui::state::{Activity, ActivityKind, Fraction, Progress, State};
use crate::ui::words;
use sdbuild_core::event::Phase;

/// Maximum height of the live view in lines, on any terminal.
const MAX_LINES: usize = 12;
/// Time between two frames of the spinner.
pub(super) const SPINNER_INTERVAL: Duration = Duration::from_millis(125);
/// Columns of a phase's name.
pub(super) const NAME_COLUMNS: usize = 18;
/// Lines of a live view with one for the phases that follow, at least.
const MIN_ROOM_FOR_NEXT: usize = 4;
/// Columns of the name of what is built or downloaded, at least.
const MIN_NAME: usize = 24;
/// The same at most where all names have as many: what it prints has the rest.
const MAX_NAME: usize = 64;
/// Columns that a long name leaves of what it prints: those of `112 of 340 MB`.
const MIN_LAST: usize = 13;
/// Columns of a builder's phase.
const PHASE_COLUMNS: usize = 14;
/// What the lines below that of the phase begin with, and further lines of a sentence.
const MARGIN: &str = "     ";
const HANGING: &str = "       ";

/// Width and height of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The live view at one moment. Each line is narrower than the terminal; without control characters but those of [`Paint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The name of the phase.
    pub(super) name: &'static str,
    /// How long it has run.
    pub(super) elapsed: Duration,
    /// How much of it is done, if that is known.
    pub(super) percent: Option<u64>,
    /// The lines below that.
    pub(super) below: Vec<String>,
}

/// The live view of `state` at the time `at`, at most half as high as the terminal; `None` between two phases.
pub(super) fn frame(state: &State, at: Duration, size: Size, paint: Paint) -> Option<Frame> {
    let (phase, since) = state.phase()?;
    let columns = size.columns.min(WIDEST_RUN);
    let room = (size.rows / 2).clamp(1, MAX_LINES) - 1;
    let mut below = Vec::new();
    if room + 1 >= MIN_ROOM_FOR_NEXT {
        below.extend(to_come(state, at, columns, paint));
    }
    below.extend(count_lines(state, at, columns, paint));
    below.truncate(room);
    below.extend(console(state, at, columns, paint));
    below.truncate(room);
    let room = room - below.len();
    below.extend(active(state, at, columns, room, paint));
    Some(Frame {
        name: words::phase(phase),
        elapsed: at.saturating_sub(since),
        percent: state.fraction().map(Fraction::percent),
        below,
    })
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

/// What the phase counts. The stage of a boot has a line of its own with the time since it was reached: no number says how far it is.
fn count_lines(state: &State, at: Duration, columns: usize, paint: Paint) -> Vec<String> {
    let mut counts = counts(state);
    let mut lines = Vec::new();
    if let Some((since, detail)) = state.reached().zip(state.detail()) {
        let (stage, until) = detail.split_once(SEPARATOR).unwrap_or((detail, ""));
        let reached = format!("for {}", words::seconds(at.saturating_sub(since)));
        let stage = format!("{MARGIN}{}", sanitize(stage));
        lines.push(line(&stage, &paint.faint(&reached), columns));
        let until = Some(until.to_owned()).filter(|until| !until.is_empty());
        // The detail is the first of them.
        counts.splice(..1, until);
    }
    let counts = counts.iter().map(|part| sanitize(part).into_owned());
    let counts: Vec<String> = counts.collect();
    if !counts.is_empty() {
        let counted = fill_parts(&counts, MARGIN, HANGING, columns.saturating_sub(1));
        lines.extend(counted.iter().map(|counted| line(counted, "", columns)));
    }
    lines
}

/// The last line of the console of the machine that boots.
fn console(state: &State, at: Duration, columns: usize, paint: Paint) -> Option<String> {
    let last = state.console()?;
    let words: Vec<&str> = last.text.split_whitespace().collect();
    let text = paint.faint(&sanitize(&format!("console: {}", words.join(" "))));
    let ago = format!("{} ago", words::seconds(at.saturating_sub(last.since)));
    Some(line(
        &format!("{MARGIN}{text}"),
        &paint.faint(&ago),
        columns,
    ))
}

/// At most `room` lines about the builds and downloads in progress.
fn active(state: &State, at: Duration, columns: usize, room: usize, paint: Paint) -> Vec<String> {
    let listed = listed(state);
    let shown = if listed.len() > room {
        room.saturating_sub(1)
    } else {
        listed.len()
    };
    let (first, rest) = listed.split_at_checked(shown).unwrap_or_default();
    let first = first.iter().map(|(activity, count)| {
        let time = paint.faint(&words::seconds(at.saturating_sub(activity.since)));
        let room = columns.saturating_sub(measure_text_width(&time) + 2);
        let text = activity_columns(activity, *count, room, columns, paint);
        line(&text, &time, columns)
    });
    let more: usize = rest.iter().map(|(_, count)| count).sum();
    let more = (more > 0 && room > 0).then(|| format!("{MARGIN}and {more} more"));
    first
        .chain(more.map(|more| line(&more, "", columns)))
        .collect()
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
    let verb = verb(activity);
    let name = name(activity, count);
    let name = sanitize(&name);
    let phase = activity.phase.as_deref().map(sanitize).unwrap_or_default();
    let last = last(activity).unwrap_or_default();
    let last = sanitize(&last).replace('\n', " ");
    let (name_columns, phase_columns) = if columns < NARROW {
        (0, 0)
    } else {
        let name_columns = (columns / 2).saturating_sub(14);
        (name_columns.clamp(MIN_NAME, MAX_NAME), PHASE_COLUMNS)
    };
    // Where there is no builder's phase, its columns are the name's too; a long name, and what it prints, say more than the phase.
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

/// A line narrower than `columns`: `text`, truncated, and `right` aligned at the right edge, or at [`WIDEST_RUN`].
pub(super) fn line(text: &str, right: &str, columns: usize) -> String {
    let wide = columns.min(WIDEST_RUN).saturating_sub(1);
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

/// What the current phase has done, if it counts, and how long it took last time: `12 of 42 MB · 2.1 MB/s`, `built 3 of 62`.
pub(super) fn counts(state: &State) -> Vec<String> {
    let Some((phase, _)) = state.phase() else {
        return Vec::new();
    };
    let mut parts: Vec<String> = state.detail().map(str::to_owned).into_iter().collect();
    if phase == Phase::Build {
        parts.extend(nix(state));
    }
    // The bytes of container images are shares of sizes that are estimated until the archives are written: a percentage says that.
    let transfer = state.transfer();
    if let Some(transfer) = transfer.filter(|_| phase != Phase::ContainerImages) {
        parts.push(words::amount(transfer.done, transfer.total.unwrap_or(0)));
        parts.extend(words::rate(transfer.done, transfer.took));
    }
    let last = state.last_time().map(words::duration);
    parts.extend(last.map(|last| format!("last time {last}")));
    parts
}

fn nix(state: &State) -> Vec<String> {
    let counts = state.nix();
    let (mut parts, fetched, built) = (Vec::new(), counts.fetched, counts.built);
    if fetched.all > 0 {
        let Progress { done, all } = counts.downloaded;
        let amount = || words::amount(done.min(all), all);
        let bytes = (all > 0).then(|| format!(" ({})", amount()));
        let bytes = bytes.unwrap_or_default();
        parts.push(format!(
            "fetched {} of {}{bytes}",
            fetched.done, fetched.all
        ));
    }
    if built.all > 0 {
        let emulated = counts.emulated.filter(|n| *n > 0);
        let emulated = emulated.map(|n| match n {
            1 => " (1 needs emulation)".to_owned(),
            _ => format!(" ({n} need emulation)"),
        });
        let emulated = emulated.unwrap_or_default();
        parts.push(format!("built {} of {}{emulated}", built.done, built.all));
    }
    if parts.is_empty() && state.detail().is_none() {
        parts.push("evaluating the configuration".to_owned());
    }
    parts
}

/// What the current phase came to, for the line about its end: `41 MB`, `56 built, 3 emulated`.
pub(super) fn outcome(state: &State) -> Option<String> {
    let (phase, _) = state.phase()?;
    if let Some(detail) = state.detail() {
        return Some(detail.to_owned());
    }
    if phase != Phase::Build {
        return state.transfer().map(|t| words::human_bytes(t.done));
    }
    let counts = state.nix();
    let mut parts = Vec::new();
    if counts.fetched.done > 0 {
        let bytes = counts.downloaded.done;
        let bytes = (bytes > 0).then(|| format!(" ({})", words::human_bytes(bytes)));
        parts.push(format!(
            "{} fetched{}",
            counts.fetched.done,
            bytes.unwrap_or_default()
        ));
    }
    // What Nix expected to build includes derivations that it only looked at, so it says nothing at the end.
    let built = counts.built.done;
    if built > 0 {
        let emulated = counts.emulated.map_or(0, |n| n.min(built));
        let emulated = (emulated > 0).then(|| format!(", {emulated} of them emulated"));
        parts.push(format!("{built} built{}", emulated.unwrap_or_default()));
    }
    if parts.is_empty() {
        return Some("nothing to build".to_owned());
    }
    Some(parts.join(SEPARATOR))
}

/// The builds and then the downloads in progress, with how many there are of the same name: derivations for this machine and
/// for the board often have one name.
pub(super) fn listed(state: &State) -> Vec<(&Activity, usize)> {
    let of_kind = |kind| state.active().filter(move |activity| activity.kind == kind);
    let mut listed: Vec<(&Activity, usize)> = Vec::new();
    for activity in of_kind(ActivityKind::Build).chain(of_kind(ActivityKind::Fetch)) {
        let what = verb(activity);
        let same = listed
            .iter_mut()
            .find(|(known, _)| known.name == activity.name && verb(known) == what);
        match same {
            Some((_, count)) => *count += 1,
            None => listed.push((activity, 1)),
        }
    }
    listed
}

/// The name of `count` derivations or store paths: `bash-5.2`, `2 × bash-5.2`.
pub(super) fn name(activity: &Activity, count: usize) -> String {
    match count {
        0 | 1 => activity.name.clone(),
        _ => format!("{count} × {}", activity.name),
    }
}

/// `building` or `fetching`.
pub(super) fn verb(activity: &Activity) -> &'static str {
    if is_download(activity) {
        "fetching"
    } else {
        "building"
    }
}

/// The bytes that an activity has downloaded, how far its current step is, or the last line of its log, on one line.
pub(super) fn last(activity: &Activity) -> Option<String> {
    match (activity.moved, &activity.last, &activity.step) {
        (Some(Progress { done, all }), ..) if is_download(activity) => {
            Some(words::amount(done, all))
        }
        (_, Some(last), _) => Some(last.split_whitespace().collect::<Vec<_>>().join(" ")),
        (_, None, Some(step)) => Some(step.words()),
        _ => None,
    }
}

/// Whether it is a store path that is fetched, or a derivation that so far only downloads.
fn is_download(activity: &Activity) -> bool {
    let silent = activity.phase.is_none() && activity.last.is_none() && activity.step.is_none();
    activity.kind == ActivityKind::Fetch || activity.moved.is_some() && silent
}

#[cfg(test)]
mod tests;
