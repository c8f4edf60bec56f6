//! The process that holds a rented machine: the hidden command `hold-machine`. Its standard input is a socket to sdbuild, over
//! which the order comes and reports go. When sdbuild closes it, or is killed, the machine is given back.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use nix::unistd::dup2_stdin;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::aws::Access;
use crate::machine::order::{Reason, RentalRequest, Report};
use crate::machine::provider::{CreatedMachine, Extension, Provider};
use crate::machine::record;
use crate::machine::record::why;
use crate::machine::record::{Entry, OwnRecord, seconds_after};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::timeout::timeout;
use sdbuild_core::untrusted;

/// Bytes of the order.
const MAX_ORDER: u64 = 64 << 10;
/// Reports that wait for sdbuild, which may have been stopped by Ctrl-Z.
const QUEUE: usize = 256;
/// Time limit for delivering a report; giving the machine back has priority over reports.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The pauses between attempts to give the machine back: a network that is gone for a moment costs nothing.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// A machine is kept for so long at most: a build that was stopped by Ctrl-Z and forgotten must not cost money for ever.
const MAX_RENTAL: Duration = Duration::from_hours(24);

/// A rental that is over.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The request that the rental answers.
    pub order: RentalRequest,
    /// Where the machine was, if there was one.
    pub place: Option<String>,
}

/// Reads an order, makes the machine, and gives it back as soon as sdbuild has closed the connection. `None` if that failed: the
/// record stays.
///
/// # Errors
///
/// When there is no order. Then nothing was asked for.
pub async fn hold(access: &Access) -> Result<Option<Ended>, Failure> {
    let (order, read, write) = connect()
        .await
        .or_environment("read the request for a machine")?;
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let work = Box::pin(rent(order, access, read, Reports(sender)));
    let (ended, ()) = tokio::join!(work, tell(&mut queue, write));
    Ok(ended)
}

/// The connection to sdbuild, and the order that came over it.
async fn connect() -> io::Result<(RentalRequest, BufReader<OwnedReadHalf>, OwnedWriteHalf)> {
    let socket = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // No program that is started from here may read it, or keep it open.
    dup2_stdin(File::open("/dev/null")?)?;
    socket.set_nonblocking(true)?;
    let (read, write) = UnixStream::from_std(socket)?.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    (&mut read).take(MAX_ORDER).read_line(&mut line).await?;
    Ok((untrusted::json(&line)?, read, write))
}

/// Writes each report to sdbuild, until there are no more or it is gone.
async fn tell(queue: &mut mpsc::Receiver<Report>, mut write: OwnedWriteHalf) {
    while let Some(report) = queue.recv().await {
        let written = match serde_json::to_string(&report) {
            Ok(line) => write.write_all(format!("{line}\n").as_bytes()).await,
            Err(error) => Err(error.into()),
        };
        if written.is_err() {
            queue.close();
        }
    }
}

/// Channel for reports to sdbuild.
#[derive(Clone, Debug)]
struct Reports(mpsc::Sender<Report>);

impl Reports {
    /// Sends a line of the provider, unless earlier ones are still unread.
    fn log(&self, line: &str) {
        self.0.try_send(Report::Log(line.to_owned())).ok();
    }

    /// Tells what sdbuild waits for, unless it is gone: one that was stopped hears it when it goes on.
    async fn deliver(&self, report: Report, closed: &mut BufReader<OwnedReadHalf>) {
        tokio::select! {
            biased;
            sent = self.0.send(report) => { sent.ok(); }
            () = end_of(closed) => {}
        }
    }

    async fn send(&self, report: Report) {
        // The receiver is gone or does not read.
        timeout(REPORT_TIMEOUT, self.0.send(report)).await;
    }
}

/// Makes the machine of `order`, keeps it until sdbuild has closed the connection, and gives it back.
async fn rent(
    order: RentalRequest,
    access: &Access,
    closed: BufReader<OwnedReadHalf>,
    reports: Reports,
) -> Option<Ended> {
    let record =
        match OwnRecord::create(&order).or_environment("write the record of the rented machine") {
            Ok(record) => record,
            Err(failure) => {
                reports.send(Report::NotMade(Reason::from(&failure))).await;
                reports.send(Report::GivenBack(None)).await;
                return None;
            }
        };
    let provider = Provider::of(&order, access);
    let holder = Holder {
        provider: &provider,
        order: &order,
        reports: &reports,
    };
    let made = holder.make_and_keep(&record, closed).await;
    if made.is_none() {
        // What `create` has left running would make a machine after it was destroyed.
        record::end_orphans(&order.run).await;
    }
    let id = made.as_ref().map(|made| made.id.as_str());
    // Also of a machine that nobody could use.
    let receipt = provider.receipt();
    if !give_back(&holder, id, record, receipt).await {
        return None;
    }
    let place = made.map(|made| made.machine.place);
    Some(Ended { order, place })
}

