//! `sdbuild status`: what sdbuild has on this machine and its size, on one screen or as JSON.

mod rows;

use serde::Serialize;

use crate::cli;
use crate::commands::cloud;
use crate::commands::json_output::print_json;
use crate::commands::newest_image::built_images;
use crate::pipeline::{Handler, Run, RunState, SizedObject, Status};
use crate::settings::{Environment, common_without_file, output_dir};
use crate::ui::layout::{labelled, wrapped};
use crate::ui::{Ui, words};
use rows::{Row, Rows, TABLE_COLUMNS};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// Rows of one group when not all rows fit the screen: the groups of a busy machine and the shell's prompt fit 24 lines.
const MAX_ROWS: usize = 3;
/// Rows of the screen that are left for the command and the prompt.
const PROMPT_ROWS: usize = 2;

/// What is on this machine and its engine, and what it rents.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    status: Status,
    /// Rented machines, the oldest first.
    machines: Vec<Machine>,
    /// The images that builds wrote into the current directory and the output directory. They are the user's: nothing removes
    /// them.
    built: Vec<SizedObject>,
}

/// A rented machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The provider's ID of the machine; the ID of the rental if that is unknown.
    pub id: String,
    /// The provider.
    pub on: String,
    /// `[USER@]HOST[:PORT]`, once it is there.
    pub place: Option<String>,
    /// Whether a process will give it back.
    pub life: RunState,
    /// Seconds since it was asked for.
    pub age: Option<u64>,
    /// When its lease ends, in seconds since 1970.
    pub lease_until: Option<u64>,
    /// Why it could not be given back.
    pub problem: Option<String>,
}

/// Prints the status to standard output.
pub async fn run(
    args: &cli::Status,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let settings = common_without_file(env)?;
    cloud::CloudRecords::find(env, &settings).warn_of_unusable(context);
    cloud::report_unfinished_uploads(&settings.state_dir, context);
    // A settings file with a mistake does not keep the rest from being shown.
    let built = output_dir(env).map_or_else(
        |_| Vec::new(),
        |(here, output)| built_images(&here, &output),
    );
    let report = Report {
        status: Status::look(&settings, context).await?,
        machines: cloud::machines(&settings.state_dir),
        built,
    };
    if args.json {
        return print_json(&report, ui);
    }
    let (columns, rows) = ui.result_size();
    let shown = fitting(rows, |max_rows| lines(&report, columns, max_rows));
    ui.result(&shown.join("\n"))
}

/// `lines` with as many rows of each group as fit a screen of `rows` rows, and with the first [`MAX_ROWS`] at least.
fn fitting(rows: usize, lines: impl Fn(usize) -> Vec<String>) -> Vec<String> {
    let all = lines(usize::MAX);
    if all.len() + PROMPT_ROWS <= rows {
        return all;
    }
    // No group has more rows than there are in all.
    let mut fewer = (MAX_ROWS..=all.len().min(rows)).rev().map(&lines);
    let fits = fewer.find(|lines| lines.len() + PROMPT_ROWS <= rows);
    fits.unwrap_or_else(|| lines(MAX_ROWS))
}

