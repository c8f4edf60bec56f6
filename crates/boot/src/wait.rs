//! A boot that waits: for a login over SSH, after which a command runs and the machine is switched off, or for the prompt of a
//! login on the serial console.

use std::time::Duration;

use crate::container::ContainerOptions;
use crate::diagnosis;
use crate::login::{ProbeResult, RemoteCommands, SshProbe};
use crate::machine::{BootEvent, RunningMachine};
use crate::outcome::{Reached, machine_ended, no_login, with_leftovers, with_memory_hint};
use crate::qemu::{PLUG_NETWORK, Serial, UNPLUG_NETWORK};
use crate::request::Login;
use crate::run::BootSession;
use sdbuild_core::event::{Event, Events, Phase};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::timeout::{ActiveTimer, timeout};

/// How long the console is read on after a line that means failure: later lines may say why.
const FINAL_LINES_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the adapter is plugged in: once, and again when Linux cannot address it.
const MAX_PLUGS: u32 = 4;
/// The hint where the machine's SSH port cannot be reached from this machine.
const NO_PORT_HINT: &str =
    "install QEMU on this machine, or boot without --until-ssh and --run to see the console";

/// Boots until the login succeeds, runs its command, and switches the machine off.
pub(super) async fn until_login(
    session: BootSession<'_>,
    login: &Login,
) -> Result<Reached, Failure> {
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
            log_in(&session, &probe, &mut machine).await
        }
        None => ended_at_once(&session, &mut machine).await,
    };
    with_leftovers(outcome, machine.stop(&session.context.cancel).await)
}

