//! `sdbuild status`: what sdbuild has on this machine and its size, on one screen or as JSON.

use crate::cli;
use crate::commands::json_output::print_json;
use crate::commands::newest_image::built_images;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::pipeline::{Handler, Machine, Run, RunState, SizedObject, StaleLoans, Status};
use crate::publish;
use crate::settings::{Common, Environment, output_dir};
use crate::ui::layout::{age, column, fit, labelled, wrapped};
use crate::ui::{Ui, words};

/// Rows of one group when not all rows fit the screen: the groups of a busy machine and the shell's prompt fit 24 lines.
const MAX_ROWS: usize = 3;
/// Rows of the screen that are left for the command and the prompt.
const PROMPT_ROWS: usize = 2;
/// Columns of the labels of groups.
const LABEL: usize = 12;
/// Columns of state, size and age with the blanks before them.
const FACTS: usize = 35;
/// On a terminal of fewer columns only name and size are shown, which take this many less than a row.
const TABLE_COLUMNS: usize = 70;
const SIZE: usize = 9;

/// Prints the status to standard output.
pub async fn run(
    args: &cli::Status,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let settings = Common::without_file(env)?;
    StaleLoans::find(&settings).warn_of_unusable(context);
    for upload in publish::unfinished(&settings.state_dir) {
        let text = format!("unfinished upload of {} to {}", upload.name, upload.region);
        context
            .events
            .notice(format!("{text}: sdbuild publish list"));
    }
    // A settings file with a mistake does not keep the rest from being shown.
    let built = output_dir(env).map_or_else(
        |_| Vec::new(),
        |(here, output)| built_images(&here, &output),
    );
    let status = Status::look(&settings, built, context).await?;
    if args.json {
        return print_json(&status, ui);
    }
    let (columns, rows) = ui.result_size();
    let shown = fitting(rows, |max_rows| lines(&status, columns, max_rows));
    ui.result(&shown.join("\n"))
}

/// `lines` with every row of each group if they fit a screen of `rows` rows, else with the first [`MAX_ROWS`].
fn fitting(rows: usize, lines: impl Fn(usize) -> Vec<String>) -> Vec<String> {
    let all = lines(usize::MAX);
    if all.len() + PROMPT_ROWS <= rows {
        all
    } else {
        lines(MAX_ROWS)
    }
}

/// The status in lines of `columns` columns, with at most `max_rows` rows of each group.
fn lines(status: &Status, columns: usize, max_rows: usize) -> Vec<String> {
    let mut rows = Rows::new(columns, max_rows);
    let width = rows.width;
    let engine = &status.engine;
    match (&engine.version, &engine.endpoint, &engine.problem) {
        (Some(version), Some(endpoint), None) => {
            rows.group("engine", &[format!("{version} at {endpoint}")]);
        }
        (_, _, problem) => {
            let problem = problem.as_deref().unwrap_or("no answer");
            rows.group("engine", &wrapped(problem, rows.width));
        }
    }
    let runs: Vec<String> = status.runs.iter().map(|run| run_row(run, width)).collect();
    rows.group("runs", &runs);
    let machines = status.machines.iter();
    let machines: Vec<String> = machines.flat_map(|one| machine_rows(one, width)).collect();
    if !machines.is_empty() {
        rows.group("machines", &machines);
    }
    rows.group("handlers", &handler_rows(status, width));
    let containers = status.containers.iter();
    let containers: Vec<String> = containers
        .map(|c| {
            sized(
                &c.object,
                if c.running { "running" } else { "ended" },
                width,
            )
        })
        .collect();
    let objects = |all: &[SizedObject]| {
        let rows = all.iter().map(|object| sized(object, "", width));
        rows.collect::<Vec<_>>()
    };
    // Without an answer of the engine these are unknown, not none.
    if status.engine.problem.is_none() {
        rows.group("containers", &containers);
        rows.group("images", &objects(&status.images));
        rows.group("volumes", &objects(&status.volumes));
    }
    rows.group(
        "downloads",
        &objects(std::slice::from_ref(&status.downloads)),
    );
    rows.group("logs", &objects(std::slice::from_ref(&status.logs)));
    rows.group("total", &[sized_total(status)]);
    if !status.built.is_empty() {
        rows.group("built here", &objects(&status.built));
    }
    if columns < TABLE_COLUMNS {
        rows.lines.extend(reclaimable_narrow(status, columns));
    } else {
        rows.group("to free", &reclaimable(status, width));
    }
    rows.lines
}

