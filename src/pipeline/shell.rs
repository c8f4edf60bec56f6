//! A shell in the place of a build: the same builder, made and given back the same way.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::common::event::Event;
use crate::common::failure::{Class, Failure};
use crate::nixos::command::Task;
use crate::nixos::shell_session::{Derivation, ShellSession};
use crate::pipeline::emulate::emulate;
use crate::pipeline::run::{job, prepare, with_cleanup};
use crate::pipeline::run_lock::RunLocks;
use crate::pipeline::scope::Scope;
use crate::pipeline::{Context, Plan, images, inputs, logs};

/// Carries out `plan` up to its build, and `session` in place of that.
pub async fn shell(plan: &Plan, session: ShellSession, context: &Context) -> Result<(), Failure> {
    let work = async |run_locks: &RunLocks, scope: &mut Scope| {
        steps(plan, context, (run_locks, scope, session)).await
    };
    let (code, left) = Box::pin(with_cleanup(plan, context, work)).await?;
    let ended = match code {
        0 if left.is_empty() => return Ok(()),
        0 => Failure::environment("the shell has ended, but not everything could be removed"),
        code => {
            let class = Class::Shell(u8::try_from(code).unwrap_or(u8::MAX));
            Failure::message(class, format!("the shell ended with {code}"))
        }
    };
    Err(ended.with_teardown(left))
}

async fn steps(
    plan: &Plan,
    context: &Context,
    (run_locks, scope, session): (&RunLocks, &mut Scope, ShellSession),
) -> Result<i64, Failure> {
    let provided = images::provide(plan, context).await?;
    let nixpkgs = Box::pin(inputs::nixpkgs(plan, context, &provided.images)).await?;
    let hello = greeting(&session, plan);
    let task = Task::Shell(session);
    let (job, _) = Box::pin(job(plan, context, (&provided, nixpkgs, task))).await?;
    for line in hello {
        context.events.notice(line);
    }
    Box::pin(emulate(plan, context, (&provided, (run_locks, scope)))).await?;
    let prepared = Box::pin(prepare(plan, context, (&provided.builder, job, scope))).await?;
    context.events.emit(Event::TerminalGiven);
    Box::pin(prepared.attend(&context.cancel)).await
}

/// What a user wants to know before the prompt.
fn greeting(session: &ShellSession, plan: &Plan) -> Vec<String> {
    if session.command.is_some() || session.terminal.is_none() {
        return Vec::new();
    }
    match &session.derivation {
        Some(derivation) => vec![format!(
            "a shell as `nix-shell` gives it for {}: its variables are set, and with nixpkgs' stdenv \
             `genericBuild` runs its phases; `exit` leaves",
            derivation.name()
        )],
        None => vec![format!(
            "the build is: nix-build '<nixpkgs/nixos>' -A config.system.build.sdImage --argstr system {}; \
             `exit` leaves",
            plan.settings.system
        )],
    }
}

/// The derivation that a user means: by its store path, or by the name of one that failed in the
/// newest of the logs that tell of such a one.
pub fn derivation(word: &str, state_dir: &Path) -> Result<Derivation, Failure> {
    if let Some(derivation) = Derivation::new(word) {
        return Ok(derivation);
    }
    let mut failed = logs::newest_first(state_dir)
        .into_iter()
        .filter_map(|log| failed_in(&log, word));
    failed.next().ok_or_else(|| {
        Failure::usage(format!(
            "no build of {word} failed in the logs that are kept"
        ))
        .hint("give the derivation's store path: /nix/store/….drv; a failed build names it")
    })
}

/// The derivation `name` that failed in a log.
fn failed_in(log: &Path, name: &str) -> Option<Derivation> {
    let lines = BufReader::new(fs::File::open(log).ok()?).lines();
    let failures = lines
        .map_while(Result::ok)
        .filter(|line| line.contains(" failed") || line.contains("Cannot build"));
    failures
        .flat_map(|line| {
            let words = line.split('\'').map(str::to_owned);
            words.filter_map(Derivation::new).collect::<Vec<_>>()
        })
        .find(|derivation| derivation.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(hash: char, name: &str) -> String {
        format!("/nix/store/{}-{name}.drv", hash.to_string().repeat(32))
    }

    #[test]
    fn a_name_is_that_of_the_newest_failure() {
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
        let whole = path('d', "any");
        assert_eq!(derivation(&whole, state.path()).unwrap().path(), whole);
    }
}