/// The status in lines of `columns` columns, with at most `max_rows` rows of each group.
fn lines(report: &Report, columns: usize, max_rows: usize) -> Vec<String> {
    let status = &report.status;
    let mut rows = Rows::new(columns, max_rows);
    let width = rows.width;
    let engine = &status.engine;
    match (&engine.version, &engine.endpoint, &engine.problem) {
        (Some(version), Some(endpoint), None) => {
            rows.text("engine", &format!("{version} at {endpoint}"));
        }
        (_, _, problem) => rows.text("engine", problem.as_deref().unwrap_or("no answer")),
    }
    // What a user goes on with.
    if !report.built.is_empty() {
        rows.group("built here", &objects(&report.built, width));
    }
    let runs: Vec<Row> = status.runs.iter().map(|run| run_row(run, width)).collect();
    rows.group("runs", &runs);
    let machines = report.machines.iter();
    let machines: Vec<Row> = machines.map(|one| machine_row(one, width)).collect();
    if !machines.is_empty() {
        rows.group("machines", &machines);
    }
    match &status.handlers {
        Some(handlers) => rows.group("binfmt_misc", &handler_rows(handlers, &status.runs, width)),
        None => rows.text("binfmt_misc", "not visible from this machine"),
    }
    let containers = status.containers.iter();
    let containers: Vec<Row> = containers
        .map(|c| {
            sized(
                &c.object,
                if c.running { "running" } else { "ended" },
                width,
            )
        })
        .collect();
    // Without an answer of the engine these are unknown, not none.
    if status.engine.problem.is_none() {
        rows.group("containers", &containers);
        rows.group("images", &objects(&status.images, width));
        rows.group("volumes", &objects(&status.volumes, width));
    }
    rows.group("downloads", &[sized(&status.downloads, "", width)]);
    rows.group("logs", &[sized(&status.logs, "", width)]);
    rows.text("total", &sized_total(status));
    if columns < TABLE_COLUMNS {
        rows.lines.extend(reclaimable_narrow(status, columns));
    } else {
        let parts = parts(status).into_iter();
        let parts = parts.map(|(command, size)| Row::new(command, "", &size, None, width));
        rows.group("to free", &parts.collect::<Vec<_>>());
        rows.text("", CLEAN);
    }
    if has_unknown_size(report) {
        let is_live = status.runs.iter().any(|run| run.life == RunState::Live);
        let why = if is_live { ": a run goes on" } else { "" };
        let text = format!("{UNKNOWN} is an unknown size{why}");
        rows.lines.extend(labelled("", 0, &text, columns));
    }
    rows.lines
}

/// What stands in place of a size that is not known.
const UNKNOWN: &str = "?";

/// Everything with a size that sdbuild can give back.
fn sized_objects(status: &Status) -> impl Iterator<Item = &SizedObject> {
    let containers = status.containers.iter().map(|c| &c.object);
    containers
        .chain(&status.images)
        .chain(&status.volumes)
        .chain([&status.downloads, &status.logs])
}

fn sized_total(status: &Status) -> String {
    let total: u64 = sized_objects(status).filter_map(|object| object.size).sum();
    words::human_bytes(total)
}

fn has_unknown_size(report: &Report) -> bool {
    let of_parts = parts(&report.status)
        .into_iter()
        .any(|(_, size)| size == UNKNOWN);
    let mut objects = sized_objects(&report.status).chain(&report.built);
    of_parts || objects.any(|object| object.size.is_none())
}

/// What gives back all that no run uses.
const CLEAN: &str = "sdbuild clean removes what no run uses; --dry-run only lists it";

