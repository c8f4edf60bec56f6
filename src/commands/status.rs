//! `sdbuild status`: what sdbuild has on this machine and its size, on one screen or as JSON.

use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::cli;
use crate::commands::cloud;
use crate::commands::json_output::print_json;
use crate::commands::newest_image::built_images;
use crate::settings::{Environment, common_without_file, output_dir};
use crate::ui::layout::{NARROW, WIDEST_TABLE, age, column, fit, labelled, wrapped};
use crate::ui::{Ui, sanitize_line, words};
use sdbuild_build::{Handler, Run, RunState, SizedObject, Status};

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

/// Columns of the labels of groups.
const LABEL: usize = 12;
/// Columns before what stands below its label, on a terminal where there is little room beside it.
const INDENT: usize = 2;
/// Columns of state, size and age with the blanks before them.
const FACTS: usize = 35;
/// On a terminal of fewer columns only name and size are shown, which take this many less than a row.
pub(super) const TABLE_COLUMNS: usize = 70;
const SIZE: usize = 9;
/// Columns of the state with the blank before it.
const STATE: usize = 16;

/// One thing of a group, in lines without the label.
pub(super) struct Row {
    pub(super) lines: Vec<String>,
}

impl Row {
    /// Name, state, size and age in their columns, `width` in all; an empty text leaves its column blank. A name is never cut,
    /// because users copy it: one without room has a line of its own.
    pub(super) fn new(
        name: &str,
        state: &str,
        size: &str,
        seconds: Option<u64>,
        width: usize,
    ) -> Self {
        let name = sanitize_line(name);
        let is_narrow = width < TABLE_COLUMNS - LABEL;
        let age = seconds.map(age).unwrap_or_default();
        let facts = if is_narrow {
            // Where there is no size, state and age have room.
            let state = [state, &age].into_iter().filter(|fact| !fact.is_empty());
            let state = state.collect::<Vec<_>>().join(", ");
            let fact = if size.is_empty() { &state } else { size };
            format!(" {fact:>8}")
        } else if state.is_empty() {
            format!(" {size:>8} {age:>9}")
        } else {
            format!(" {} {size:>8} {age:>9}", column(state, STATE - 1))
        };
        let name_columns = if is_narrow {
            width.saturating_sub(facts.width())
        } else if state.is_empty() {
            width - FACTS + STATE
        } else {
            width - FACTS
        };
        let beside = |name: &str| format!("{}{facts}", column(name, name_columns));
        let lines = if fit(&name, name_columns) == name {
            vec![beside(&name)]
        } else if facts.trim().is_empty() {
            vec![name]
        } else {
            vec![name, beside("")]
        };
        let lines = lines.iter().map(|line| line.trim_end().to_owned());
        Self {
            lines: lines.collect(),
        }
    }
}

/// The lines of all groups: the label of a group stands before its first row.
pub(super) struct Rows {
    pub(super) lines: Vec<String>,
    /// Columns of a row without what is before it.
    pub(super) width: usize,
    /// Columns before each row: the label, or where there is little room the indentation below it.
    indent: usize,
    /// Rows of a group beyond these are counted only.
    max: usize,
}

impl Rows {
    pub(super) fn new(columns: usize, max: usize) -> Self {
        let indent = if columns < NARROW { INDENT } else { LABEL };
        Self {
            lines: Vec::new(),
            width: columns.clamp(LABEL + SIZE + 1, WIDEST_TABLE) - indent,
            indent,
            max,
        }
    }

    /// Adds a group.
    pub(super) fn group(&mut self, label: &str, rows: &[Row]) {
        if rows.is_empty() {
            self.text(label, "none");
            return;
        }
        let shown = if rows.len() > self.max {
            self.max - 1
        } else {
            self.max
        };
        let more = rows.len().saturating_sub(shown);
        let lines = rows.iter().take(shown).flat_map(|row| row.lines.clone());
        let more = (more > 0).then(|| format!("and {more} more: --json lists them"));
        let more = more.iter().flat_map(|text| wrapped(text, self.width));
        let lines: Vec<String> = lines.chain(more).collect();
        self.labelled_lines(label, lines);
    }

    /// Adds a text that may come from others, such as the name of an engine.
    pub(super) fn text(&mut self, label: &str, text: &str) {
        self.labelled_lines(label, wrapped(text, self.width));
    }

