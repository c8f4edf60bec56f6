//! Commands that are given several configurations: all settings are resolved before the first one begins, one after the other is done,
//! whatever becomes of the others, and a table is at the end.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use crate::commands::Session;
use crate::settings::{Build, BuildArgs, ConfigArgs};
use crate::ui::words::duration;
use crate::ui::{Ui, sanitize_line};
use sdbuild_build::{Outcome, Series, SourceChoice, SourceRequest};
use sdbuild_core::event::Event;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::text::truncate;
use sdbuild_nix::flake_ref::FlakeRef;

/// Columns of what became of a configuration, in the table.
const COLUMNS: usize = 100;

/// A configuration of which a command is given one or several.
pub(super) struct One {
    /// Its name, if there are several.
    pub(super) name: Option<String>,
    /// What the command line says of it.
    pub(super) args: BuildArgs,
    /// Its settings.
    pub(super) settings: Build,
}

impl One {
    /// Prints the name above results that do not say what they are about.
    pub(super) fn head(&self, ui: &Ui) -> Result<(), Failure> {
        let name = self.name.as_ref().filter(|_| !ui.is_quiet());
        name.map_or(Ok(()), |name| ui.result(&format!("{name}:")))
    }
}

/// Does `work`, which tells what it made, for each configuration. If they `are_all` of a flake, one without an image is no failure.
pub(super) async fn run(
    mut all: Vec<One>,
    are_all: bool,
    session: Session<'_>,
    work: impl AsyncFn(One) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let context = session.context;
    if all.len() == 1
        && let Some(one) = all.pop()
    {
        return work(one).await.map(drop);
    }
    let series = Series::default();
    let mut table = Table::default();
    let mut without_image = 0;
    evaluate_at_once(all.iter_mut().map(|one| &mut one.settings.request.source));
    let mut all = all.into_iter();
    for mut one in all.by_ref() {
        let name = one.name.clone().unwrap_or_default();
        one.settings.request.series = Some(series.clone());
        context.events.emit(Event::Configuration(name.clone()));
        let start = Instant::now();
        let done = match work(one).await {
            // Not every machine of a flake has an image.
            Err(failure) if are_all && failure.has_no_image => {
                without_image += 1;
                Ok(format!("no image: {}", first_line(&failure)))
            }
            done => done,
        };
        table.add(name, Some(start.elapsed()), done);
        if context.cancel.is_cancelled() {
            break;
        }
    }
    for one in all {
        let done = Failure::message(Class::Interrupted, "not begun: interrupted");
        table.add(one.name.unwrap_or_default(), None, Err(done));
    }
    let leftovers = series.release(context).await;
    for line in table.lines() {
        context.events.notice(line);
    }
    let done = Outcome {
        value: table,
        leftovers,
    };
    done.finish("all is done", |table| {
        if are_all && without_image == table.0.len() {
            return Err(Failure::usage("the flake makes no image"));
        }
        table.worst().map_or(Ok(()), Err)
    })
}

/// Has each configuration of a flake evaluated together with the ones of the same flake that follow it.
pub(super) fn evaluate_at_once<'a>(all: impl DoubleEndedIterator<Item = &'a mut SourceRequest>) {
    let mut later: Vec<FlakeRef> = Vec::new();
    for source in all.rev() {
        let SourceChoice::Flake { reference, .. } = &source.choice else {
            continue;
        };
        let next = later.iter().rev();
        let next = next.filter(|other| other.text == reference.text);
        source.next = next.map(|other| other.attribute.clone()).collect();
        later.push(reference.clone());
    }
}

/// The settings of each, or of each configuration of the flakes that they name. Whatever is wrong with one is reported before the first
/// begins.
pub(super) async fn chosen(
    mut all: Vec<BuildArgs>,
    is_each_machine: bool,
    session: Session<'_>,
) -> Result<Vec<One>, Failure> {
    let env = session.env;
    if is_each_machine {
        all = machines(all, session).await?;
    }
    let are_several = all.len() > 1;
    let mut found: Vec<One> = Vec::new();
    for args in all {
        let settings = Build::resolve(&args, env)?;
        let source = &settings.request.source.choice;
        let name = match source {
            SourceChoice::Config(path) => shown_path(path),
            SourceChoice::Flake { reference, .. } => reference.to_string(),
        };
        if are_several && settings.on.is_rented() {
            let text = "a machine is rented for one configuration";
            return Err(Failure::usage(text).hint("--on none builds several with your engine"));
        }
        let mut earlier = found.iter().map(|one| &one.settings.request.source.choice);
        if earlier.any(|other| other == source) {
            return Err(Failure::usage(format!("{name} is named twice")));
        }
        found.push(One {
            name: are_several.then_some(name),
            args,
            settings,
        });
    }
    Ok(found)
}

/// Each configuration of the flakes that `all` name.
async fn machines(all: Vec<BuildArgs>, session: Session<'_>) -> Result<Vec<BuildArgs>, Failure> {
    let Session { env, context, .. } = session;
    let mut found = Vec::new();
    for args in all {
        let request = Build::resolve(&args, env)?.request;
        let reference = match &request.source.choice {
            SourceChoice::Flake { reference, .. } if reference.attribute.is_empty() => {
                reference.clone()
            }
            SourceChoice::Flake { .. } | SourceChoice::Config(_) => {
                let text = "--all is for a flake, without the name of a configuration";
                return Err(Failure::usage(text));
            }
        };
        let machines = Box::pin(sdbuild_build::machines(request, context)).await?;
        let machines = machines.finish("the configurations are known", Ok)?;
        found.extend(machines.into_iter().map(|attribute| {
            let flake = FlakeRef {
                attribute,
                ..reference.clone()
            };
            let config = ConfigArgs {
                config: None,
                flake: Some(flake),
                ..args.config.clone()
            };
            BuildArgs {
                config,
                ..args.clone()
            }
        }));
    }
    Ok(found)
}

