//! The record of a rental: a file in the state directory, which the holder keeps locked.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use sdbuild_core::aws_machine::AwsMachine;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::locked_file::{self, Owner};
use sdbuild_core::locked_record::{LockedRecord, entries};
use sdbuild_core::machine_source::MachineSource;
use sdbuild_core::private_dir;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::RunId;
use serde::{Deserialize, Serialize};

use crate::aws::Access;
use crate::machine::command::{PROGRAM_GRACE, RUN};
use crate::machine::order::RentalRequest;
use crate::machine::provider::Provider;

/// Longer files are not ours.
const MAX_RECORD_BYTES: u64 = 256 << 10;
/// Ends the name of the file with the login key of a machine.
const IDENTITY: &str = "key";

/// A line of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// The first line: what is about to be asked for.
    Begun {
        /// The request that the record belongs to.
        order: RentalRequest,
        /// Time of the request, in seconds since 1970.
        at: u64,
    },
    /// There is a machine.
    Made {
        /// The provider's ID of the machine.
        id: String,
        /// Address of the machine, for messages.
        place: String,
        /// When the lease ends, in seconds since 1970.
        until: u64,
    },
    /// The lease ends later, in seconds since 1970.
    Extended(u64),
    /// It could not be given back, for this reason.
    Kept(String),
}

/// A record of a rental.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The request that the rental answers.
    pub order: RentalRequest,
    /// Time of the request, in seconds since 1970.
    pub began: u64,
    /// What the provider calls the machine, once it made one.
    pub id: Option<String>,
    /// Address of the machine, for messages; `None` until it is created.
    pub place: Option<String>,
    /// When the lease ends, in seconds since 1970.
    pub until: Option<u64>,
    /// Why it could not be given back, at the last attempt.
    pub kept_because: Option<String>,
    /// Whether the process that holds the machine is alive.
    pub is_held: bool,
    pub(super) path: PathBuf,
}

impl Record {
    /// Reads the record at `path`; `None` for what is none. It names a program that is called later: only a file is one that this
    /// user alone may write, with the name of its rental.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let is_held = locked_file::owner(path) == Owner::Alive;
        let found = path.symlink_metadata().ok()?;
        let is_own = found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0;
        if !is_own || !found.is_file() {
            return None;
        }
        let mut entries = entries(path, MAX_RECORD_BYTES).ok()?.into_iter();
        let Entry::Begun { order, at } = entries.next()? else {
            return None;
        };
        if path.file_name()?.to_str()? != order.run {
            return None;
        }
        // The directory may have been moved.
        let state_dir = path.parent()?.parent()?.to_owned();
        let mut record = Self {
            order: RentalRequest { state_dir, ..order },
            began: at,
            id: None,
            place: None,
            until: None,
            kept_because: None,
            is_held,
            path: path.to_owned(),
        };
        for entry in entries {
            record.add(entry);
        }
        Some(record)
    }

    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Begun { .. } => {}
            Entry::Made { id, place, until } => {
                self.id = Some(id);
                self.place = Some(place);
                self.until = Some(until);
            }
            Entry::Extended(until) => self.until = Some(until),
            Entry::Kept(why) => self.kept_because = Some(why),
        }
    }
}

/// The files below `state_dir` that are called as records are.
fn files(state_dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir(state_dir)).into_iter().flatten().flatten();
    let is_named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.parse::<RunId>().is_ok())
    };
    entries.map(|entry| entry.path()).filter(is_named)
}

/// The files below `state_dir` that are called as records are, and are damaged, or not this user's alone: each may stand for a machine
/// that is still there.
pub fn unusable_records(state_dir: &Path) -> Vec<PathBuf> {
    let unusable = files(state_dir).filter(|path| Record::read(path).is_none());
    // One that has been given back meanwhile is gone.
    unusable
        .filter(|path| path.symlink_metadata().is_ok())
        .collect()
}

