//! One boot from start to end.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::boot::container::{self, Emulator};
use crate::boot::diagnosis;
use crate::boot::disk::{self, Disk};
use crate::boot::login::{ProbeResult, SshProbe};
use crate::boot::machine::{BootEvent, QemuBackend, Running};
use crate::boot::outcome::{command_ended, ended, gave_up, given_back};
use crate::boot::port::port;
use crate::boot::process::Process;
use crate::boot::qemu::{Machine, Serial};
use crate::boot::tools::{self, Tools};
use crate::boot::{BootRequest, Login};
use crate::common::cancel::Cancel;
use crate::common::event::{Event, Events, Phase};
use crate::common::failure::{Class, Failure, OrFail as _};
use crate::common::timeout::ActiveTimer;
use crate::common::timeout::timeout;

/// What may still come after the line that tells the failure, and tell more.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long the machine has to switch itself off.
const SWITCH_OFF: Duration = Duration::from_secs(30);
/// What helps where nobody of this machine can knock.
const NO_PORT: &str =
    "install QEMU on this machine, or boot without --until-ssh and --run to see the console";

/// What every step needs.
#[derive(Clone, Copy)]
pub(super) struct Boot<'a> {
    pub(super) request: &'a BootRequest,
    tools: &'a Tools,
    pub(super) emulator: Option<&'a Emulator>,
    pub(super) cancel: &'a Cancel,
    pub(super) events: &'a Events,
}

/// Looks for everything that booting takes besides the image, QEMU itself when it is the host's.
pub fn preflight(request: &BootRequest, on_host: bool) -> Result<(), Failure> {
    tools::find(request, on_host).map(drop)
}

/// Looks for everything that booting takes, QEMU itself when it is the host's.
pub fn look(request: &BootRequest, on_host: bool) -> Result<(), Failure> {
    both(
        disk::open_image(&request.image),
        preflight(request, on_host),
    )
    .map(drop)
}

/// Boots what `request` says, in the host's QEMU or in `emulator`: shows the console until the machine
/// is switched off, or waits for a login, runs the command there and switches the machine off.
///
/// A failure of class [`Class::Build`] is the image's: it does not boot or lets nobody in.
/// To be awaited on the main thread: QEMU ends with the thread that started it.
pub async fn boot(
    request: &BootRequest,
    emulator: Option<&Emulator>,
    (cancel, events): (&Cancel, &Events),
) -> Result<(), Failure> {
    let tools = tools::find(request, emulator.is_none());
    let (image, tools) = both(disk::open_image(&request.image), tools)?;
    let boot = Boot {
        request,
        tools: &tools,
        emulator,
        cancel,
        events,
    };
    let disk = disk::ready(image, request, (cancel, events)).await?;
    std::fs::create_dir_all(&request.scratch)
        .or_environment(format!("make {}", request.scratch.display()))?;
    match &request.login {
        Some(login) => Box::pin(boot.until_login(&disk, login)).await,
        None => Box::pin(boot.run_console(&disk)).await,
    }
}

/// Both, or what is wrong with either.
fn both<A, B>(a: Result<A, Failure>, b: Result<B, Failure>) -> Result<(A, B), Failure> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Ok(_), Err(failure)) | (Err(failure), Ok(_)) => Err(failure),
        (Err(mut failure), Err(mut other)) => {
            let more = std::mem::take(&mut other.others);
            failure.others.push(other);
            failure.others.extend(more);
            Err(failure)
        }
    }
}

