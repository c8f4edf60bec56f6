//! The lines of every view: those about a run that stay on the screen, and those of the live view. Pure.

use std::time::Duration;

use console::{measure_text_width, truncate_str};

use crate::ui::colour::Paint;
use crate::ui::layout::{NARROW, SEPARATOR, fill, on_one_line};
use crate::ui::sanitize::{message, sanitize_line};
use crate::ui::state::{Activity, Ended, Progress, State};
use crate::ui::words;
use sdbuild_core::counted::counted;
use sdbuild_core::event::{ImageDone, LastLine, Phase, RunSummary, Stop};

/// Maximum height of the live view in lines, on any terminal.
const MAX_LINES: usize = 12;
/// Columns of a phase's name.
pub(super) const NAME_COLUMNS: usize = 18;
/// Columns of the name of what is built or downloaded.
const ACTIVITY_COLUMNS: usize = 32;
/// What the lines below that of a phase begin with.
const MARGIN: &str = "     ";
/// A phase that took less has no line on a terminal, and elsewhere only if it has a result.
const MIN_SHOWN: Duration = Duration::from_millis(100);
/// The same for cleaning up, which is not part of the work.
const MIN_CLEAN_UP_SHOWN: Duration = Duration::from_secs(1);

/// The form of the lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Columns of the terminal; `None` for a log or a program, which gets no columns and no marks.
    pub(super) columns: Option<usize>,
    pub(super) paint: Paint,
}

impl Form {
    fn fill(self, text: &str, first: &str, rest: &str) -> Vec<String> {
        let columns = self.columns.map(|columns| columns.saturating_sub(1));
        fill(text, first, rest, columns.unwrap_or(usize::MAX))
    }
}

/// The first line: `sdbuild 0.1.0 · sd-card.nix → aarch64-linux · Docker 28.5 on this machine · nixpkgs 26.05`.
pub(super) fn header(run: &RunSummary, form: Form) -> Vec<String> {
    let name = format!("sdbuild {}", env!("CARGO_PKG_VERSION"));
    let parts = [
        form.paint.strong(&name),
        sanitize_line(&format!("{} → {}", run.configuration, run.system)),
        sanitize_line(&run.engine),
        sanitize_line(&format!("nixpkgs {}", run.nixpkgs)),
    ];
    form.fill(&parts.join(SEPARATOR), "", "  ")
}

/// The lines about a phase that ended; none if it took no time, unless `all` phases are shown, and for [`Phase::Measure`],
/// whose result follows. An `outcome` that has no room beside the time stands below it.
pub(super) fn phase(ended: &Ended, outcome: Option<&str>, all: bool, form: Form) -> Vec<String> {
    let (Ended { phase, took, stop }, paint) = (*ended, form.paint);
    let outcome = outcome.map(sanitize_line);
    let min = if phase == Phase::Release {
        MIN_CLEAN_UP_SHOWN
    } else {
        MIN_SHOWN
    };
    // That a card was read back has to be seen, however little time it took.
    let is_worth_a_line =
        took >= min || phase == Phase::Verify || form.columns.is_none() && outcome.is_some();
    if stop.is_none() && !all && (phase == Phase::Measure || !is_worth_a_line) {
        return Vec::new();
    }
    let (name, time) = (words::phase(phase), words::duration(took));
    let (mark, how) = match stop {
        None => (paint.good("✓"), ""),
        Some(Stop::Interrupted) => (paint.attention("■"), "interrupted"),
        Some(Stop::Failed | Stop::Question | Stop::Tolerated) => (paint.bad("✗"), "failed"),
    };
    let Some(columns) = form.columns else {
        let outcome = outcome.map(|text| format!(" ({text})")).unwrap_or_default();
        return vec![match stop {
            None => format!("{name}: done in {time}{outcome}"),
            Some(_) => format!("{name}: {how} after {time}"),
        }];
    };
    let text = outcome.unwrap_or_else(|| how.to_owned());
    let head = format!(
        " {mark} {}",
        paint.strong(&format!("{name:<NAME_COLUMNS$}"))
    );
    let beside = format!("{head}  {}", paint.faint(&text));
    if measure_text_width(&beside) + measure_text_width(&time) + 2 <= columns {
        return vec![line(&beside, &time, columns)];
    }
    let mut lines = vec![line(&head, &time, columns)];
    lines.extend(form.fill(&text, MARGIN, MARGIN));
    lines
}

