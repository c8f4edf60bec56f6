//! A shell in place of a build: the same builder, created and removed the same way.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::build_source::Source;
use crate::command::Task;
use crate::logs;
use crate::plan::Plan;
use crate::run_context::Scope;
use crate::run_context::{RunContext, with_cleanup};
use crate::{builder_step, container_images, emulation, remote_builders, source};
use sdbuild_core::context::Context;
use sdbuild_core::event::Event;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::shell_word::command_line;
use sdbuild_nix::shell_session::{Derivation, ShellSession};

/// Carries out `plan` up to its build, and runs `session` in place of that. A shell that ends with another
/// status than 0 is a failure of class [`Class::Shell`].
pub async fn shell(plan: &Plan, session: ShellSession, context: &Context) -> Result<(), Failure> {
    let steps = async |run: &RunContext<'_>, scope: &mut Scope| {
        Box::pin(run_shell(run, session, scope)).await
    };
    let outcome = Box::pin(with_cleanup(plan, context, steps)).await?;
    outcome.finish("the shell has ended", |status| match status {
        0 => Ok(()),
        status => {
            let class = Class::Shell(u8::try_from(status).unwrap_or(u8::MAX));
            let text = format!("the shell ended with {status}");
            Err(Failure::message(class, text))
        }
    })
}

/// The exit status of the shell.
async fn run_shell(
    run: &RunContext<'_>,
    session: ShellSession,
    scope: &mut Scope,
) -> Result<i64, Failure> {
    let Context { cancel, events } = run.context;
    let images = container_images::provide(run).await?;
    let nixpkgs = source::provide_nixpkgs(run).await?;
    let greeting = greeting(&session, run.plan);
    let job = builder_step::job(run, nixpkgs, Task::Shell(session)).await?;
    if let Some(greeting) = greeting {
        events.notice(greeting);
    }
    remote_builders::try_all(run, &images.builder).await?;
    emulation::set_up(run, &images, scope).await?;
    let prepared = builder_step::prepare(run, &images.builder, job, scope).await?;
    events.emit(Event::TerminalGiven);
    prepared.run_interactive(cancel).await
}

/// What the user should know before the prompt of an interactive shell.
fn greeting(session: &ShellSession, plan: &Plan) -> Option<String> {
    if session.command.is_some() || session.terminal.is_none() {
        return None;
    }
    Some(match &session.derivation {
        Some(derivation) => format!(
            "this is the nix-shell of {}, with its variables. `genericBuild` runs the phases of nixpkgs' stdenv, and \
             `exit` leaves the shell",
            derivation.name()
        ),
        None => format!(
            "to build, run `{}`; `exit` leaves the shell",
            build_command(plan)
        ),
    })
}

/// The command that builds the image in the shell.
fn build_command(plan: &Plan) -> String {
    let (attribute, system) = (
        plan.request.target.format.attribute(),
        plan.request.target.system,
    );
    match &plan.source.source {
        Source::Module(_) => {
            format!("nix-build '<nixpkgs/nixos>' -A {attribute} --argstr system {system}")
        }
        Source::Flake(flake) => {
            let arguments = flake.build_arguments(&attribute);
            format!("nix build {}", command_line(arguments))
        }
    }
}

/// The derivation that `word` names: a store path, or the name of a derivation that failed, looked up in the build
/// logs, the newest first.
pub fn derivation(word: &str, state_dir: &Path) -> Result<Derivation, Failure> {
    if let Some(derivation) = Derivation::new(word) {
        return Ok(derivation);
    }
    let logs = logs::newest_first(state_dir);
    let failed: Vec<Derivation> = logs.iter().flat_map(|log| failed_in(log)).collect();
    let named = failed.iter().find(|derivation| derivation.name() == word);
    named.cloned().ok_or_else(|| unknown(word, &failed))
}

/// The failure for a `word` that is the name of none of the derivations that `failed`.
fn unknown(word: &str, failed: &[Derivation]) -> Failure {
    let failure = Failure::usage(format!(
        "no build of {word} failed in the logs that are kept"
    ));
    let names: BTreeSet<&str> = failed.iter().map(Derivation::name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    failure.hint(match names.as_slice() {
        [] => "give the store path of a derivation, /nix/store/….drv".to_owned(),
        names => format!("failed builds: {}", names.join(", ")),
    })
}

/// The derivations whose failure is in `log`, in its order.
fn failed_in(log: &Path) -> Vec<Derivation> {
    let Ok(file) = fs::File::open(log) else {
        return Vec::new();
    };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    let failures = lines.filter(|line| line.contains(" failed") || line.contains("Cannot build"));
    failures
        .flat_map(|line| {
            let words = line.split('\'').map(str::to_owned);
            words.filter_map(Derivation::new).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(hash: char, name: &str) -> String {
        format!("/nix/store/{}-{name}.drv", hash.to_string().repeat(32))
    }

    #[test]
    fn derivation_name_means_newest_failure() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("logs");
        fs::create_dir(&dir).unwrap();
        for (run, age, hash) in [("000000000000", 20, 'a'), ("111111111111", 10, 'b')] {
            let log = dir.join(format!("build-{run}.log"));
            let (other, failed) = (path(hash, "foo"), path(hash, "foo-1.0"));
            let text = format!(
                "building '{}'\nerror: builder for '{failed}' failed with exit code 1\n\
                 error: 1 dependencies of derivation '{other}' failed to build\n",
                path('c', "foo-1.0"),
            );
            fs::write(&log, text).unwrap();
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
            let file = fs::File::options().append(true).open(&log).unwrap();
            file.set_modified(time).unwrap();
        }
        let found = derivation("foo-1.0", state.path()).unwrap();
        assert_eq!(found.path(), path('b', "foo-1.0"));
        let failure = derivation("bar-1.0", state.path()).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        let list = "failed builds: foo, foo-1.0";
        assert_eq!(failure.hints, [list]);
        let whole = path('d', "any");
        assert_eq!(derivation(&whole, state.path()).unwrap().path(), whole);
    }
}
