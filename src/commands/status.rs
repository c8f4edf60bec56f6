//! `sdbuild status`: what sdbuild has on this machine and its size, on one screen or as JSON.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use serde::Serialize;

use crate::cli;
use crate::commands::cloud;
use crate::commands::deploy::Record;
use crate::commands::json_output::print_json;
use crate::commands::newest_image::built_images;
use crate::settings::{Environment, common_without_file, output_dir};
use crate::ui::layout::{COLUMNS, age, labelled};
use crate::ui::{Ui, sanitize_line, words};
use sdbuild_build::{Handler, Run, RunState, SizedObject, Status};

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
    /// The last deployment to each board, the newest first.
    deployments: Vec<Deployed>,
}

/// A system that was deployed.
#[derive(Serialize)]
struct Deployed {
    configuration: String,
    host: String,
    system: String,
    /// Seconds since then.
    age: u64,
}

/// Those that this user made.
fn deployments(state_dir: &Path) -> Vec<Deployed> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let deployed = |record: Record| Deployed {
        age: now.saturating_sub(record.time),
        configuration: record.configuration,
        host: record.host,
        system: record.system,
    };
    Record::all(state_dir).into_iter().map(deployed).collect()
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

/// The current directory and the output directory; none if a file of settings has a mistake, which does not keep the rest from being
/// shown or removed.
pub(super) fn output_dirs(env: &Environment) -> Vec<PathBuf> {
    output_dir(env).map_or_else(|_| Vec::new(), |(here, output)| vec![here, output])
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
    let outputs = output_dirs(env);
    let built = match outputs.as_slice() {
        [here, output] => built_images(here, output),
        _ => Vec::new(),
    };
    let report = Report {
        status: Status::look(&settings, &outputs, context).await?,
        machines: cloud::machines(&settings.state_dir),
        built,
        deployments: deployments(&settings.state_dir),
    };
    if args.json {
        return print_json(&report, ui);
    }
    let columns = ui.result_columns().min(COLUMNS);
    ui.result(&lines(&report, columns).join("\n"))
}

/// Columns of the labels of groups, of names, and of what stands before the size.
const LABEL: usize = 12;
const NAME: usize = 33;
const STATE: usize = 49;
/// What stands in place of a size that is not known.
const UNKNOWN: &str = "?";
/// What gives back all that no run uses.
const CLEAN: &str = "sdbuild clean removes what no run uses; --dry-run only lists it";

/// The status, with texts in lines of `columns` columns.
fn lines(report: &Report, columns: usize) -> Vec<String> {
    let status = &report.status;
    let engine = &status.engine;
    let text = |label, text: &str| labelled(label, LABEL, text, columns);
    let mut lines = match (&engine.version, &engine.endpoint, &engine.problem) {
        (Some(version), Some(endpoint), None) => {
            text("engine", &format!("{version} at {endpoint}"))
        }
        (_, _, problem) => text("engine", problem.as_deref().unwrap_or("no answer")),
    };
    lines.extend(if_any("built here", &report.built));
    lines.extend(group("runs", status.runs.iter().map(run_row)));
    if !report.machines.is_empty() {
        let machines = report.machines.iter().flat_map(|machine| {
            let why = machine.problem.as_ref();
            let why = why.map(|why| format!("not given back: {}", sanitize_line(why)));
            std::iter::once(machine_row(machine)).chain(why)
        });
        lines.extend(group("machines", machines));
    }
    lines.extend(deployed_rows(&report.deployments));
    lines.extend(match &status.handlers {
        Some(handlers) => group("binfmt_misc", handler_rows(handlers, &status.runs)),
        None => text("binfmt_misc", "not visible from this machine"),
    });
    // Without an answer of the engine these are unknown, not none.
    if engine.problem.is_none() {
        let containers = status.containers.iter().map(|container| {
            let state = if container.running {
                "running"
            } else {
                "ended"
            };
            let object = &container.object;
            row(&object.name, state, &size(object.size), object.age)
        });
        lines.extend(group("containers", containers));
        lines.extend(group("images", status.images.iter().map(sized)));
        lines.extend(group("volumes", status.volumes.iter().map(sized)));
    }
    lines.extend(group("downloads", [sized(&status.downloads)]));
    lines.extend(group("logs", [sized(&status.logs)]));
    lines.extend(if_any("left over", &status.leftovers));
    let total: u64 = sized_objects(status).filter_map(|object| object.size).sum();
    lines.extend(text("total", &words::human_bytes(total)));
    let parts = &status.reclaimable;
    let parts = [("--old", parts.old), ("--downloads", parts.downloads)];
    let freed =
        parts.map(|(part, freed)| row(&format!("sdbuild clean {part}"), "", &size(freed), None));
    lines.extend(group("to free", freed));
    lines.extend(text("", CLEAN));
    let mut sizes = sized_objects(status)
        .chain(&report.built)
        .map(|object| object.size);
    if sizes.any(|size| size.is_none()) || parts.iter().any(|(_, freed)| freed.is_none()) {
        let is_live = status.runs.iter().any(|run| run.life == RunState::Live);
        let why = if is_live { ": a run goes on" } else { "" };
        lines.push(format!("{UNKNOWN} is an unknown size{why}"));
    }
    lines
}