/// The lines about the image: its path and sizes, and how to go on. `warnings` were shown before.
pub(super) fn image(image: &ImageDone, warnings: usize, form: Form) -> Vec<String> {
    let (shown, paint) = (sanitize_line(&image.shown), form.paint);
    let mut size = words::human_bytes(image.size);
    if image.raw_size != image.size {
        size.extend([", ", &words::human_bytes(image.raw_size), " ", image.raw]);
    }
    if image.up_to_date {
        size.extend([SEPARATOR, "up to date"]);
    }
    let built = if image.is_booted_next && !image.up_to_date {
        "built in "
    } else {
        ""
    };
    let facts = format!("{size}{SEPARATOR}{built}{}", words::duration(image.took));
    let older = older(&image.older);
    if form.columns.is_none() {
        // Standard output has its path, often in the same log.
        let image = format!("image: {facts}, SHA-256 {}", image.sha256);
        return std::iter::once(image).chain(older).collect();
    }
    let mut lines = vec![String::new()];
    // Many lines may have come since, and a warning may be that nobody can log in.
    if warnings > 0 && !image.up_to_date {
        let warnings = counted(warnings, "warning", "warnings");
        lines.push(format!(" {} {warnings} above", paint.attention("!")));
    }
    let text = format!("{}{SEPARATOR}{facts}", paint.strong(&shown));
    lines.extend(result(&text, form));
    lines.extend(
        older
            .iter()
            .flat_map(|older| form.fill(older, "   ", "   ")),
    );
    lines.extend(next(&image.next, form));
    lines
}

fn result(text: &str, form: Form) -> Vec<String> {
    form.fill(text, &format!(" {} ", form.paint.good("✓")), "   ")
}

/// The line about images that are not replaced.
fn older(images: &[(String, u64)]) -> Option<String> {
    let size = words::human_bytes(images.iter().map(|(_, size)| size).sum());
    match images {
        [] => None,
        [(name, _)] => Some(format!(
            "an earlier image stays: {} ({size})",
            sanitize_line(name)
        )),
        more => Some(format!(
            "{} earlier images stay ({size}): `sdbuild status`",
            more.len()
        )),
    }
}

/// The same as [`last_lines`], in a sentence.
pub(super) fn last_text(last: &LastLine) -> String {
    let next = match last {
        LastLine::Done(text) => return text.clone(),
        LastLine::Commands(next) => next.iter(),
    };
    let next = next.map(|(command, purpose)| format!("{command} ({purpose})"));
    format!("next: {}", next.collect::<Vec<_>>().join(", "))
}

/// The lines at the end of a run.
pub(super) fn last_lines(last: &LastLine, form: Form) -> Vec<String> {
    match last {
        _ if form.columns.is_none() => vec![message(&last_text(last))],
        LastLine::Done(text) => result(&sanitize_line(text), form),
        LastLine::Commands(commands) => next(commands, form),
    }
}