    fn labelled_lines(&mut self, label: &str, lines: Vec<String>) {
        if self.indent == INDENT {
            self.lines_below(label, &lines);
            return;
        }
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        let lines = labels.zip(lines);
        let lines = lines.flat_map(|(label, line)| {
            if fit(&line, self.width) == line {
                return vec![format!("{label:<11} {line}")];
            }
            // A line that is too long for the space beside the label goes below it, where there is more.
            let label = (!label.is_empty()).then(|| label.to_owned());
            label.into_iter().chain([format!("  {line}")]).collect()
        });
        self.lines.extend(lines.collect::<Vec<_>>());
    }

    /// Adds `lines` below their label; a short one stands beside it.
    fn lines_below(&mut self, label: &str, lines: &[String]) {
        let beside = self.width + INDENT - LABEL;
        if let [line] = lines
            && fit(line, beside) == *line
        {
            self.lines.push(format!("{label:<11} {line}"));
            return;
        }
        self.lines.push(label.to_owned());
        // The terminal would break an address or a path that is too long: without the indentation more of them fit.
        let fitting = self.width + 1..=self.width + INDENT;
        let below = lines.iter().map(|line| {
            let indent = if fitting.contains(&line.width()) {
                0
            } else {
                INDENT
            };
            format!("{}{line}", " ".repeat(indent))
        });
        self.lines.extend(below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_build::{EngineState, Reclaimable};

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

#[cfg(test)]
mod rows_tests {
    use super::*;

    const MAX_ROWS: usize = 3;

    fn named(name: &str) -> Row {
        Row::new(name, "", "", None, 80 - LABEL)
    }

    #[test]
    fn long_groups_are_cut_and_empty_ones_show_none() {
        let mut rows = Rows::new(80, MAX_ROWS);
        rows.group("runs", &[]);
        rows.group("images", &["a", "b", "c"].map(named));
        rows.group("volumes", &["a", "b", "c", "d"].map(named));
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

    /// Names lost their middle, and could not be copied.
    #[test]
    fn names_are_whole_at_every_width() {
        let lines = |name: &str, state: &str, columns| {
            let mut rows = Rows::new(columns, MAX_ROWS);
            let volume = Row::new(name, state, "2.4 GB", Some(7200), rows.width);
            rows.group("volumes", &[volume]);
            rows.lines
        };
        let name = "sdbuild-store-of-a-project-with-a-long-name";
        for columns in [40, 60, 80, 100, 200] {
            for state in ["", "running"] {
                let text = lines(name, state, columns).join("\n");
                assert!(text.contains(name) && text.contains("2.4 GB"), "{text}");
                assert!(
                    text.lines()
                        .all(|line| line.chars().count() <= columns.clamp(45, 100))
                );
            }
        }
        assert_eq!(lines(name, "running", 80).len(), 2);
        // A name reaches into the column of the state where there is none.
        let [line] = &lines(name, "", 80)[..] else {
            panic!("several lines");
        };
        assert!(
            line.ends_with("2 h") && line.chars().count() == 80,
            "{line}"
        );
        let mut rows = Rows::new(40, MAX_ROWS);
        let volumes =
            ["sdbuild-store", name].map(|name| Row::new(name, "", "1 GB", None, rows.width));
        rows.group("volumes", &volumes);
        let starts: Vec<_> = rows.lines.iter().map(|line| line.trim_end()).collect();
        let first = format!("  sdbuild-store{:>25}", "1 GB");
        assert_eq!(starts[..3], ["volumes", &first, &format!("  {name}")]);
        let mut rows = Rows::new(40, MAX_ROWS);
        rows.text(
            "engine",
            "Podman 5.0 at unix:///run/user/1000/podman/podman.sock",
        );
        let run = Row::new("0123456789ab", "stale", "", Some(7200), rows.width);
        rows.group("runs", &[run]);
        assert_eq!(
            rows.lines,
            [
                "engine",
                "  Podman 5.0 at",
                "unix:///run/user/1000/podman/podman.sock",
                "runs",
                "  0123456789ab                stale, 2 h",
            ]
        );
        let narrow = lines("sdbuild-store-real-native-a995a63dc36b", "", 40);
        let size = format!("{:>40}", "2.4 GB");
        assert_eq!(
            narrow,
            ["volumes", "  sdbuild-store-real-native-a995a63dc36b", &size]
        );
    }
}
