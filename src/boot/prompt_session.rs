//! A boot that waits for the login prompt on the serial console, for machines without a login over SSH.

use std::time::Duration;

use crate::boot::diagnosis;
use crate::boot::machine::{BootEvent, RunningMachine};
use crate::boot::outcome::{
    Reached, Waited, machine_ended, no_login, with_leftovers, with_memory_hint,
};
use crate::boot::progress::{Awaited, BootProgress};
use crate::boot::qemu::Serial;
use crate::boot::session::BootSession;
use crate::common::event::Phase;
use crate::common::failure::Failure;
use crate::common::timeout::ActiveTimer;

/// How long the console is read on after a line that means failure: later lines may say why.
const FINAL_LINES_TIMEOUT: Duration = Duration::from_secs(2);

/// Boots until the console shows the prompt, and ends the machine.
pub(super) async fn run(session: BootSession<'_>, limit: Duration) -> Result<Reached, Failure> {
    let mut machine = session.start(None, Serial::Pipe).await?;
    let memory = session.request.memory_mib;
    let wait = async {
        let waited = wait(&mut machine, &session, limit).await;
        waited.map_err(|failure| with_memory_hint(failure, memory))
    };
    let outcome = session.context.phase(Phase::Boot, wait).await;
    with_leftovers(outcome, machine.stop(&session.context.cancel).await)
}

/// Waits until the console of a machine that may have booted already shows the prompt.
pub(super) async fn wait(
    machine: &mut RunningMachine,
    session: &BootSession<'_>,
    limit: Duration,
) -> Result<Reached, Failure> {
    let progress = BootProgress::new(&session.context.events, Awaited::Prompt, limit);
    let prompt = prompt(machine, session, limit, progress).await?;
    let events = &session.context.events;
    // What was waited for is no result.
    events.detail(Phase::Boot, "");
    events.notice(format!("the console asks for a login: {prompt}"));
    Ok(Reached::Prompt)
}

/// The line with the prompt.
async fn prompt(
    machine: &mut RunningMachine,
    session: &BootSession<'_>,
    limit: Duration,
    mut progress: BootProgress<'_>,
) -> Result<String, Failure> {
    let shown = machine.console.lines();
    if let Some(prompt) = shown.iter().find(|line| diagnosis::is_prompt(line)) {
        return Ok(prompt.trim().to_owned());
    }
    let mut deadline = ActiveTimer::new(limit);
    let mut has_failed = false;
    loop {
        let event = tokio::select! {
            biased;
            () = session.context.cancel.cancelled() => return Err(Failure::interrupted()),
            () = deadline.expired() => {
                let waited = Waited {
                    limit,
                    since_prompt: None,
                };
                let failure = no_login(machine, None, (!has_failed).then_some(waited));
                return Err(match diagnosis::hint_without_prompt(&machine.console.lines()) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                });
            }
            event = machine.next_event() => event?,
        };
        match event {
            BootEvent::Ended(status) => return Err(machine_ended(machine, None, status)),
            BootEvent::Restarted => {
                (deadline, has_failed) = (ActiveTimer::new(limit), false);
                progress.begin_again();
            }
            BootEvent::Lines(lines) => {
                progress.look(&lines);
                // A prompt is a line without an end.
                let last = machine.console.unfinished();
                let mut lines = lines.iter().chain([&last]);
                if let Some(prompt) = lines.clone().find(|line| diagnosis::is_prompt(line)) {
                    return Ok(prompt.trim().to_owned());
                }
                if !has_failed && lines.any(|line| diagnosis::is_final(line)) {
                    has_failed = true;
                    deadline.shorten(FINAL_LINES_TIMEOUT);
                }
            }
        }
    }
}