/// What both halves of a rental use.
struct Holder<'a> {
    provider: &'a Provider,
    order: &'a RentalRequest,
    reports: &'a Reports,
}

impl Holder<'_> {
    /// Makes the machine and keeps it until `closed` ends. `None` if it was not made, as far as that is known.
    async fn make_and_keep(
        &self,
        record: &OwnRecord,
        mut closed: BufReader<OwnedReadHalf>,
    ) -> Option<CreatedMachine> {
        let stop = CancellationToken::new();
        let log = |line: &str| self.reports.log(line);
        let mut create = Box::pin(self.provider.create(self.order, &stop, &log));
        let created = tokio::select! {
            biased;
            created = &mut create => created,
            () = end_of(&mut closed) => {
                stop.cancel();
                create.await
            }
        };
        let made = match created {
            Ok(made) => made,
            Err(failure) => {
                let report = Report::NotMade(Reason::from(&failure));
                self.reports.deliver(report, &mut closed).await;
                return None;
            }
        };
        self.note(
            record,
            Entry::Made {
                id: made.id.clone(),
                place: made.machine.place.clone(),
                until: seconds_after(self.order.lease),
            },
        )
        .await;
        let report = Report::Made(made.machine.clone(), made.unreachable_hint.clone());
        self.reports.deliver(report, &mut closed).await;
        tokio::select! {
            biased;
            () = end_of(&mut closed) => {}
            () = self.keep_extending(record, &made) => {
                let hours = MAX_RENTAL.as_secs() / 3600;
                let text = format!("the rented machine has reached the limit of {hours} hours and is being given back");
                self.reports.send(Report::Warning(text)).await;
            }
        }
        Some(made)
    }

    /// Extends the lease again and again, until the machine has been there for the longest time.
    async fn keep_extending(&self, record: &OwnRecord, made: &CreatedMachine) {
        let log = |line: &str| self.reports.log(line);
        let pause = self.provider.extension_interval(self.order);
        let start = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(pause).await;
            if start.elapsed() >= MAX_RENTAL {
                return;
            }
            match self.provider.extend(self.order, made, &log).await {
                Ok(Extension::Granted) => {
                    self.note(record, Entry::Extended(seconds_after(self.order.lease)))
                        .await;
                }
                // It ends by itself, or the provider ends it.
                Ok(Extension::Unsupported) => {
                    tokio::time::sleep(MAX_RENTAL.saturating_sub(start.elapsed())).await;
                }
                Err(failure) => {
                    let text =
                        format!("cannot extend the time limit of the rented machine: {failure}");
                    self.reports.send(Report::Warning(text)).await;
                }
            }
        }
    }

    async fn note(&self, record: &OwnRecord, entry: Entry) {
        if let Err(error) = record.add(&entry) {
            let text = format!("sdbuild cannot write the record of the rented machine: {error}");
            self.reports.send(Report::Warning(text)).await;
        }
    }
}

/// Destroys the machine `id`, or whatever was made for the rental, in several attempts. Whether it is gone, and its record with it.
async fn give_back(
    holder: &Holder<'_>,
    id: Option<&str>,
    record: OwnRecord,
    receipt: Option<String>,
) -> bool {
    let log = |line: &str| holder.reports.log(line);
    let mut pauses = PAUSES.iter();
    loop {
        let destroyed = holder.provider.destroy(holder.order, id, &log).await;
        let failure = match destroyed {
            Ok(()) => {
                // A record that stays only has the machine destroyed once more.
                record.remove().ok();
                holder.reports.send(Report::GivenBack(receipt)).await;
                return true;
            }
            Err(failure) => failure,
        };
        let Some(pause) = pauses.next() else {
            let why = why(&failure);
            holder.note(&record, Entry::Kept(why.clone())).await;
            drop(record);
            holder.reports.send(Report::Kept(why)).await;
            return false;
        };
        tokio::time::sleep(*pause).await;
    }
}

/// Ends when sdbuild has closed the connection or has ended.
async fn end_of(connection: &mut BufReader<OwnedReadHalf>) {
    let mut bytes = [0; 64];
    while connection.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

#[cfg(test)]
mod tests;
