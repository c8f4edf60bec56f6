//! A machine on loan, as the run sees it that borrows it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;

use crate::common::context::Context;
use crate::common::event::{Event, Events, Phase};
use crate::common::failure::{Failure, Leftover, OrFail as _};
use crate::common::nix_event::NixEvent;
use crate::common::session::start_detached;
use crate::common::ssh_machine::SshMachine;
use crate::machine::message::{Order, Report};
use crate::machine::record::{self, Record};
use crate::machine::stale::{StaleLoan, leftover};

/// For all attempts of the holder together.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(600);

/// A machine on loan, or the attempt to get one. When it is dropped, the holder gives the machine back.
#[derive(Debug)]
pub struct Loan {
    order: Order,
    write: OwnedWriteHalf,
    reports: Lines<BufReader<OwnedReadHalf>>,
    events: Events,
    /// What the lines of the provider are about.
    phase: Phase,
}

/// How a loan ended.
#[derive(Debug)]
pub enum GivenBack {
    /// The machine is gone, and everything on it.
    Gone,
    /// It may still be there.
    Left(Leftover),
}

impl Loan {
    /// Starts the holder, and gives it `order`: from now on the loan has to be given back.
    pub async fn begin(order: Order, events: &Events) -> Result<Self, Failure> {
        let begin = async {
            let (here, there) = StdUnixStream::pair()?;
            here.set_nonblocking(true)?;
            start_holder(there)?;
            let (read, mut write) = UnixStream::from_std(here)?.into_split();
            let line = serde_json::to_string(&order)?;
            write.write_all(format!("{line}\n").as_bytes()).await?;
            Ok::<_, io::Error>((read, write))
        };
        let (read, write) = begin
            .await
            .or_environment("start the process that gives the machine back")?;
        Ok(Self {
            order,
            write,
            reports: BufReader::new(read).lines(),
            events: events.clone(),
            phase: Phase::Borrow,
        })
    }

    /// Waits until the provider has made the machine.
    pub async fn machine(&mut self, context: &Context) -> Result<SshMachine, Failure> {
        loop {
            match context.cancel.race(self.next_report()).await? {
                Some(Report::Made(place, host_key)) => return Ok(SshMachine { place, host_key }),
                Some(Report::NotMade(reason)) => return Err(reason.into()),
                Some(report) => self.show(report),
                None => return Err(Failure::environment(LOST)),
            }
        }
    }

    /// Shows what the holder tells while the machine is used; never ends.
    pub async fn follow<T>(&mut self) -> T {
        while let Some(report) = self.next_report().await {
            self.show(report);
        }
        self.events.warn(LOST);
        std::future::pending().await
    }

    /// Has the holder give the machine back. It goes on when nobody waits any longer.
    pub async fn give_back(mut self, context: &Context) -> GivenBack {
        let order = self.order.clone();
        self.phase = Phase::GiveBack;
        // A holder that is gone has closed it.
        self.write.shutdown().await.ok();
        let told = context.cancel.bounded(GIVE_BACK_TIMEOUT, self.told());
        let why = match told.await {
            Some(Some(Report::GivenBack)) => return GivenBack::Gone,
            Some(Some(Report::Kept(why))) => why,
            Some(_) => return give_back_without_holder(&order, context).await,
            None => "it is still being given back; `sdbuild status` says how that went".to_owned(),
        };
        let id = Record::read(&record::path(&order)).and_then(|record| record.id);
        GivenBack::Left(leftover(&order, id.as_deref(), why))
    }

    /// How it went; `None` if the holder is gone.
    async fn told(&mut self) -> Option<Report> {
        loop {
            let report = self.next_report().await?;
            if matches!(report, Report::GivenBack | Report::Kept(_)) {
                return Some(report);
            }
            self.show(report);
        }
    }

    /// The next report; `None` if the holder is gone. Cancel safe.
    async fn next_report(&mut self) -> Option<Report> {
        loop {
            let line = self.reports.next_line().await.ok().flatten()?;
            if let Ok(report) = serde_json::from_str(&line) {
                return Some(report);
            }
        }
    }

    fn show(&self, report: Report) {
        match report {
            Report::Log(line) => {
                self.events.emit(Event::Nix(NixEvent::Other(line.clone())));
                self.events.emit(Event::Detail(self.phase, line));
            }
            Report::Warning(text) => self.events.warn(text),
            Report::Made(..) | Report::NotMade(_) | Report::GivenBack | Report::Kept(_) => {}
        }
    }
}

/// What is told when the holder ends before its time.
const LOST: &str =
    "the process that gives the machine on loan back has ended: sdbuild does it itself";

/// Gives the machine of `order` back in this process, by its record.
async fn give_back_without_holder(order: &Order, context: &Context) -> GivenBack {
    let mut loans = StaleLoan::all(&order.state_dir).into_iter();
    let Some(loan) = loans.find(|loan| loan.record().order.run == order.run) else {
        return given_back_by_another(order);
    };
    let given_back = context.cancel.bounded(GIVE_BACK_TIMEOUT, loan.give_back());
    match given_back.await {
        Some(Ok(true)) => GivenBack::Gone,
        Some(Ok(false)) => given_back_by_another(order),
        Some(Err(failure)) => GivenBack::Left(loan.leftover(&failure)),
        None => {
            let failure = Failure::environment("there was no time left");
            GivenBack::Left(loan.leftover(&failure))
        }
    }
}

/// What is known of a loan that this process cannot give back. The record is the first thing that a holder makes, and the last one
/// that it, or whoever took it over, removes.
fn given_back_by_another(order: &Order) -> GivenBack {
    match Record::read(&record::path(order)) {
        None => GivenBack::Gone,
        Some(record) => {
            let why = "another sdbuild gives it back; `sdbuild status` says how that went";
            GivenBack::Left(leftover(order, record.id.as_deref(), why.to_owned()))
        }
    }
}

/// Starts the holder with `socket` as its standard input, in a session of its own: no signal of the terminal reaches it.
fn start_holder(socket: StdUnixStream) -> io::Result<()> {
    let program = if cfg!(target_os = "linux") {
        // The running executable, even when its file was replaced meanwhile.
        Path::new("/proc/self/exe").to_owned()
    } else {
        std::env::current_exe()?
    };
    let mut command = Command::new(program);
    command
        .arg("hold-machine")
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It is not waited for: it outlives this process if it has to.
    start_detached(command).map(drop)
}
