//! One boot from start to end.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::boot::diagnosis;
use crate::boot::disk::{self, Disk};
use crate::boot::ending::{command_ended, ended, gave_up};
use crate::boot::login::{Door, Knocked};
use crate::boot::machine::{Running, Step};
use crate::boot::qemu::{Machine, Serial};
use crate::boot::tools::{self, Tools};
use crate::boot::{Login, Request};
use crate::cancel::Cancel;
use crate::event::{Event, Events, Phase};
use crate::failure::{Class, Failure, OrFail as _};
use crate::terminal;

/// What may still come after the line that tells the failure, and tell more.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long the machine has to switch itself off.
const SWITCH_OFF: Duration = Duration::from_secs(30);

/// What every step needs.
#[derive(Clone, Copy)]
struct Boot<'a> {
    request: &'a Request,
    tools: &'a Tools,
    cancel: &'a Cancel,
    events: &'a Events,
}

/// Looks for everything that booting takes besides the image.
pub fn preflight(request: &Request) -> Result<(), Failure> {
    tools::find(request).map(drop)
}

/// Boots what `request` says: shows the console until the machine is switched off, or waits for a
/// login, runs the command there and switches the machine off.
///
/// A failure of class [`Class::Build`] is the image's: it does not boot or lets nobody in.
/// To be awaited on the main thread: QEMU ends with the thread that started it.
pub async fn boot(request: &Request, (cancel, events): (&Cancel, &Events)) -> Result<(), Failure> {
    let (image, tools) = both(disk::open_image(&request.image), tools::find(request))?;
    let boot = Boot {
        request,
        tools: &tools,
        cancel,
        events,
    };
    let disk = disk::ready(image, request, (cancel, events)).await?;
    std::fs::create_dir_all(&request.scratch)
        .or_environment(format!("make {}", request.scratch.display()))?;
    match &request.login {
        Some(login) => Box::pin(boot.until_login(&disk, login)).await,
        None => boot.attended(&disk).await,
    }
}

/// Both, or what is wrong with either.
fn both<A, B>(a: Result<A, Failure>, b: Result<B, Failure>) -> Result<(A, B), Failure> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Ok(_), Err(failure)) | (Err(failure), Ok(_)) => Err(failure),
        (Err(mut failure), Err(mut other)) => {
            let more = std::mem::take(&mut other.also);
            failure.also.push(other);
            failure.also.extend(more);
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

    fn start(&self, disk: &Disk, serial: Serial) -> Result<(Running, u16), Failure> {
        let machine = Machine {
            architecture: self.request.architecture,
            kvm: self.tools.kvm,
            firmware: self.tools.firmware.clone(),
            memory_mib: self.request.memory_mib,
            disk: disk.path(),
            port: port(self.request.port)?,
            serial,
        };
        if serial == Serial::Terminal {
            self.events.notice(format!(
                "the machine's console; Ctrl-A X ends it. Log in with: ssh -p {} root@127.0.0.1",
                machine.port
            ));
            self.events.emit(Event::TerminalGiven);
        }
        let running = Running::start(&machine, (self.request, self.tools, self.events))?;
        Ok((running, machine.port))
    }

    /// The console on the terminal, until the machine ends.
    async fn attended(&self, disk: &Disk) -> Result<(), Failure> {
        let settings = terminal::Settings::keep();
        let (mut machine, _) = self.start(disk, Serial::Terminal)?;
        let outcome = self.cancel.race(machine.ended()).await;
        machine.stop(self.cancel).await;
        drop(settings);
        let status = outcome??;
        if status.success() {
            return Ok(());
        }
        Err(Failure::environment(format!("QEMU ended with {status}")))
    }

    async fn until_login(&self, disk: &Disk, login: &Login) -> Result<(), Failure> {
        let (mut machine, port) = self.start(disk, Serial::Pipe)?;
        let outcome = match &self.tools.ssh {
            Some(ssh) => {
                let door = Door::new(ssh, login, port);
                Box::pin(self.enter(&mut machine, &door, login)).await
            }
            None => Err(Failure::environment("ssh is not on this machine")),
        };
        machine.stop(self.cancel).await;
        outcome
    }

    /// Waits to be let in, does what there is to do, and switches the machine off.
    async fn enter(
        &self,
        machine: &mut Running,
        door: &Door<'_>,
        login: &Login,
    ) -> Result<(), Failure> {
        let wait = self.wait(machine, door, login.timeout);
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
        door: &Door<'_>,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let mut knocking = std::pin::pin!(door.knock());
        let deadline = tokio::time::Instant::now() + timeout;
        let mut end = deadline;
        loop {
            let step = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Failure::interrupted()),
                step = machine.step() => step?,
                knocked = &mut knocking => match knocked.or_environment("run ssh")? {
                    Knocked::In => return Ok(()),
                    Knocked::Refused => return Err(gave_up(machine, door, None)),
                },
                () = tokio::time::sleep_until(end) => {
                    let waited = (end == deadline).then_some(timeout);
                    return Err(gave_up(machine, door, waited));
                }
            };
            match step {
                Step::Ended(status) => return Err(ended(machine, door, status)),
                // The prompt of a boot loader that gave up is a line without an end.
                Step::Lines(_) if end < deadline => {}
                Step::Lines(lines) => {
                    let prompt = machine.console.tail(1);
                    if lines
                        .iter()
                        .chain(&prompt)
                        .any(|line| diagnosis::is_the_end(line))
                    {
                        end = deadline.min(tokio::time::Instant::now() + LAST_WORDS);
                    }
                }
            }
        }
    }

    /// Runs what the person wants there; its output is ours.
    async fn command(
        &self,
        machine: &mut Running,
        mut ssh: tokio::process::Command,
        timeout: Duration,
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
                        qemu_ended = matches!(step?, Step::Ended(_));
                    }
                }
            }
        };
        let ran = self.cancel.race(tokio::time::timeout(timeout, ran)).await?;
        let Ok(status) = ran else {
            let seconds = timeout.as_secs();
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
    async fn switch_off(&self, machine: &mut Running, door: &Door<'_>) -> Result<(), Failure> {
        let mut poweroff = door.run("poweroff");
        poweroff.stdout(Stdio::null()).stderr(Stdio::null());
        let mut ssh = poweroff.spawn().or_environment("start ssh")?;
        let off = tokio::time::timeout(SWITCH_OFF, machine.ended());
        if self.cancel.race(off).await?.is_err() {
            self.events
                .warn("the machine did not switch itself off within 30 s: QEMU was stopped");
        }
        ssh.kill().await.or_environment("end ssh")
    }
}

/// The port that the person wants, or one that is free now.
fn port(wanted: Option<u16>) -> Result<u16, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", wanted.unwrap_or(0)));
    let listener = match wanted {
        Some(port) => listener
            .or_usage(format!("listen on 127.0.0.1:{port}"))
            .map_err(|failure| {
                failure.hint("take another --port, or leave it out for a free one")
            })?,
        None => listener.or_environment("find a free port")?,
    };
    Ok(listener
        .local_addr()
        .or_environment("find a free port")?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_a_usage_error_and_another_is_found() {
        let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = held.local_addr().unwrap().port();
        assert_eq!(port(Some(taken)).unwrap_err().class, Class::Usage);
        assert_ne!(port(None).unwrap(), taken);
    }
}
