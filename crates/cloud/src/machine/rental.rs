//! A rented machine, as the run sees it that rents it.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::aws::Access;
use crate::machine::order::{RentalRequest, Report};
use crate::machine::record;
use crate::machine::record::Record;
use crate::machine::record::{StaleRental, leftover};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events, Phase};
use sdbuild_core::failure::{Failure, Leftover, OrFail as _};
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::session::start_own;
use sdbuild_core::untrusted;
use sdbuild_engine::ssh_machine::SshMachine;

/// For all attempts of the holder together.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_mins(10);

/// A rented machine, or the attempt to get one. When it is dropped, the holder gives the machine back.
#[derive(Debug)]
pub struct Rental {
    order: RentalRequest,
    write: OwnedWriteHalf,
    reports: Lines<BufReader<OwnedReadHalf>>,
    events: Events,
    /// What the lines of the provider are about.
    phase: Phase,
    /// How it went, if the holder gave the machine back while it was used.
    ended: Option<Report>,
}

/// The result of giving a machine back.
#[derive(Debug)]
pub enum GivenBack {
    /// The machine is gone, and everything on it. What it cost, in words, if that is known.
    Gone(Option<String>),
    /// It may still be there.
    Left(Leftover),
}

impl Rental {
    /// Starts the holder, and gives it `order`: from now on the machine has to be given back.
    pub async fn begin(
        order: RentalRequest,
        access: &Access,
        events: &Events,
    ) -> Result<Self, Failure> {
        let begin = async {
            let (here, there) = StdUnixStream::pair()?;
            here.set_nonblocking(true)?;
            // A flag or a settings file may have named it.
            let file = access.ca_file.as_deref();
            let variables: Vec<_> = file
                .map(|file| ("SDBUILD_CA_FILE", file))
                .into_iter()
                .collect();
            start_own("hold-machine", &variables, there)?;
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
            phase: Phase::Rent,
            ended: None,
        })
    }

    /// Waits until the provider has made the machine. With it comes a hint for the case that it cannot be reached.
    pub async fn machine(
        &mut self,
        context: &Context,
    ) -> Result<(SshMachine, Option<String>), Failure> {
        loop {
            match context.cancel.race(self.next_report()).await? {
                Some(Report::Made(machine, hint)) => return Ok((machine, hint)),
                Some(Report::NotMade(reason)) => return Err(reason.into()),
                Some(report) => self.show(report),
                None => return Err(Failure::environment(HOLDER_LOST)),
            }
        }
    }

    /// Shows the holder's reports while the machine is used; never ends.
    pub async fn follow<T>(&mut self) -> T {
        while let Some(report) = self.next_report().await {
            if matches!(report, Report::GivenBack(_) | Report::Kept(_)) {
                self.ended = Some(report);
                return std::future::pending().await;
            }
            self.show(report);
        }
        self.events.warn(format!(
            "{HOLDER_LOST}, and it ends by itself when its lease ends"
        ));
        std::future::pending().await
    }

    /// Makes the holder give the machine back. The holder continues even if this future is dropped.
    pub async fn give_back(mut self, access: &Access, context: &Context) -> GivenBack {
        let order = self.order.clone();
        self.phase = Phase::GiveBack;
        // A holder that is gone has closed it.
        self.write.shutdown().await.ok();
        let told = context.cancel.bounded(GIVE_BACK_TIMEOUT, self.told());
        let why = match told.await {
            Some(Some(Report::GivenBack(receipt))) => return GivenBack::Gone(receipt),
            Some(Some(Report::Kept(why))) => why,
            Some(_) => {
                return give_back_without_holder(&order, access, context).await;
            }
            None => "it is still being given back; `sdbuild status` shows the result".to_owned(),
        };
        let id = Record::read(&record::path(&order)).and_then(|record| record.id);
        GivenBack::Left(leftover(&order, id.as_deref(), why))
    }

    /// How it went; `None` if the holder is gone.
    async fn told(&mut self) -> Option<Report> {
        if let Some(report) = self.ended.take() {
            return Some(report);
        }
        loop {
            let report = self.next_report().await?;
            if matches!(report, Report::GivenBack(_) | Report::Kept(_)) {
                return Some(report);
            }
            self.show(report);
        }
    }

    /// The next report; `None` if the holder is gone. Cancel safe.
    async fn next_report(&mut self) -> Option<Report> {
        loop {
            let line = self.reports.next_line().await.ok().flatten()?;
            if let Ok(report) = untrusted::json(&line) {
                return Some(report);
            }
        }
    }

    fn show(&self, report: Report) {
        match report {
            Report::Log(line) => {
                self.events.emit(Event::Nix(NixEvent::Other(line.clone())));
                self.events.detail(self.phase, line);
            }
            Report::Warning(text) => self.events.warn(text),
            Report::Made(..) | Report::NotMade(_) | Report::GivenBack(_) | Report::Kept(_) => {}
        }
    }
}

/// Warning when the holder ends prematurely.
const HOLDER_LOST: &str =
    "the process that holds the rented machine has ended, so sdbuild gives the machine back itself";

/// Gives the machine of `order` back in this process, by its record.
async fn give_back_without_holder(
    order: &RentalRequest,
    access: &Access,
    context: &Context,
) -> GivenBack {
    let mut rentals = StaleRental::all(&order.state_dir).into_iter();
    let Some(rental) = rentals.find(|rental| rental.record().order.run == order.run) else {
        return given_back_by_another(order);
    };
    let work = rental.give_back(access, &|_| ());
    match context.cancel.bounded(GIVE_BACK_TIMEOUT, work).await {
        Some(Ok(true)) => GivenBack::Gone(None),
        Some(Ok(false)) => given_back_by_another(order),
        Some(Err(failure)) => GivenBack::Left(rental.leftover(&failure)),
        None => {
            let failure = Failure::environment("not enough time was left");
            GivenBack::Left(rental.leftover(&failure))
        }
    }
}

/// What is known of a rental that this process cannot give back. The record is the first thing that a holder makes, and the last one
/// that it, or a process that took it over, removes.
fn given_back_by_another(order: &RentalRequest) -> GivenBack {
    match Record::read(&record::path(order)) {
        None => GivenBack::Gone(None),
        Some(record) => {
            let why = "another sdbuild is giving it back; `sdbuild status` shows the result";
            GivenBack::Left(leftover(order, record.id.as_deref(), why.to_owned()))
        }
    }
}