/// The group of deployments, if there are any.
fn deployed_rows(deployments: &[Deployed]) -> Vec<String> {
    if deployments.is_empty() {
        return Vec::new();
    }
    let rows = deployments.iter();
    group(
        "deployed to",
        rows.map(|one| row(&one.host, &one.configuration, "", Some(one.age))),
    )
}

/// Everything with a size that sdbuild can give back.
fn sized_objects(status: &Status) -> impl Iterator<Item = &SizedObject> {
    let containers = status.containers.iter().map(|c| &c.object);
    containers
        .chain(&status.images)
        .chain(&status.volumes)
        .chain([&status.downloads, &status.logs])
        .chain(&status.leftovers)
}

/// A group of `objects`; nothing without one.
fn if_any(label: &str, objects: &[SizedObject]) -> Vec<String> {
    if objects.is_empty() {
        return Vec::new();
    }
    group(label, objects.iter().map(sized))
}

/// The rows of a group with its label before the first one.
fn group(label: &str, rows: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<String> = rows.into_iter().collect();
    if rows.is_empty() {
        rows.push("none".to_owned());
    }
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let rows = labels.zip(rows);
    rows.map(|(label, row)| format!("{label:<LABEL$}{row}"))
        .collect()
}

/// Name, state, size and age in their columns. A name is never cut, because users copy it: a long one takes the room of the state that it
/// has not, or moves the rest.
fn row(name: &str, state: &str, size: &str, seconds: Option<u64>) -> String {
    let name = sanitize_line(name);
    let first = match state {
        "" => name,
        state => format!("{name:<NAME$} {state}"),
    };
    let age = seconds.map(age).unwrap_or_default();
    let row = format!("{first:<STATE$} {size:>8} {age:>9}");
    row.trim_end().to_owned()
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| UNKNOWN.to_owned(), words::human_bytes)
}

fn sized(object: &SizedObject) -> String {
    row(&object.name, "", &size(object.size), object.age)
}

fn run_row(run: &Run) -> String {
    let life = match run.life {
        RunState::Live => "live",
        RunState::Stale => "stale",
        RunState::Unknown => "another user's",
    };
    row(run.run.as_str(), life, "", run.age)
}

fn machine_row(machine: &Machine) -> String {
    let life = match machine.life {
        RunState::Live => "rented",
        RunState::Stale | RunState::Unknown => "left over",
    };
    let name = format!("{} of {}", machine.id, machine.on);
    row(&name, life, "", machine.age)
}

/// The handlers, ours first.
fn handler_rows(handlers: &[Handler], runs: &[Run]) -> Vec<String> {
    let (ours, others): (Vec<&Handler>, Vec<&Handler>) =
        handlers.iter().partition(|handler| handler.run.is_some());
    let handlers = ours.into_iter().chain(others);
    handlers.map(|one| handler_row(one, runs)).collect()
}

fn handler_row(handler: &Handler, runs: &[Run]) -> String {
    let owner = match &handler.run {
        None => "foreign",
        // Without the address of its engine it is of another user, or of a session with directories of its own.
        Some(name) => match runs.iter().find(|run| run.run == *name) {
            Some(run) if run.life == RunState::Stale => "left over",
            Some(run) if run.endpoint.is_some() => "ours",
            Some(_) | None => "another run's",
        },
    };
    let off = if handler.enabled { "" } else { ", off" };
    let age = handler.age.filter(|_| handler.run.is_some());
    row(&handler.name, &format!("{owner}{off}"), "", age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_build::{EngineState, Reclaimable};

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
            leftovers: Vec::new(),
            reclaimable: Reclaimable {
                old: size,
                downloads: size,
            },
        };
        Report {
            status,
            machines: Vec::new(),
            built: Vec::new(),
            deployments: Vec::new(),
        }
    }

    #[test]
    fn rows_stand_in_columns_and_names_are_whole() {
        let long = "sdbuild-store-of-a-project-with-a-name-longer-than-its-column";
        let mut report = with_volumes(&["sdbuild-store", long], Some(2_400_000_000));
        let shown = lines(&report, 80);
        let line = |name: &str| shown.iter().find(|line| line.contains(name)).unwrap();
        let short = line("sdbuild-store ");
        assert!(short.starts_with("volumes     sdbuild-store"), "{short}");
        assert!(
            short.ends_with("  2.4 GB       2 h") && short.len() == 80,
            "{short}"
        );
        assert!(line(long).ends_with(" 2.4 GB       2 h"), "{shown:#?}");
        assert_eq!(*line("total"), "total       9.6 GB");
        assert!(!shown.concat().contains(UNKNOWN));
        report.status.logs.size = None;
        assert_eq!(lines(&report, 80).last().unwrap(), "? is an unknown size");
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
            let row = handler_row(&handler, &runs);
            assert_eq!(row, format!("{:<NAME$} {owner}", "h"));
        }
    }
}