/// Boots until the console shows the prompt, and ends the machine.
pub(super) async fn until_prompt(
    session: BootSession<'_>,
    limit: Duration,
) -> Result<Reached, Failure> {
    let mut machine = session.start(None, Serial::Pipe).await?;
    let wait = async {
        let waited = wait_for_prompt(&session, &mut machine, limit).await;
        waited.map_err(|failure| with_memory_hint(failure, session.request.memory_mib))
    };
    let outcome = session.context.phase(Phase::Boot, wait).await;
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

async fn log_in(
    session: &BootSession<'_>,
    probe: &SshProbe<'_>,
    machine: &mut RunningMachine,
) -> Result<Reached, Failure> {
    let (context, login) = (session.context, probe.login);
    let command = login.command.as_ref().map(|_| Phase::Command);
    let follow = command.into_iter().chain([Phase::PowerOff]).collect();
    context.events.emit(Event::ToCome(follow));
    let wait = async {
        let waited = wait_for_login(session, probe, machine).await;
        waited.map_err(|failure| with_memory_hint(failure, session.request.memory_mib))
    };
    if context.phase(Phase::Boot, wait).await? != Reached::Login {
        return Ok(Reached::Prompt);
    }
    machine.is_in_use();
    let commands = RemoteCommands { probe, context };
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

/// Waits until the login succeeds. Where nothing leads to the machine, waits for the prompt if the request allows that.
async fn wait_for_login(
    session: &BootSession<'_>,
    probe: &SshProbe<'_>,
    machine: &mut RunningMachine,
) -> Result<Reached, Failure> {
    let (login, events) = (probe.login, &session.context.events);
    match wait(session, Some(probe), machine, login.timeout).await? {
        End::LoggedIn => {
            let done = format!("logged in over SSH as {}", login.user);
            events.detail(Phase::Boot, done);
            Ok(Reached::Login)
        }
        End::Prompt(_) => Ok(Reached::Prompt),
        End::NoPort => without_port(session, machine).await,
    }
}

async fn without_port(
    session: &BootSession<'_>,
    machine: &mut RunningMachine,
) -> Result<Reached, Failure> {
    let failure = port_elsewhere(session.container);
    let Some(limit) = session.request.prompt else {
        return Err(failure);
    };
    session.explain_prompt(&failure);
    wait_for_prompt(session, machine, limit).await
}

/// Waits until the console of a machine that may have booted already shows the prompt.
async fn wait_for_prompt(
    session: &BootSession<'_>,
    machine: &mut RunningMachine,
    limit: Duration,
) -> Result<Reached, Failure> {
    let shown = machine.console.lines();
    let end = match shown.into_iter().find(|line| diagnosis::is_prompt(line)) {
        Some(prompt) => End::Prompt(prompt),
        None => wait(session, None, machine, limit).await?,
    };
    if let End::Prompt(prompt) = end {
        let events = &session.context.events;
        // What was waited for is no result.
        events.detail(Phase::Boot, "");
        let prompt = prompt.trim();
        events.notice(format!("the console asks for a login: {prompt}"));
    }
    Ok(Reached::Prompt)
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

/// The end of a successful wait.
#[derive(Debug)]
enum End {
    LoggedIn,
    /// The line with the prompt.
    Prompt(String),
    /// The published port is not on this machine.
    NoPort,
}

/// Waits for a login with `probe`, or without one for the prompt of a login on the console, or until it is clear that it will not come.
async fn wait(
    session: &BootSession<'_>,
    probe: Option<&SshProbe<'_>>,
    machine: &mut RunningMachine,
    limit: Duration,
) -> Result<End, Failure> {
    let mut login = Box::pin(async {
        match probe {
            Some(probe) => probe.poll().await,
            None => std::future::pending().await,
        }
    });
    let mut deadline = ActiveTimer::new(limit);
    let mut has_failed = false;
    let mut progress = BootProgress::new(&session.context.events, probe.is_some(), limit);
    let mut adapter = NetworkAdapter::new(probe.is_some() && session.needs_adapter());
    loop {
        let event = tokio::select! {
            // The console comes last: a machine that writes without end would win every time.
            biased;
            () = session.context.cancel.cancelled() => return Err(Failure::interrupted()),
            result = &mut login => match result.or_environment("run ssh")? {
                ProbeResult::LoggedIn => return Ok(End::LoggedIn),
                ProbeResult::Refused => return Err(no_login(machine, probe, None)),
                ProbeResult::NotLocal => return Ok(End::NoPort),
            },
            () = deadline.expired() => {
                let failure = no_login(machine, probe, (!has_failed).then_some(limit));
                let other_port = || diagnosis::hint_without_prompt(&machine.console.lines());
                return Err(match probe.is_none().then(other_port).flatten() {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                });
            }
            event = machine.next_event() => event?,
        };
        let lines = match event {
            BootEvent::Ended(status) => return Err(machine_ended(machine, probe, status)),
            BootEvent::Restarted => {
                (deadline, has_failed) = (ActiveTimer::new(limit), false);
                progress.begin_again();
                continue;
            }
            BootEvent::Lines(lines) => lines,
        };
        // A prompt is a line without an end.
        let unfinished = machine.console.unfinished();
        let shown = || lines.iter().chain([&unfinished]);
        progress.look(shown());
        if probe.is_none()
            && let Some(prompt) = shown().find(|line| diagnosis::is_prompt(line))
        {
            return Ok(End::Prompt(prompt.clone()));
        }
        if has_failed {
            continue;
        }
        if let Some(commands) = adapter.step(&lines) {
            machine.type_in_monitor(commands).await?;
        }
        has_failed = shown().any(|line| diagnosis::is_final(line));
        if has_failed {
            deadline.shorten(FINAL_LINES_TIMEOUT);
        }
    }
}

/// Reports each part of the boot as soon as the console shows it.
#[derive(Debug)]
struct BootProgress<'a> {
    events: &'a Events,
    /// What the boot waits for, and how long.
    until: String,
    /// The number of the last part that was shown.
    reached: Option<usize>,
}

impl<'a> BootProgress<'a> {
    /// Reports that the machine was started, and what the boot waits for, within this limit.
    fn new(events: &'a Events, is_for_login: bool, limit: Duration) -> Self {
        let what = if is_for_login {
            "until a login over SSH succeeds"
        } else {
            "until the console asks for a login"
        };
        let until = format!("{what}, {} s at most", limit.as_secs());
        events.detail(Phase::Boot, until.clone());
        Self {
            events,
            until,
            reached: None,
        }
    }

    /// The machine starts once more: every part is new again.
    fn begin_again(&mut self) {
        self.reached = None;
        self.events.detail(Phase::Boot, self.until.clone());
    }

    /// Looks at lines of the console. A boot loader that starts again, and what the kernel repeats, are nothing new.
    fn look<'b>(&mut self, lines: impl IntoIterator<Item = &'b String>) {
        let parts = lines.into_iter().filter_map(|line| diagnosis::part(line));
        if let Some((number, what)) = parts.max()
            && self.reached.is_none_or(|reached| reached < number)
        {
            self.reached = Some(number);
            let text = format!("{what} · {}", self.until);
            self.events.detail(Phase::Boot, text);
        }
    }
}

/// The network adapter of a board's model during one boot: a USB device that is plugged in when the kernel starts. QEMU's USB
/// controller reports a device once: U-Boot would take the report of one that is there earlier, and Linux would find an empty
/// port.
#[derive(Debug)]
struct NetworkAdapter {
    is_plugged: bool,
    plugs_left: u32,
}

impl NetworkAdapter {
    /// An adapter that is plugged in once the kernel has started; with `is_needed` false there is none to plug in.
    fn new(is_needed: bool) -> Self {
        Self {
            is_plugged: false,
            plugs_left: if is_needed { MAX_PLUGS } else { 0 },
        }
    }

    /// The commands of QEMU's monitor that new lines of the console ask for. Linux looks anew at an adapter that is plugged in again.
    fn step(&mut self, lines: &[String]) -> Option<&'static [&'static str]> {
        let (is_sign, commands): (fn(&str) -> bool, &[&str]) = if self.is_plugged {
            (diagnosis::is_usb_failure, &[UNPLUG_NETWORK, PLUG_NETWORK])
        } else {
            (diagnosis::is_kernel_start, &[PLUG_NETWORK])
        };
        if self.plugs_left == 0 || !lines.iter().any(|line| is_sign(line)) {
            return None;
        }
        self.is_plugged = true;
        self.plugs_left -= 1;
        Some(commands)
    }
}

#[cfg(test)]
mod tests;