/// The commands to go on with, each with what it is for.
fn next(commands: &[(String, &'static str)], form: Form) -> Vec<String> {
    let longest = commands.iter().map(|(command, _)| command.len()).max();
    let wide = longest.unwrap_or(0);
    let labels = std::iter::once("next").chain(std::iter::repeat("    "));
    let lines = labels
        .zip(commands)
        .flat_map(|(label, (command, purpose))| {
            let command = format!("{:<wide$}", sanitize_line(command));
            let (label, command) = (form.paint.faint(label), form.paint.active(&command));
            form.fill(purpose, &format!("   {label}  {command}   "), "           ")
        });
    lines.collect()
}

/// The slowest derivations with their times; `None` if nothing was built.
pub(super) fn slowest(state: &State) -> Option<String> {
    let slowest = state.slowest.iter();
    let slowest = slowest.map(|(name, took)| format!("{name} ({})", words::duration(*took)));
    let slowest = slowest.collect::<Vec<_>>().join(", ");
    (!slowest.is_empty()).then(|| format!("slowest derivations: {slowest}"))
}

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
    let current = state.current.as_ref()?;
    let room = (size.rows / 2).clamp(1, MAX_LINES) - 1;
    let elapsed = |since| words::seconds(at.saturating_sub(since));
    // The text of each line, and what stands at its right edge.
    let mut rows = Vec::new();
    let counts = counts(state, at);
    if !counts.is_empty() {
        rows.push((sanitize_line(&counts.join(SEPARATOR)), String::new()));
    }
    if let Some((text, since)) = &current.console {
        let text = paint.faint(&on_one_line(&format!("console: {text}")));
        rows.push((text, format!("{} ago", elapsed(*since))));
    }
    if !state.to_come.is_empty() {
        let names: Vec<&str> = state.to_come.iter().copied().map(words::phase).collect();
        let next = format!("then {}", names.join(SEPARATOR));
        rows.push((
            paint.faint(&next),
            format!("in all: {} so far", elapsed(Duration::ZERO)),
        ));
    }
    rows.truncate(room);
    let (listed, room) = (listed(state), room - rows.len());
    let shown = if listed.len() > room {
        room.saturating_sub(1)
    } else {
        listed.len()
    };
    let wide = if size.columns < NARROW {
        0
    } else {
        ACTIVITY_COLUMNS
    };
    for (activity, count) in listed.iter().take(shown) {
        let name = format!("{:<wide$}", sanitize_line(&name(activity, *count)));
        let last = last(activity).unwrap_or_default();
        let (verb, name, last) = (verb(activity), paint.strong(&name), paint.faint(&last));
        let text = format!("{} {name}  {last}", paint.faint(verb));
        rows.push((text, elapsed(activity.since)));
    }
    let more: usize = listed.iter().skip(shown).map(|(_, count)| count).sum();
    if more > 0 && room > 0 {
        rows.push((format!("and {more} more"), String::new()));
    }
    let below = rows.iter().map(|(text, right)| {
        line(
            &format!("{MARGIN}{text}"),
            &paint.faint(right),
            size.columns,
        )
    });
    Some(Frame {
        name: words::phase(current.phase),
        elapsed: at.saturating_sub(current.since),
        percent: current.percent(),
        below: below.collect(),
    })
}

/// A line narrower than `columns`: `text`, truncated, and `right` aligned at the right edge.
fn line(text: &str, right: &str, columns: usize) -> String {
    let wide = columns.saturating_sub(1);
    if wide == 0 {
        return String::new();
    }
    let rest = wide.saturating_sub(measure_text_width(right) + 1);
    if right.is_empty() || rest < 16 {
        return truncate_str(text.trim_end(), wide, "…").into_owned();
    }
    let text = truncate_str(text.trim_end(), rest, "…");
    let gap = rest.saturating_sub(measure_text_width(&text)) + 1;
    format!("{text}{:gap$}{right}", "")
}

/// What the current phase has done, if it counts, and how long it took last time: `12 of 42 MB · 2.1 MB/s`, `built 3 of 62`.
pub(super) fn counts(state: &State, at: Duration) -> Vec<String> {
    let Some(current) = &state.current else {
        return Vec::new();
    };
    let mut parts: Vec<String> = current.detail.clone().into_iter().collect();
    if current.phase == Phase::Build {
        parts.extend(nix(state));
        if parts.is_empty() {
            parts.push("evaluating the configuration".to_owned());
        }
    }
    // The bytes of container images are shares of sizes that are estimated until the archives are written: a percentage says that.
    let bytes = current.bytes;
    if let Some(Progress { done, all }) = bytes.filter(|_| current.phase != Phase::ContainerImages)
    {
        parts.push(words::amount(done, all));
        parts.extend(words::rate(done, at.saturating_sub(current.since)));
    }
    let last = state.last_time().map(words::duration);
    parts.extend(last.map(|last| format!("last time {last}")));
    parts
}

fn nix(state: &State) -> Vec<String> {
    let (mut parts, fetched, built) = (Vec::new(), state.fetched, state.built);
    if fetched.all > 0 {
        let Progress { done, all } = state.downloaded;
        let bytes = (all > 0).then(|| format!(" ({})", words::amount(done.min(all), all)));
        let bytes = bytes.unwrap_or_default();
        parts.push(format!(
            "fetched {} of {}{bytes}",
            fetched.done, fetched.all
        ));
    }
    if built.all > 0 {
        let emulated = match state.emulated.unwrap_or(0) {
            0 => String::new(),
            1 => " (1 needs emulation)".to_owned(),
            n => format!(" ({n} need emulation)"),
        };
        parts.push(format!("built {} of {}{emulated}", built.done, built.all));
    }
    parts
}

/// What the current phase came to, for the line about its end: `41 MB`, `56 built, 3 of them emulated`.
pub(super) fn outcome(state: &State) -> Option<String> {
    let current = state.current.as_ref()?;
    if current.detail.is_some() {
        return current.detail.clone();
    }
    if current.phase != Phase::Build {
        return current.bytes.map(|bytes| words::human_bytes(bytes.done));
    }
    let mut parts = Vec::new();
    if state.fetched.done > 0 {
        let bytes = match state.downloaded.done {
            0 => String::new(),
            bytes => format!(" ({})", words::human_bytes(bytes)),
        };
        parts.push(format!("{} fetched{bytes}", state.fetched.done));
    }
    // What Nix expected to build includes derivations that it only looked at, so it says nothing at the end.
    let built = state.built.done;
    if built > 0 {
        let emulated = match state.emulated.map_or(0, |n| n.min(built)) {
            0 => String::new(),
            n => format!(", {n} of them emulated"),
        };
        parts.push(format!("{built} built{emulated}"));
    }
    if parts.is_empty() {
        parts.push("nothing to build".to_owned());
    }
    Some(parts.join(SEPARATOR))
}

/// The builds and then the downloads in progress, with how many there are of the same name: derivations for this machine and
/// for the board often have one name.
pub(super) fn listed(state: &State) -> Vec<(&Activity, usize)> {
    let of_kind = |is_fetch| state.active().filter(move |one| one.is_fetch == is_fetch);
    let mut listed: Vec<(&Activity, usize)> = Vec::new();
    for activity in of_kind(false).chain(of_kind(true)) {
        let is_same =
            |known: &Activity| known.name == activity.name && verb(known) == verb(activity);
        match listed.iter_mut().find(|(known, _)| is_same(known)) {
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

/// `building` or `fetching`, which a derivation does too that so far only downloads.
fn verb(activity: &Activity) -> &'static str {
    if activity.is_fetch || activity.moved.is_some() && activity.last.is_none() {
        "fetching"
    } else {
        "building"
    }
}

/// What an activity last reported, or the bytes that it has downloaded.
pub(super) fn last(activity: &Activity) -> Option<String> {
    let moved = || Some(words::amount(activity.moved?.done, activity.moved?.all));
    activity.last.as_deref().map(on_one_line).or_else(moved)
}

#[cfg(test)]
mod tests;