/// All records below `state_dir`, the oldest first.
pub fn records(state_dir: &Path) -> Vec<Record> {
    let mut records: Vec<Record> = files(state_dir)
        .filter_map(|path| Record::read(&path))
        .collect();
    records.sort_by(|one, other| (one.began, &one.path).cmp(&(other.began, &other.path)));
    records
}

/// The record of a rental, locked by this process.
#[derive(Debug)]
pub(super) struct OwnRecord(LockedRecord<Entry>);

impl OwnRecord {
    /// Creates the record of `order`.
    pub(super) fn create(order: &RentalRequest) -> io::Result<Self> {
        private_dir::create(&dir(&order.state_dir))?;
        let begun = Entry::Begun {
            order: order.clone(),
            at: seconds_after(Duration::ZERO),
        };
        let record = LockedRecord::create(&path(order), &begun)?;
        // Before a machine is asked for: the record must outlast a loss of power.
        record.sync()?;
        File::open(dir(&order.state_dir))?.sync_all()?;
        Ok(Self(record))
    }

    /// Takes over a record whose holder is gone; `None` while it is alive, and if the file is gone.
    pub(super) fn take_over(record: &Record) -> Option<Self> {
        LockedRecord::take_over(&record.path)
            .ok()
            .flatten()
            .map(Self)
    }

    /// Adds `entry`.
    pub(super) fn add(&self, entry: &Entry) -> io::Result<()> {
        self.0.add(entry)?;
        self.0.sync()
    }

    /// Removes the file: no machine is rented any more. The login key goes first.
    pub(super) fn remove(self) -> io::Result<()> {
        match fs::remove_file(self.0.path().with_extension(IDENTITY)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.0.remove()
    }
}

/// The path of the record of `order`.
pub(super) fn path(order: &RentalRequest) -> PathBuf {
    dir(&order.state_dir).join(&order.run)
}

/// The path of the private key that was made for the machine of `order`; it is removed with the record.
pub(super) fn identity(order: &RentalRequest) -> PathBuf {
    path(order).with_extension(IDENTITY)
}

/// The time `later` than now, in seconds since 1970.
pub(super) fn seconds_after(later: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().saturating_add(later).as_secs()
}

fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("machines")
}

/// A rental without a holder.
#[derive(Clone, Debug)]
pub struct StaleRental(Record);

impl StaleRental {
    /// All of them below `state_dir`.
    pub fn all(state_dir: &Path) -> Vec<Self> {
        let records = records(state_dir).into_iter();
        records.filter(|record| !record.is_held).map(Self).collect()
    }

    /// The record of the rental.
    pub fn record(&self) -> &Record {
        &self.0
    }