impl Boot<'_> {
    async fn phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        self.events.emit(Event::Started(phase));
        let done = work.await?;
        self.events.emit(Event::Finished(phase, start.elapsed()));
        Ok(done)
    }

    /// The port on 127.0.0.1 that shall lead to the machine's SSH, where one can.
    pub(super) fn port(&self) -> Result<Option<u16>, Failure> {
        let is_here = |emulator: &Emulator| emulator.engine.endpoint().publishes_ports_here();
        let is_here = self.emulator.is_none_or(is_here);
        is_here.then(|| port(self.request.port)).transpose()
    }

    /// Starts QEMU.
    pub(super) async fn start(
        &self,
        disk: &Disk,
        (port, serial): (Option<u16>, Serial),
    ) -> Result<Running, Failure> {
        let body = match (self.emulator, &self.tools.qemu) {
            (Some(emulator), _) => {
                let what = (self.request, disk, serial);
                let talk = (self.cancel, self.events);
                QemuBackend::Container(container::start(emulator, what, port, talk).await?)
            }
            (None, Some(qemu)) => {
                let machine = Machine {
                    architecture: self.request.architecture,
                    kvm: qemu.kvm,
                    firmware: qemu.firmware.clone(),
                    memory_mib: self.request.memory_mib,
                    disk: disk.path(),
                    ssh: port.map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)),
                    serial,
                };
                QemuBackend::Process(Process::start(&machine, (self.request, qemu))?)
            }
            (None, None) => return Err(Failure::environment("QEMU is not on this machine")),
        };
        Ok(Running::new(body, self.events))
    }

    async fn until_login(&self, disk: &Disk, login: &Login) -> Result<(), Failure> {
        let (Some(ssh), Some(port)) = (&self.tools.ssh, self.port()?) else {
            return Err(Failure::environment("nothing leads to the machine's SSH"));
        };
        let mut machine = Box::pin(self.start(disk, (Some(port), Serial::Pipe))).await?;
        let published = self.emulator.is_some();
        let door = SshProbe::new(ssh, login, (port, published));
        let outcome = Box::pin(self.enter(&mut machine, &door, login)).await;
        given_back(outcome, machine.stop(self.cancel).await)
    }

    /// Waits to be let in, does what there is to do, and switches the machine off.
    async fn enter(
        &self,
        machine: &mut Running,
        door: &SshProbe<'_>,
        login: &Login,
    ) -> Result<(), Failure> {
        let wait = Box::pin(self.wait(machine, door, login.timeout));
        self.phase(Phase::Boot, wait).await?;
        self.events
            .notice(format!("logged in over SSH as {}", login.user));
        let outcome = match &login.command {
            Some(command) => {
                self.command(machine, door.run(command), login.timeout)
                    .await
            }
            None => Ok(()),
        };
        if !self.cancel.is_cancelled() {
            self.switch_off(machine, door).await?;
        }
        outcome
    }

    /// Waits until the door opens, or until it is clear that it will not.
    async fn wait(
        &self,
        machine: &mut Running,
        door: &SshProbe<'_>,
        limit: Duration,
    ) -> Result<(), Failure> {
        let mut knocking = Box::pin(door.poll());
        let mut left = ActiveTimer::of(limit);
        let mut is_over = false;
        loop {
            let step = tokio::select! {
                // The console comes last: a machine that never stops speaking has it ready at all times.
                biased;
                () = self.cancel.cancelled() => return Err(Failure::interrupted()),
                knocked = &mut knocking => match knocked.or_environment("run ssh")? {
                    ProbeResult::LoggedIn => return Ok(()),
                    ProbeResult::Refused => return Err(gave_up(machine, door, None)),
                    ProbeResult::NotLocal => return Err(self.elsewhere()),
                },
                () = left.is_up() => {
                    let waited = (!is_over).then_some(limit);
                    return Err(gave_up(machine, door, waited));
                }
                step = machine.step() => step?,
            };
            match step {
                BootEvent::Ended(status) => return Err(ended(machine, door, status)),
                BootEvent::Lines(lines) if !is_over => {
                    // The prompt of a boot loader that gave up is a line without an end.
                    let prompt = machine.console.unfinished();
                    is_over = lines
                        .iter()
                        .chain([&prompt])
                        .any(|line| diagnosis::is_the_end(line));
                    if is_over {
                        left.shorten(LAST_WORDS);
                    }
                }
                BootEvent::Lines(_) => {}
            }
        }
    }

    /// The port that the engine opened is not one of this machine.
    fn elsewhere(&self) -> Failure {
        let at = self.emulator.map(|emulator| emulator.engine.endpoint());
        let at = at.map_or_else(String::new, |at| format!(" at {at}"));
        Failure::environment(format!(
            "the engine{at} is on another machine or in a network of its own, and so is the port that \
             leads to the SSH of what it boots: nothing answers on 127.0.0.1"
        ))
        .hint(NO_PORT)
    }

    /// Runs what the user wants there; its output is ours.
    async fn command(
        &self,
        machine: &mut Running,
        mut ssh: tokio::process::Command,
        limit: Duration,
    ) -> Result<(), Failure> {
        self.events.emit(Event::TerminalGiven);
        let mut ssh = ssh
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit())
            .spawn()
            .or_environment("start ssh")?;
        let ran = async {
            let mut qemu_ended = false;
            loop {
                tokio::select! {
                    biased;
                    status = ssh.wait() => return status.or_environment("wait for ssh"),
                    // ssh notices by itself that the machine is gone.
                    step = machine.step(), if !qemu_ended => {
                        qemu_ended = matches!(step?, BootEvent::Ended(_));
                    }
                }
            }
        };
        let ran = self.cancel.race(timeout(limit, ran)).await?;
        let Some(status) = ran else {
            let seconds = limit.as_secs();
            return Err(Failure::message(
                Class::Build,
                format!("the command did not end within {seconds} s"),
            )
            .hint("give it more time with --timeout"));
        };
        command_ended(status?)
    }

    /// Has the machine switch itself off. One that does not is no failure: it changed nothing that
    /// is kept.
    async fn switch_off(&self, machine: &mut Running, door: &SshProbe<'_>) -> Result<(), Failure> {
        let mut poweroff = door.run("poweroff");
        poweroff.stdout(Stdio::null()).stderr(Stdio::null());
        let mut ssh = poweroff.spawn().or_environment("start ssh")?;
        let off = timeout(SWITCH_OFF, machine.ended());
        if self.cancel.race(off).await?.is_none() {
            self.events
                .warn("the machine did not switch itself off within 30 s: QEMU was stopped");
        }
        ssh.kill().await.or_environment("end ssh")
    }
}

#[cfg(test)]
mod tests;
