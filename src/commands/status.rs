//! `sdbuild status`: what is here and what it takes, on one screen or as JSON.

use crate::cli;
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::pipeline::{Handler, Run, RunState, SizedObject, Status};
use crate::settings::{Common, Environment};
use crate::ui::layout::{COLUMNS, age, column, fit, wrapped};
use crate::ui::{Ui, words};

/// Rows of one kind; with seven kinds and a line of the shell all of it is on a screen of 24 lines.
const ROWS: usize = 3;

/// Looks, and shows it on standard output.
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
        None => rows.group("handlers", &["cannot be seen from here".to_owned()]),
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
    let things = |things: &[SizedObject]| things.iter().map(|t| sized(t, "")).collect::<Vec<_>>();
    // What cannot be asked about is not "none".
    if status.engine.problem.is_none() {
        rows.group("containers", &containers);
        rows.group("images", &things(&status.images));
        rows.group("volumes", &things(&status.volumes));
    }
    rows.group(
        "downloads",
        &things(std::slice::from_ref(&status.downloads)),
    );
    rows.group("logs", &things(std::slice::from_ref(&status.logs)));
    rows.group("in all", &[sized_total(status)]);
    rows.0
}

fn sized_total(status: &Status) -> String {
    let containers = status.containers.iter().map(|c| &c.object);
    let all = containers
        .chain(&status.images)
        .chain(&status.volumes)
        .chain([&status.downloads, &status.logs]);
    let total: u64 = all.filter_map(|thing| thing.size).sum();
    let total = words::human_bytes(total);
    format!("{total}; `sdbuild clean --dry-run` lists what can go")
}

fn run_row(run: &Run) -> String {
    let life = match run.life {
        RunState::Live => "live",
        RunState::Stale => "stale",
        RunState::Unknown => "another user's",
    };
    row((run.run.as_str(), life), "", run.age)
}

fn handler_row(handler: &Handler) -> String {
    let whose = match (&handler.run, handler.enabled) {
        (Some(_), true) => "ours",
        (Some(_), false) => "ours, off",
        (None, true) => "others'",
        (None, false) => "others', off",
    };
    row(
        (&handler.name, whose),
        "",
        handler.age.filter(|_| handler.run.is_some()),
    )
}

fn sized(thing: &SizedObject, state: &str) -> String {
    let size = thing
        .size
        .map_or_else(|| "?".to_owned(), words::human_bytes);
    row((&thing.name, state), &size, thing.age)
}

/// Name, state, size and age, in the columns that the row's kind leaves.
fn row((name, state): (&str, &str), size: &str, seconds: Option<u64>) -> String {
    let age = seconds.map(age).unwrap_or_default();
    format!(
        "{} {} {size:>8} {age:>9}",
        column(name, 33),
        column(state, 15)
    )
    .trim_end()
    .to_owned()
}

/// Lines of a word and what it tells.
#[derive(Default)]
struct Rows(Vec<String>);

impl Rows {
    fn group(&mut self, word: &str, rows: &[String]) {
        let none = ["none".to_owned()];
        let rows = if rows.is_empty() { &none } else { rows };
        let shown = if rows.len() > ROWS { ROWS - 1 } else { ROWS };
        let more = rows.len().saturating_sub(shown);
        let more = (more > 0).then(|| format!("and {more} more: --json lists them"));
        let words = std::iter::once(word).chain(std::iter::repeat(""));
        for (word, row) in words.zip(rows.iter().take(shown).chain(&more)) {
            let row = fit(row, COLUMNS - 12);
            self.0.push(format!("{word:<11} {row}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_a_kind_are_counted_and_none_is_said() {
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