fn sized_total(status: &Status) -> String {
    let containers = status.containers.iter().map(|c| &c.object);
    let all = containers
        .chain(&status.images)
        .chain(&status.volumes)
        .chain([&status.downloads, &status.logs]);
    let total: u64 = all.filter_map(|object| object.size).sum();
    words::human_bytes(total)
}

/// What gives back all that no run uses.
const CLEAN: &str = "sdbuild clean: what no run uses; --dry-run lists it";

/// The commands that give parts of the disk space back, and how much.
fn parts(status: &Status) -> [(&'static str, String); 2] {
    let size = |size: Option<u64>| size.map_or_else(|| "?".to_owned(), words::human_bytes);
    let parts = &status.reclaimable;
    [
        ("sdbuild clean --old", size(parts.old)),
        ("sdbuild clean --downloads", size(parts.downloads)),
    ]
}

fn reclaimable(status: &Status, width: usize) -> Vec<String> {
    let parts = parts(status).into_iter();
    let parts = parts.map(|(command, size)| row(command, "", &size, None, width));
    parts.chain([CLEAN.to_owned()]).collect()
}

/// The same below the label: a command must stay whole.
fn reclaimable_narrow(status: &Status, columns: usize) -> Vec<String> {
    let parts = parts(status).into_iter();
    let wide = columns.saturating_sub(28);
    let parts = parts.map(|(command, size)| format!("  {command:<26}{size:>wide$}"));
    let label = std::iter::once("to free".to_owned());
    let all = labelled(" ", 2, CLEAN, columns);
    label.chain(parts).chain(all).collect()
}

fn run_row(run: &Run, width: usize) -> String {
    let life = match run.life {
        RunState::Live => "live",
        RunState::Stale => "stale",
        RunState::Unknown => "another user's",
    };
    row(run.run.as_str(), life, "", run.age, width)
}

/// A machine on loan, and why it could not be given back.
fn machine_rows(machine: &Machine, width: usize) -> Vec<String> {
    let life = match machine.life {
        RunState::Live => "on loan",
        RunState::Stale | RunState::Unknown => "left over",
    };
    let name = format!("{} of {}", machine.id, machine.on);
    let problem = machine.problem.as_ref();
    let problem = problem.map(|why| format!("not given back: {why}"));
    let first = row(&name, life, "", machine.age, width);
    std::iter::once(first).chain(problem).collect()
}

/// The handlers, ours first.
fn handler_rows(status: &Status, width: usize) -> Vec<String> {
    let Some(handlers) = &status.handlers else {
        return vec!["not visible from this machine".to_owned()];
    };
    let (ours, others): (Vec<&Handler>, Vec<&Handler>) =
        handlers.iter().partition(|handler| handler.run.is_some());
    let handlers = ours.into_iter().chain(others);
    let row = |one| handler_row(one, &status.runs, width);
    handlers.map(row).collect()
}

fn handler_row(handler: &Handler, runs: &[Run], width: usize) -> String {
    let of = handler.run.as_ref().map(|run| {
        let run = runs.iter().find(|known| known.run == *run);
        // Without the address of its engine it is of another user, or of a session with directories of its own.
        run.map_or((RunState::Unknown, false), |run| {
            (run.life, run.endpoint.is_some())
        })
    });
    let owner = match (of, handler.enabled) {
        (Some((RunState::Stale, _)), true) => "left over",
        (Some((RunState::Stale, _)), false) => "left over, off",
        (Some((_, true)), true) => "ours",
        (Some((_, true)), false) => "ours, off",
        (Some((_, false)), true) => "another run's",
        (Some((_, false)), false) => "another's, off",
        (None, true) => "foreign",
        (None, false) => "foreign, off",
    };
    let age = handler.age.filter(|_| handler.run.is_some());
    row(&handler.name, owner, "", age, width)
}

fn sized(object: &SizedObject, state: &str, width: usize) -> String {
    let size = object
        .size
        .map_or_else(|| "?".to_owned(), words::human_bytes);
    row(&object.name, state, &size, object.age, width)
}

/// Name, state, size and age in their columns, `width` in all; an empty text leaves its column blank.
fn row(name: &str, state: &str, size: &str, seconds: Option<u64>, width: usize) -> String {
    if width < TABLE_COLUMNS - LABEL {
        let name = column(name, width.saturating_sub(SIZE));
        return format!("{name} {size:>8}").trim_end().to_owned();
    }
    let age = seconds.map(age).unwrap_or_default();
    let name = column(name, width - FACTS);
    format!("{name} {} {size:>8} {age:>9}", column(state, 15))
        .trim_end()
        .to_owned()
}

/// The lines of all groups: the label of a group stands before its first row.
struct Rows {
    lines: Vec<String>,
    /// Columns of a row without its label.
    width: usize,
    /// Rows of a group beyond these are counted only.
    max: usize,
}

impl Rows {
    fn new(columns: usize, max: usize) -> Self {
        Self {
            lines: Vec::new(),
            // In wider rows the name is too far from its size.
            width: columns.clamp(LABEL + SIZE + 1, 120) - LABEL,
            max,
        }
    }

    /// Adds a group.
    fn group(&mut self, label: &str, rows: &[String]) {
        let none = ["none".to_owned()];
        let rows = if rows.is_empty() { &none } else { rows };
        let shown = if rows.len() > self.max {
            self.max - 1
        } else {
            self.max
        };
        let more = rows.len().saturating_sub(shown);
        let more = (more > 0).then(|| format!("and {more} more: --json lists them"));
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        for (label, row) in labels.zip(rows.iter().take(shown).chain(&more)) {
            let row = fit(row, self.width);
            self.lines.push(format!("{label:<11} {row}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_groups_are_cut_and_empty_ones_show_none() {
        let mut rows = Rows::new(80, MAX_ROWS);
        rows.group("runs", &[]);
        rows.group("images", &["a", "b", "c"].map(str::to_owned));
        rows.group("volumes", &["a", "b", "c", "d"].map(str::to_owned));
        assert_eq!(
            rows.lines,
            [
                "runs        none",
                "images      a",
                "            b",
                "            c",
                "volumes     a",
                "            b",
                "            and 2 more: --json lists them",
            ]
        );
    }

    /// Those of other sessions were called ours.
    #[test]
    fn handlers_are_distinguished_by_the_state_of_their_run() {
        let runs = [
            ("0123456789ab", RunState::Live, Some("unix:///x")),
            ("0123456789ac", RunState::Stale, None),
            ("0123456789ae", RunState::Live, None),
        ];
        let runs = runs.map(|(name, life, endpoint)| Run {
            run: name.parse().unwrap(),
            life,
            endpoint: endpoint.map(str::to_owned),
            age: None,
        });
        for (name, owner) in [
            (Some("0123456789ab"), "ours"),
            (Some("0123456789ac"), "left over"),
            (Some("0123456789ad"), "another run's"),
            (Some("0123456789ae"), "another run's"),
            (None, "foreign"),
        ] {
            let handler = Handler {
                name: "h".into(),
                run: name.map(|name| name.parse().unwrap()),
                enabled: true,
                interpreter: String::new(),
                age: None,
            };
            let row = handler_row(&handler, &runs, 80 - LABEL);
            assert_eq!(
                row.split_whitespace().skip(1).collect::<Vec<_>>().join(" "),
                owner
            );
        }
    }

    /// Volumes were left out on a screen that was half empty.
    #[test]
    fn rows_are_left_out_only_where_they_do_not_fit() {
        let volumes = ["a", "b", "c", "d"].map(str::to_owned);
        let shown = |screen| {
            let shown = fitting(screen, |max| {
                let mut rows = Rows::new(80, max);
                rows.group("volumes", &volumes);
                rows.lines
            });
            shown.len()
        };
        assert_eq!(shown(4 + PROMPT_ROWS), 4);
        assert_eq!(shown(3 + PROMPT_ROWS), MAX_ROWS);
    }

    #[test]
    fn rows_use_the_width_that_there_is() {
        let name = "sdbuild-store-of-a-project-with-a-long-name";
        let volume = |columns| row(name, "running", "2.4 GB", Some(7200), columns - LABEL);
        for columns in [40, 80, 100, 200] {
            assert!(volume(columns).chars().count() <= columns - LABEL);
            assert!(volume(columns).contains("2.4 GB"));
        }
        assert!(volume(80).contains("sdbuild-store-of…"), "{}", volume(80));
        assert!(volume(100).starts_with(name) && volume(100).ends_with("2 h"));
    }
}
