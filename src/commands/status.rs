//! `sdbuild status`: what sdbuild has on this machine and its size, on one screen or as JSON.

use crate::cli;
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::pipeline::{Handler, Run, RunState, SizedObject, Status};
use crate::settings::{Common, Environment};
use crate::ui::layout::{COLUMNS, age, column, fit, wrapped};
use crate::ui::{Ui, words};

/// Rows of one group: the groups of a busy machine and the shell's prompt fit a screen of 24 lines.
const MAX_ROWS: usize = 3;

/// Prints the status to standard output.
pub async fn run(
    args: &cli::Status,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let status = Status::look(&Common::without_file(env)?, context).await?;
    if args.json {
        let text = serde_json::to_string_pretty(&status).or_internal("write JSON")?;
        return ui.result(&text);
    }
    ui.result(&lines(&status).join("\n"))
}

fn lines(status: &Status) -> Vec<String> {
    let mut rows = Rows::default();
    let engine = &status.engine;
    match (&engine.version, &engine.endpoint, &engine.problem) {
        (Some(version), Some(endpoint), None) => {
            rows.group("engine", &[format!("{version} at {endpoint}")]);
        }
        (_, _, problem) => {
            let problem = problem.as_deref().unwrap_or("no answer");
            rows.group("engine", &wrapped(problem, COLUMNS - 12));
        }
    }
    let runs: Vec<String> = status.runs.iter().map(run_row).collect();
    rows.group("runs", &runs);
    match &status.handlers {
        None => rows.group("handlers", &["not visible from this machine".to_owned()]),
        Some(handlers) => {
            let (ours, others): (Vec<&Handler>, Vec<&Handler>) =
                handlers.iter().partition(|handler| handler.run.is_some());
            let handlers: Vec<String> = ours.into_iter().chain(others).map(handler_row).collect();
            rows.group("handlers", &handlers);
        }
    }
    let containers = status.containers.iter();
    let containers: Vec<String> = containers
        .map(|c| sized(&c.object, if c.running { "running" } else { "ended" }))
        .collect();
    let objects = |all: &[SizedObject]| all.iter().map(|o| sized(o, "")).collect::<Vec<_>>();
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
    rows.0
}

fn sized_total(status: &Status) -> String {
    let containers = status.containers.iter().map(|c| &c.object);
    let all = containers
        .chain(&status.images)
        .chain(&status.volumes)
        .chain([&status.downloads, &status.logs]);
    let total: u64 = all.filter_map(|object| object.size).sum();
    let total = words::human_bytes(total);
    format!("{total}; `sdbuild clean --dry-run` lists what can be removed")
}

fn run_row(run: &Run) -> String {
    let life = match run.life {
        RunState::Live => "live",
        RunState::Stale => "stale",
        RunState::Unknown => "another user's",
    };
    row(run.run.as_str(), life, "", run.age)
}

fn handler_row(handler: &Handler) -> String {
    let owner = match (&handler.run, handler.enabled) {
        (Some(_), true) => "ours",
        (Some(_), false) => "ours, off",
        (None, true) => "foreign",
        (None, false) => "foreign, off",
    };
    let age = handler.age.filter(|_| handler.run.is_some());
    row(&handler.name, owner, "", age)
}

fn sized(object: &SizedObject, state: &str) -> String {
    let size = object
        .size
        .map_or_else(|| "?".to_owned(), words::human_bytes);
    row(&object.name, state, &size, object.age)
}

/// Name, state, size and age in their columns; an empty text leaves its column blank.
fn row(name: &str, state: &str, size: &str, seconds: Option<u64>) -> String {
    let age = seconds.map(age).unwrap_or_default();
    format!(
        "{} {} {size:>8} {age:>9}",
        column(name, 33),
        column(state, 15)
    )
    .trim_end()
    .to_owned()
}

/// The lines of all groups: the label of a group stands before its first row.
#[derive(Default)]
struct Rows(Vec<String>);

impl Rows {
    /// Adds a group; the rows beyond [`MAX_ROWS`] are counted only.
    fn group(&mut self, label: &str, rows: &[String]) {
        let none = ["none".to_owned()];
        let rows = if rows.is_empty() { &none } else { rows };
        let shown = if rows.len() > MAX_ROWS {
            MAX_ROWS - 1
        } else {
            MAX_ROWS
        };
        let more = rows.len().saturating_sub(shown);
        let more = (more > 0).then(|| format!("and {more} more: --json lists them"));
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        for (label, row) in labels.zip(rows.iter().take(shown).chain(&more)) {
            let row = fit(row, COLUMNS - 12);
            self.0.push(format!("{label:<11} {row}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_groups_are_cut_and_empty_ones_show_none() {
        let mut rows = Rows::default();
        rows.group("runs", &[]);
        rows.group("images", &["a", "b", "c"].map(str::to_owned));
        rows.group("volumes", &["a", "b", "c", "d"].map(str::to_owned));
        assert_eq!(
            rows.0,
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
}