    /// Gives the machine back; whether that was done here: `false` if another process does it now, or has done it. `log` hears the lines of
    /// the provider.
    pub async fn give_back(
        &self,
        access: &Access,
        log: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<bool, Failure> {
        let Some(own) = OwnRecord::take_over(&self.0) else {
            return Ok(false);
        };
        let (order, id) = (&self.0.order, self.0.id.as_deref());
        end_orphans(&order.run).await;
        let destroyed = Provider::of(order, access).destroy(order, id, log).await;
        match &destroyed {
            // A record that stays only has the machine destroyed once more.
            Ok(()) => own.remove().ok(),
            // The record of a machine that cannot be destroyed must not grow for ever.
            Err(failure) if self.0.kept_because.as_ref() == Some(&why(failure)) => None,
            Err(failure) => own.add(&Entry::Kept(why(failure))).ok(),
        };
        destroyed.map(|()| true)
    }

    /// Whether it does no harm to end [`StaleRental::give_back`] in the middle: a program of the user's may not like that.
    pub fn can_be_interrupted(&self) -> bool {
        matches!(self.0.order.source, MachineSource::Aws(_))
    }

    /// ID and provider of the machine, for messages.
    pub fn name(&self) -> String {
        name(&self.0.order, self.0.id.as_deref())
    }

    /// What is left if it could not be given back, by the failure of [`StaleRental::give_back`].
    pub fn leftover(&self, failure: &Failure) -> Leftover {
        leftover(&self.0.order, self.0.id.as_deref(), why(failure))
    }
}

/// What is left of the rental of `order` if it cannot be given back, for the reason `why`.
pub(super) fn leftover(order: &RentalRequest, id: Option<&str>, why: String) -> Leftover {
    let what = format!("machine {}", name(order, id));
    let remedy = match &order.source {
        MachineSource::Command(program) => program_remedy(order, program, id),
        MachineSource::Aws(machine) => aws_remedy(machine, id),
    };
    Leftover { what, why, remedy }
}

/// The command that has the program `program` destroy the machine.
fn program_remedy(order: &RentalRequest, program: &str, id: Option<&str>) -> String {
    let dir = Path::new(program).parent().unwrap_or(Path::new("/"));
    let (run, system, lease) = (&order.run, order.system, order.lease.as_secs());
    let (dir, program) = (quoted(&dir.to_string_lossy()), quoted(program));
    format!(
        "cd {dir} && {RUN}={run} SDBUILD_SYSTEM={system} SDBUILD_LEASE_SECONDS={lease} {program} destroy {}",
        quoted(id.unwrap_or(run))
    )
}

/// The command that destroys the machine; the next one of sdbuild that cleans removes the rest.
fn aws_remedy(machine: &AwsMachine, id: Option<&str>) -> String {
    let Some(id) = id else {
        return "sdbuild clean".to_owned();
    };
    let option = |name: &str, value: &Option<String>| {
        let value = value.as_deref();
        value.map_or_else(String::new, |value| format!(" {name} {}", quoted(value)))
    };
    format!(
        "aws ec2 terminate-instances{}{} --instance-ids {}; sdbuild clean",
        option("--region", &machine.region),
        option("--profile", &machine.profile),
        quoted(id)
    )
}

/// Why a machine could not be given back: the failure of its provider, with the last thing that it said.
pub(super) fn why(failure: &Failure) -> String {
    match failure.log_tail.last() {
        Some(line) => format!("{failure}: {line}"),
        None => failure.to_string(),
    }
}

fn name(order: &RentalRequest, id: Option<&str>) -> String {
    format!("{} of {}", id.unwrap_or(&order.run), order.source)
}

/// Between two looks at them.
const ORPHAN_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Ends every process of this user that was started for the rental `run`, by TERM, and after a while by KILL.
pub(super) async fn end_orphans(run: &str) {
    send(&processes(run), Signal::SIGTERM);
    let until_none = async {
        while !processes(run).is_empty() {
            tokio::time::sleep(ORPHAN_POLL_INTERVAL).await;
        }
    };
    if timeout(PROGRAM_GRACE, until_none).await.is_none() {
        send(&processes(run), Signal::SIGKILL);
    }
}

fn send(processes: &[Pid], signal: Signal) {
    for process in processes {
        // It may have ended just now.
        kill(*process, signal).ok();
    }
}

/// The processes of this user that have the variable of `run`, as far as the kernel shows them. An ended one that its parent has not noticed
/// has no variables any more.
fn processes(run: &str) -> Vec<Pid> {
    let variable = format!("{RUN}={run}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let user = nix::unistd::geteuid().as_raw();
    let is_own = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|found| found.uid() == user);
    let has_variable = |entry: &fs::DirEntry| {
        let variables = fs::read(entry.path().join("environ")).unwrap_or_default();
        let mut variables = variables.split(|byte| *byte == 0);
        variables.any(|one| one == variable.as_bytes())
    };
    let found = entries.filter(is_own).filter(has_variable);
    let pids = found.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = pids.map(Pid::from_raw);
    pids.filter(|pid| *pid != Pid::this()).collect()
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    /// An order for the program `program`.
    pub(crate) fn order(state_dir: &Path, program: &str) -> RentalRequest {
        RentalRequest {
            source: format!("command:{program}").parse().unwrap(),
            account: None,
            highest_price: None,
            run: "0123456789ab".to_owned(),
            system: sdbuild_core::system::System::Aarch64Linux,
            lease: Duration::from_hours(1),
            state_dir: state_dir.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Entry {
        Entry::Made {
            id: "i-1".into(),
            place: "me@pi".into(),
            until: 10,
        }
    }

    #[test]
    fn a_record_is_held_until_its_process_ends() {
        let state = tempfile::tempdir().unwrap();
        let order = fixture::order(state.path(), "/bin/rent");
        assert_eq!(records(state.path()), []);
        let own = OwnRecord::create(&order).unwrap();
        let found = records(state.path()).remove(0);
        assert!(found.is_held && found.id.is_none(), "{found:?}");
        assert_eq!(found.order, order);
        assert!(OwnRecord::take_over(&found).is_none());
        own.add(&made()).unwrap();
        own.add(&Entry::Extended(20)).unwrap();
        drop(own);
        let found = records(state.path()).remove(0);
        assert!(!found.is_held);
        assert_eq!((found.id.as_deref(), found.until), (Some("i-1"), Some(20)));
        assert_eq!(found.place.as_deref(), Some("me@pi"));
        let own = OwnRecord::take_over(&found).unwrap();
        fs::write(identity(&order), "x").unwrap();
        own.add(&Entry::Kept("no network".into())).unwrap();
        let kept = records(state.path()).remove(0).kept_because;
        assert_eq!(kept.as_deref(), Some("no network"));
        assert_eq!(records(state.path()).len(), 1, "a key is not a record");
        own.remove().unwrap();
        assert!(!identity(&order).exists());
        assert!(OwnRecord::take_over(&found).is_none());
        assert_eq!(records(state.path()), []);
    }

    /// A record that others could write could make `clean` call any program.
    #[test]
    fn only_a_file_of_this_user_alone_is_a_record() {
        use std::os::unix::fs::PermissionsExt as _;
        let state = tempfile::tempdir().unwrap();
        let order = fixture::order(state.path(), "/bin/rent");
        let path = path(&order);
        drop(OwnRecord::create(&order).unwrap());
        let usable = || {
            (
                records(state.path()).len(),
                unusable_records(state.path()).len(),
            )
        };
        assert_eq!(usable(), (1, 0));
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o666);
        assert_eq!(usable(), (0, 1));
        mode(0o600);
        let other = path.with_file_name("aaaaaaaaaaaa");
        fs::copy(&path, &other).unwrap();
        assert_eq!(usable(), (1, 1), "of another rental");
        fs::remove_file(&other).unwrap();
        std::os::unix::fs::symlink(&path, &other).unwrap();
        assert_eq!(usable(), (1, 1));
        fs::write(&path, "").unwrap();
        assert_eq!(usable(), (0, 2));
    }

    #[test]
    fn another_file_is_no_record() {
        let state = tempfile::tempdir().unwrap();
        let order = fixture::order(state.path(), "/bin/rent");
        let own = OwnRecord::create(&order).unwrap();
        fs::write(own.0.path(), "{}").unwrap();
        assert_eq!(records(state.path()), [], "no record");
    }
}

#[cfg(test)]
mod orphans_tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn programs_of_one_rental_are_ended() {
        let start = |run: &str| {
            let mut program = Command::new("sleep");
            program.arg("300").env(RUN, run).stdin(Stdio::null());
            program.spawn().unwrap()
        };
        let (mut orphan, mut other) = (start("fedcba987654"), start("fedcba987655"));
        tokio::join!(end_orphans("fedcba987654"), async {
            use std::os::unix::process::ExitStatusExt as _;
            let status = tokio::task::spawn_blocking(move || orphan.wait());
            let status = status.await.unwrap().unwrap();
            assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
        });
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