/// How the work on each of several objects ended.
#[derive(Default)]
pub(super) struct Table(Vec<Row>);

struct Row {
    name: String,
    took: Option<Duration>,
    done: Result<String, Failure>,
}

impl Table {
    /// Adds the object `name`: what was made of it, or the failure.
    pub(super) fn add(
        &mut self,
        name: String,
        took: Option<Duration>,
        done: Result<String, Failure>,
    ) {
        self.0.push(Row { name, took, done });
    }

    /// Whether it has a row.
    pub(super) fn is_begun(&self) -> bool {
        !self.0.is_empty()
    }

    /// The names of those that failed.
    pub(super) fn failed(&self) -> Vec<&str> {
        let failed = self.0.iter().filter(|row| row.done.is_err());
        failed.map(|row| row.name.as_str()).collect()
    }

    /// A line for each.
    pub(super) fn lines(&self) -> Vec<String> {
        let widths = self.0.iter().map(|row| row.name.chars().count());
        let width = widths.max().unwrap_or(0);
        let line = |row: &Row| {
            let name = &row.name;
            let done = match &row.done {
                Ok(text) => text.clone(),
                Err(failure) => first_line(failure),
            };
            let took = row.took.map(|took| format!("  {}", duration(took)));
            let line = format!("{name:<width$}  {done}{}", took.unwrap_or_default());
            sanitize_line(&line)
        };
        self.0.iter().map(line).collect()
    }

    /// The failure that decides the exit code, with the others beside it; each says what it is about.
    pub(super) fn worst(self) -> Option<Failure> {
        let failed = |row: Row| row.done.err().map(|failure| (row.name, failure));
        let mut failures: Vec<_> = self.0.into_iter().filter_map(failed).collect();
        failures.sort_by_key(|(_, failure)| Reverse(rank(failure.class)));
        let mut failures = failures
            .into_iter()
            .flat_map(|(name, failure)| about(name, failure));
        let mut first = failures.next()?;
        for mut other in failures {
            first.teardown.append(&mut other.teardown);
            first.others.push(other);
        }
        Some(first)
    }
}

/// The beginning of what `failure` says.
fn first_line(failure: &Failure) -> String {
    let text = failure.sentence();
    truncate(text.lines().next().unwrap_or_default(), COLUMNS).into_owned()
}

/// The highest rank of several decides the exit code.
fn rank(class: Class) -> u8 {
    match class {
        Class::Declined => 0,
        Class::Usage => 1,
        Class::CheckFailed => 2,
        Class::Build | Class::Command(_) | Class::Shell(_) => 3,
        Class::Environment => 4,
        Class::RolledBack => 5,
        Class::Internal => 6,
        Class::Interrupted => 7,
    }
}

/// `failure` and the others beside it, each with the object `name` that it is about.
fn about(name: String, mut failure: Failure) -> impl Iterator<Item = Failure> {
    let others = std::mem::take(&mut failure.others);
    let named = move |failure: Failure| {
        if failure.class == Class::Interrupted {
            return failure;
        }
        let said = failure.sentence();
        // A board may be the subject of the sentence already.
        let text = if said.starts_with(&name) {
            said
        } else {
            format!("{name}: {said}")
        };
        Failure {
            error: Failure::usage(text).error,
            names_operation: false,
            ..failure
        }
    };
    std::iter::once(failure).chain(others).map(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::failure::Leftover;

    #[test]
    fn the_worst_failure_leads_and_each_says_what_it_is_about() {
        let mut table = Table::default();
        let second = Some(Duration::from_secs(1));
        let mut broken = Failure::message(Class::Build, "of class build\nmore");
        broken.others.push(Failure::usage("beside it"));
        table.add(".#a".into(), second, Ok("a.img".into()));
        table.add("b".into(), second, Err(Failure::usage("of class usage")));
        table.add("c".into(), None, Err(broken));
        let lines = [
            ".#a  a.img  1.0 s",
            "b    of class usage  1.0 s",
            "c    of class build",
        ];
        assert_eq!(table.lines(), lines);
        let worst = table.worst().unwrap();
        assert_eq!(worst.class, Class::Build);
        let all = std::iter::once(&worst).chain(&worst.others);
        let all: Vec<_> = all.map(Failure::sentence).collect();
        assert_eq!(
            all,
            [
                "c: of class build\nmore",
                "c: beside it",
                "b: of class usage"
            ]
        );
    }

    #[test]
    fn what_is_left_and_an_interruption_hide_behind_nothing() {
        let left = |class| {
            Failure::message(class, "x").with_teardown(vec![Leftover {
                what: "container c".into(),
                why: "in use".into(),
                remedy: "docker rm c".into(),
            }])
        };
        let mut table = Table::default();
        table.add("a".into(), None, Err(left(Class::Internal)));
        table.add("b".into(), None, Err(Failure::interrupted()));
        table.add("c".into(), None, Err(left(Class::Usage)));
        let worst = table.worst().unwrap();
        assert_eq!((worst.class, worst.teardown.len()), (Class::Interrupted, 2));
    }
}
