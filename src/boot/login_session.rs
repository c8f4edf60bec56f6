//! A boot that waits for an SSH login, runs a command there and switches the machine off.

use std::time::Duration;

use crate::boot::container::ContainerOptions;
use crate::boot::diagnosis;
use crate::boot::login::{ProbeResult, SshProbe};
use crate::boot::machine::{BootEvent, RunningMachine};
use crate::boot::network_adapter::NetworkAdapter;
use crate::boot::outcome::{
    Reached, Waited, machine_ended, no_login, with_leftovers, with_memory_hint,
};
use crate::boot::progress::{Awaited, BootProgress};
use crate::boot::prompt_session;
use crate::boot::qemu::Serial;
use crate::boot::remote_command::RemoteCommands;
use crate::boot::request::Login;
use crate::boot::session::BootSession;
use crate::common::event::{Event, Phase};
use crate::common::failure::{Failure, OrFail as _};
use crate::common::timeout::{ActiveTimer, timeout};

/// How long the console is read on after a line that means failure: later lines may say why.
const FINAL_LINES_TIMEOUT: Duration = Duration::from_secs(2);
/// The hint where the machine's SSH port cannot be reached from this machine.
const NO_PORT_HINT: &str =
    "install QEMU on this machine, or boot without --until-ssh and --run to see the console";

/// How often the user is told what came of the logins that were tried.
const LOGIN_LOOK: Duration = Duration::from_secs(1);

/// Boots until the login succeeds, runs its command, and switches the machine off.
pub(super) async fn run(session: BootSession<'_>, login: &Login) -> Result<Reached, Failure> {
    let (Some(ssh), Some(port)) = (&session.tools.ssh, session.port()?) else {
        return Err(Failure::environment(
            "the machine's SSH server cannot be reached",
        ));
    };
    let mut machine = session.start(Some(port), Serial::Pipe).await?;
    let published = session.container.is_some();
    let outcome = match machine.ssh_port {
        Some(port) => {
            let probe = SshProbe::new(ssh, login, &session.tools.keys, port, published);
            let session = LoginSession { session, probe };
            session.run(&mut machine, login).await
        }
        None => ended_at_once(&session, &mut machine).await,
    };
    with_leftovers(outcome, machine.stop(&session.context.cancel).await)
}

/// The failure of a machine that ended before the engine could tell its port.
async fn ended_at_once(
    session: &BootSession<'_>,
    machine: &mut RunningMachine,
) -> Result<Reached, Failure> {
    let ended = timeout(FINAL_LINES_TIMEOUT, machine.until_end());
    match session.context.cancel.race(ended).await? {
        Some(status) => Err(machine_ended(machine, None, status?)),
        None => Err(Failure::environment(
            "the engine does not report the port of the machine's SSH server",
        )
        .hint(NO_PORT_HINT)),
    }
}

struct LoginSession<'a> {
    session: BootSession<'a>,
    probe: SshProbe<'a>,
}

impl LoginSession<'_> {
    async fn run(&self, machine: &mut RunningMachine, login: &Login) -> Result<Reached, Failure> {
        let context = self.session.context;
        let command = login.command.as_ref().map(|_| Phase::Command);
        let follow = command.into_iter().chain([Phase::PowerOff]).collect();
        context.events.emit(Event::ToCome(follow));
        let wait = async {
            let memory = self.session.request.memory_mib;
            let waited = self.wait(machine, login.timeout).await;
            let reached = waited.map_err(|failure| with_memory_hint(failure, memory))?;
            if reached == Reached::Login {
                let done = format!("logged in over SSH as {}", login.user);
                context.events.detail(Phase::Boot, done);
            }
            Ok::<_, Failure>(reached)
        };
        if context.phase(Phase::Boot, wait).await? != Reached::Login {
            return Ok(Reached::Prompt);
        }
        machine.is_in_use();
        let commands = RemoteCommands {
            probe: &self.probe,
            context,
        };
        let outcome = match &login.command {
            Some(command) => {
                let run = commands.run(machine, command, login.timeout);
                context.phase(Phase::Command, run).await
            }
            None => Ok(()),
        };
        if !context.cancel.is_cancelled() {
            let off = commands.power_off(machine);
            context.phase(Phase::PowerOff, off).await?;
        }
        outcome.map(|()| Reached::Login)
    }

    /// Waits until the login succeeds, or until it is clear that it will not.
    async fn wait(
        &self,
        machine: &mut RunningMachine,
        limit: Duration,
    ) -> Result<Reached, Failure> {
        let probe = &self.probe;
        let mut login = Box::pin(probe.poll());
        let mut deadline = ActiveTimer::new(limit);
        let mut has_failed = false;
        let events = &self.session.context.events;
        let mut progress = BootProgress::new(events, Awaited::Login, limit);
        let mut tried = tokio::time::interval(LOGIN_LOOK);
        let mut adapter = NetworkAdapter::new(self.session.needs_adapter());
        loop {
            let event = tokio::select! {
                // The console comes last: a machine that writes without end would win every time.
                biased;
                () = self.session.context.cancel.cancelled() => return Err(Failure::interrupted()),
                result = &mut login => match result.or_environment("run ssh")? {
                    ProbeResult::LoggedIn => return Ok(Reached::Login),
                    ProbeResult::Refused => return Err(no_login(machine, Some(probe), None)),
                    ProbeResult::NotLocal => break,
                },
                () = deadline.expired() => {
                    let since_prompt = progress.since_prompt();
                    let waited = (!has_failed).then_some(Waited { limit, since_prompt });
                    return Err(no_login(machine, Some(probe), waited));
                }
                _ = tried.tick() => {
                    progress.look_at_login(probe.last_error().as_deref());
                    continue;
                }
                event = machine.next_event() => event?,
            };
            match event {
                BootEvent::Ended(status) => {
                    return Err(machine_ended(machine, Some(probe), status));
                }
                BootEvent::Restarted => {
                    (deadline, has_failed) = (ActiveTimer::new(limit), false);
                    progress.begin_again();
                }
                BootEvent::Lines(lines) if !has_failed => {
                    // A prompt is a line without an end.
                    let prompt = machine.console.unfinished();
                    progress.look(lines.iter().chain([&prompt]));
                    adapter.look(&lines, machine).await?;
                    has_failed = lines
                        .iter()
                        .chain([&prompt])
                        .any(|line| diagnosis::is_final(line));
                    if has_failed {
                        deadline.shorten(FINAL_LINES_TIMEOUT);
                    }
                }
                BootEvent::Lines(_) => {}
            }
        }
        self.without_port(machine).await
    }

    /// Goes on where nothing leads to the machine: waits for the prompt on its console, if the request allows that.
    async fn without_port(&self, machine: &mut RunningMachine) -> Result<Reached, Failure> {
        let failure = port_elsewhere(self.session.container);
        let Some(limit) = self.session.request.prompt else {
            return Err(failure);
        };
        self.session.explain_prompt(&failure);
        prompt_session::wait(machine, &self.session, limit).await
    }
}

/// The port that the engine opened is not on this machine.
fn port_elsewhere(container: Option<&ContainerOptions>) -> Failure {
    let endpoint = container.map(|options| options.engine.endpoint());
    let endpoint = endpoint.map_or_else(String::new, |endpoint| format!(" at {endpoint}"));
    Failure::environment(format!(
        "nothing answers on 127.0.0.1, because the engine{endpoint} and the booted machine's SSH port are on another \
         machine or in another network"
    ))
    .hint(NO_PORT_HINT)
}

#[cfg(test)]
mod tests;