/// The commands that give parts of the disk space back, and how much.
fn parts(status: &Status) -> [(&'static str, String); 2] {
    let size = |size: Option<u64>| size.map_or_else(|| UNKNOWN.to_owned(), words::human_bytes);
    let parts = &status.reclaimable;
    [
        ("sdbuild clean --old", size(parts.old)),
        ("sdbuild clean --downloads", size(parts.downloads)),
    ]
}

/// The commands below the label, because there is no room beside it and they must stay whole.
fn reclaimable_narrow(status: &Status, columns: usize) -> Vec<String> {
    let parts = parts(status).into_iter();
    let wide = columns.saturating_sub(28);
    let parts = parts.map(|(command, size)| format!("  {command:<26}{size:>wide$}"));
    let label = std::iter::once("to free".to_owned());
    let all = labelled(" ", 2, CLEAN, columns);
    label.chain(parts).chain(all).collect()
}

fn objects(all: &[SizedObject], width: usize) -> Vec<Row> {
    let rows = all.iter().map(|object| sized(object, "", width));
    rows.collect()
}

fn run_row(run: &Run, width: usize) -> Row {
    let life = match run.life {
        RunState::Live => "live",
        RunState::Stale => "stale",
        RunState::Unknown => "another user's",
    };
    Row::new(run.run.as_str(), life, "", run.age, width)
}

/// A rented machine, and why it could not be given back.
fn machine_row(machine: &Machine, width: usize) -> Row {
    let life = match machine.life {
        RunState::Live => "rented",
        RunState::Stale | RunState::Unknown => "left over",
    };
    let name = format!("{} of {}", machine.id, machine.on);
    let mut row = Row::new(&name, life, "", machine.age, width);
    if let Some(why) = &machine.problem {
        row.lines
            .extend(wrapped(&format!("not given back: {why}"), width));
    }
    row
}

/// The handlers, ours first.
fn handler_rows(handlers: &[Handler], runs: &[Run], width: usize) -> Vec<Row> {
    let (ours, others): (Vec<&Handler>, Vec<&Handler>) =
        handlers.iter().partition(|handler| handler.run.is_some());
    let handlers = ours.into_iter().chain(others);
    handlers.map(|one| handler_row(one, runs, width)).collect()
}

fn handler_row(handler: &Handler, runs: &[Run], width: usize) -> Row {
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
    Row::new(&handler.name, owner, "", age, width)
}

fn sized(object: &SizedObject, state: &str, width: usize) -> Row {
    let size = object
        .size
        .map_or_else(|| UNKNOWN.to_owned(), words::human_bytes);
    Row::new(&object.name, state, &size, object.age, width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{EngineState, Reclaimable};

    fn named(name: &str) -> Row {
        Row::new(name, "", "", None, 68)
    }

    /// The status of a machine with these volumes, where every size is `size`.
    fn with_volumes(names: &[&str], size: Option<u64>) -> Report {
        let object = |name: &str| SizedObject {
            name: name.to_owned(),
            size,
            age: Some(7200),
        };
        let status = Status {
            version: 1,
            engine: EngineState::default(),
            runs: Vec::new(),
            handlers: None,
            containers: Vec::new(),
            images: Vec::new(),
            volumes: names.iter().map(|name| object(name)).collect(),
            downloads: object("/home/me/.cache/sdbuild"),
            logs: object("/home/me/.local/state/sdbuild/logs"),
            reclaimable: Reclaimable {
                old: size,
                downloads: size,
            },
        };
        Report {
            status,
            machines: Vec::new(),
            built: Vec::new(),
        }
    }

    #[test]
    fn a_question_mark_is_explained() {
        for columns in [40, 80] {
            let shown = |size| lines(&with_volumes(&["a ? b"], size), columns, MAX_ROWS);
            let unknown = shown(None);
            let last = unknown.last().unwrap();
            assert_eq!(last, "? is an unknown size");
            let mut live = with_volumes(&[], None);
            live.status.runs.push(Run {
                run: "0123456789ab".parse().unwrap(),
                life: RunState::Live,
                endpoint: None,
                age: None,
            });
            let lines = lines(&live, columns, MAX_ROWS);
            assert_eq!(lines.last().unwrap(), "? is an unknown size: a run goes on");
            let explains = |line: &String| line.contains("is an unknown size");
            assert!(!shown(Some(7)).iter().any(explains), "{columns}");
        }
    }

    #[test]
    fn all_of_it_fits_a_narrow_terminal() {
        let names = ["sdbuild-store", "sdbuild-store-of-the-kitchen"];
        assert_eq!(
            lines(&with_volumes(&names, Some(2_400_000_000)), 40, MAX_ROWS),
            [
                "engine      no answer",
                "runs        none",
                "binfmt_misc",
                "  not visible from this machine",
                "containers  none",
                "images      none",
                "volumes",
                "  sdbuild-store                   2.4 GB",
                "  sdbuild-store-of-the-kitchen    2.4 GB",
                "downloads",
                "  /home/me/.cache/sdbuild         2.4 GB",
                "logs",
                "  /home/me/.local/state/sdbuild/logs",
                "                                  2.4 GB",
                "total       9.6 GB",
                "to free",
                "  sdbuild clean --old             2.4 GB",
                "  sdbuild clean --downloads       2.4 GB",
                "  sdbuild clean removes what no run",
                "  uses; --dry-run only lists it",
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
            let row = handler_row(&handler, &runs, 68).lines.concat();
            assert_eq!(
                row.split_whitespace().skip(1).collect::<Vec<_>>().join(" "),
                owner
            );
        }
    }

    /// Volumes were left out on a screen that was half empty.
    #[test]
    fn rows_are_left_out_only_where_they_do_not_fit() {
        let volumes = ["a", "b", "c", "d"].map(named);
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
        assert_eq!(shown(1), MAX_ROWS);
    }

    /// All but three were left out as soon as one did not fit.
    #[test]
    fn a_screen_is_filled_before_rows_are_left_out() {
        let volumes: Vec<_> = (0..30).map(|number| named(&number.to_string())).collect();
        let shown = fitting(24, |max| {
            let mut rows = Rows::new(40, max);
            rows.group("volumes", &volumes);
            rows.lines
        });
        assert_eq!(shown.len(), 24 - PROMPT_ROWS);
        let last = shown.last().unwrap();
        assert!(last.contains("and 10 more"), "{last}");
    }
}
