//! The one way through a deployment, step by step.

use std::collections::BTreeSet;
use std::iter;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::board::{Board, Elevation};
use crate::closure::{Closure, PathInfo};
use crate::firmware::{Firmware, FirmwareChange};
use crate::host::Host;
use crate::script;
use crate::serve::Archives;
use crate::ssh::{Connection, Link, StoreSession};
use crate::store_path::StorePath;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;

/// A machine waits for the confirmation this many times as long as the first connection took: while it starts services, connections
/// take longer.
const CONNECTIONS: u32 = 20;
/// The bounds of that time.
const MIN_WAIT: Duration = Duration::from_mins(1);
const MAX_WAIT: Duration = Duration::from_mins(10);
/// How much longer where the user has to answer `ssh`.
const TYPING: Duration = Duration::from_mins(3);
/// An activation takes no longer (`job.sh`); then the machine needs as long again to return.
const MAX_ACTIVATION: Duration = Duration::from_mins(30);
/// `ssh` takes so long to give an address up (`ConnectTimeout`).
const CONNECT: Duration = Duration::from_secs(20);
/// Other addresses of a machine that are tried.
const MAX_MOVED: usize = 3;
/// The pause between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a machine may take to restart: with a slow card and a check of its file system.
const MAX_RESTART: Duration = Duration::from_mins(15);
/// Lines of a log that are kept.
const MAX_LINES: usize = 40;

/// How far a system is put into effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Now, and at each start.
    #[default]
    Switch,
    /// Until the next start.
    Test,
    /// From the next start on.
    Boot,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Test => "test",
            Self::Boot => "boot",
        }
    }
}

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The new system is in effect.
    Confirmed,
    /// The old one is.
    Returned(Returned),
}

/// A machine that returned to its old system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// Why.
    pub why: String,
    /// Whether the old system was activated again without an error.
    pub is_whole: bool,
    /// The units that failed.
    pub failed: Vec<String>,
    /// The last lines of the activation and of these units.
    pub log: Vec<String>,
}

/// A change of a machine.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The connection to it.
    pub connection: &'a Connection,
    /// What it is like.
    pub board: &'a Board,
    /// How programs run as root there.
    pub elevation: &'a Elevation,
    /// Ends every wait.
    pub cancel: &'a Cancel,
}

impl Board {
    /// Looks at the machine at the other end of `connection`; no further than which system it is if `wanted` runs and starts next.
    pub async fn look(
        connection: &Connection,
        wanted: Option<&StorePath>,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let wanted: Vec<_> = wanted.into_iter().map(StorePath::as_str).collect();
        let look = connection.script(Link::Shared, script::LOOK, &wanted, None);
        let said = cancel.race(look).await??;
        Self::parse(&said, connection.host().as_str())
    }
}

/// What a machine lacks of a closure; what it has stays there as long as this lasts.
#[derive(Debug)]
pub struct Missing<'a> {
    /// What it lacks, references before what refers to them.
    pub paths: Vec<&'a PathInfo>,
    session: StoreSession,
}

impl Missing<'_> {
    /// Bytes of the archives.
    pub fn bytes(&self) -> u64 {
        self.paths.iter().map(|info| info.nar_size).sum()
    }
}

impl Deployment<'_> {
    /// What the machine lacks of `closure`, and of its firmware if it gets that. With `repair` it first removes what an earlier deployment left damaged: the paths that are
    /// neither missing nor part of the system that runs are read there.
    pub async fn missing<'c>(
        &self,
        closure: &'c Closure,
        firmware: bool,
        repair: bool,
    ) -> Result<Missing<'c>, Failure> {
        let session = self
            .cancel
            .race(self.connection.store(self.elevation))
            .await??;
        let mut missing = Missing {
            paths: closure.needed(firmware),
            session,
        };
        if repair {
            let all: Vec<_> = missing.paths.iter().map(|info| &info.path).collect();
            let valid = self.valid(&mut missing.session, &all, false, false).await?;
            let left = valid
                .iter()
                .filter(|path| !self.board.has.contains_key(*path));
            let left: Vec<_> = left.map(StorePath::as_str).collect();
            if !left.is_empty() {
                let verify = self.root(Link::Shared, script::VERIFY, &left);
                self.cancel.race(verify).await??;
            }
        }
        self.ask(&mut missing, false).await?;
        Ok(missing)
    }

    /// Has the machine fetch what its own binary caches have of `missing`.
    pub async fn substitute(&self, missing: &mut Missing<'_>) -> Result<(), Failure> {
        if missing.paths.is_empty() {
            return Ok(());
        }
        self.ask(missing, true).await
    }

    async fn ask(&self, missing: &mut Missing<'_>, fetch: bool) -> Result<(), Failure> {
        let paths: Vec<_> = missing.paths.iter().map(|info| &info.path).collect();
        let valid = self
            .valid(&mut missing.session, &paths, true, fetch)
            .await?;
        missing.paths.retain(|info| !valid.contains(&info.path));
        Ok(())
    }

    async fn valid(
        &self,
        session: &mut StoreSession,
        paths: &[&StorePath],
        keep: bool,
        fetch: bool,
    ) -> Result<BTreeSet<StorePath>, Failure> {
        let valid = session.store.valid(paths, keep, fetch);
        let valid = self.cancel.race(Box::pin(valid)).await?;
        let operation = || format!("ask {} what it has", self.connection.host());
        valid.map_err(|error| self.store_failure(&error, operation()))
    }

    /// Adds what is missing, whose archives come from `archives` in its order. `sent` gets all bytes so far.
    pub async fn copy(
        &self,
        mut missing: Missing<'_>,
        archives: mpsc::Receiver<Bytes>,
        sent: impl Fn(u64),
    ) -> Result<(), Failure> {
        let mut archives = Archives::new(archives);
        let mut done = 0;
        for info in &missing.paths {
            let add = missing.session.store.add(info, &mut archives, |bytes| {
                done += bytes;
                sent(done);
            });
            let added = self.cancel.race(Box::pin(add)).await?;
            let host = self.connection.host();
            added.map_err(|error| {
                let failure = self.store_failure(&error, format!("copy {} to {host}", info.path));
                failure.hint("what was copied stays there: run the same command again to resume")
            })?;
        }
        Ok(())
    }

    fn store_failure(&self, error: &std::io::Error, operation: String) -> Failure {
        let why = self.connection.store_message();
        Failure::environment(why.unwrap_or_else(|| error.to_string())).context(operation)
    }

    /// What the activation of `system`, which the machine has, would do.
    pub async fn dry_activate(&self, system: &StorePath) -> Result<Vec<String>, Failure> {
        let arguments = [system.as_str()];
        let said = self.root(Link::Shared, script::DRY_ACTIVATE, &arguments);
        let said = self.cancel.race(said).await??;
        let mut lines = values(&said, "would");
        lines.retain(|line| !line.is_empty());
        let status = lines.pop().unwrap_or_default();
        if status == "0" {
            return Ok(lines);
        }
        let host = self.connection.host();
        let text =
            format!("the new system cannot be activated on {host} ({status}): it was not changed");
        Err(Failure {
            log_tail: lines,
            ..Failure::environment(text)
        })
    }

    /// Where else the machine may be with `system`, which has these static addresses.
    pub fn moved(&self, system: &StorePath, addresses: &[String]) -> Vec<String> {
        let name = system.host_name();
        let name = name.filter(|name| Some(*name) != self.board.running.host_name());
        let name = name.map(|name| format!("{name}.local"));
        let all = name.into_iter().chain(addresses.iter().cloned());
        all.take(MAX_MOVED).collect()
    }

    /// How long the machine waits for a confirmation, which comes through one of `moved` too.
    pub fn wait(&self, moved: &[String]) -> Duration {
        let wait = self.connection.took().saturating_mul(CONNECTIONS);
        let wait = moved.iter().fold(wait, |wait, _| wait + CONNECT);
        let typing = if self.connection.asks() {
            TYPING
        } else {
            Duration::ZERO
        };
        (wait + typing).clamp(MIN_WAIT, MAX_WAIT)
    }

    /// Puts `system`, which the machine has, into effect; `generation` is its number if it is one of the machine's. From here on the
    /// machine decides by itself: unless this connects anew and confirms, also at one of the addresses `moved`, it returns; with
    /// [`Mode::Boot`] nobody confirms. `notice` gets each state of the machine.
    pub async fn change(
        &self,
        system: &StorePath,
        generation: Option<u32>,
        mode: Mode,
        moved: &[String],
        notice: impl Fn(&str),
    ) -> Result<Outcome, Failure> {
        let wait = self.wait(moved).as_secs().to_string();
        let generation = generation
            .map(|number| number.to_string())
            .unwrap_or_default();
        let arguments = [
            self.connection.holder(),
            script::JOB,
            mode.word(),
            system.as_str(),
            self.board.running.as_str(),
            &wait,
            &generation,
        ];
        let begun = self.root(Link::Shared, script::BEGIN, &arguments).await;
        let host = self.connection.host();
        // A connection that failed meanwhile does not say whether it began.
        let mut unknown = None;
        match begun {
            Ok(said) => begun_well(&said, host)?,
            Err(failure) => unknown = Some(failure),
        }
        let limit = MAX_ACTIVATION * 2 + MAX_WAIT;
        let end = Instant::now() + limit;
        let known_as = self.connection.known_as().await;
        let links = links(known_as.as_deref(), moved);
        let mut links = links.iter().cycle().peekable();
        loop {
            let link = links.peek().map_or(Link::New, |link| **link);
            let arguments = [system.as_str()];
            let attempt = self.root(link, script::CONFIRM, &arguments);
            if let Ok(said) = self.cancel.race(attempt).await? {
                match ended(&said, system, mode, &self.board.boot_id, host) {
                    Ok(Some(outcome)) => return Ok(outcome),
                    Ok(None) => {}
                    Err(failure) => return Err(unknown.unwrap_or(failure)),
                }
                notice(script::fact(&said, "state").unwrap_or_default());
            } else {
                links.next();
                notice("does not answer");
            }
            if Instant::now() > end {
                let failure = Failure::environment(format!("{host} does not answer"));
                let returned = "it has returned to its old system by itself, or starts it when it is switched off and on";
                return Err(if mode == Mode::Boot {
                    failure
                } else {
                    failure.hint(returned)
                });
            }
            self.cancel.race(tokio::time::sleep(PAUSE)).await?;
        }
    }

    /// How the files of the machine's firmware partition would be replaced; `None` if it has no such partition.
    pub async fn compare_firmware(
        &self,
        firmware: &Firmware,
    ) -> Result<Option<FirmwareChange>, Failure> {
        let said = self.firmware(&firmware.to_look()).await?;
        Ok(firmware.compare(&said))
    }

    /// Replaces them; the machine has the directory of `firmware` in its store. If this is interrupted, each group is old or new.
    pub async fn replace_firmware(
        &self,
        firmware: &Firmware,
        change: &FirmwareChange,
    ) -> Result<(), Failure> {
        let said = self.firmware(&firmware.to_put(change)).await?;
        let host = self.connection.host();
        let failed = || Failure::environment(format!("{host} did not replace all of its firmware"));
        script::fact(&said, "end").map(|_| ()).ok_or_else(failed)
    }

    async fn firmware(&self, words: &[String]) -> Result<String, Failure> {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let said = self.root(Link::Shared, script::FIRMWARE, &words);
        self.cancel.race(said).await?
    }

    /// Restarts the machine, and waits until it lets in again: what it is like then.
    pub async fn restart(&self, notice: impl Fn(&str)) -> Result<Board, Failure> {
        self.root(Link::Shared, script::RESTART, &[]).await?;
        let host = self.connection.host();
        let end = Instant::now() + MAX_RESTART;
        while Instant::now() < end {
            self.cancel.race(tokio::time::sleep(PAUSE)).await?;
            let look = self.connection.script(Link::New, script::LOOK, &[], None);
            match self.cancel.race(look).await? {
                // What answers first may be the initial RAM disk.
                Ok(said) => match Board::parse(&said, host.as_str()) {
                    Ok(board) if board.boot_id != self.board.boot_id => return Ok(board),
                    Ok(_) => notice("stops"),
                    Err(_) => notice("starts"),
                },
                Err(_) => notice("does not answer yet"),
            }
        }
        let text = format!(
            "{host} does not answer {} minutes after its restart",
            MAX_RESTART.as_secs() / 60
        );
        Err(Failure::environment(text).hint("connect a screen and choose the older system in the boot menu, if it has one: sdbuild cannot do that from here"))
    }

    /// Removes the generations `numbers`, and what only they need: what the machine says of it.
    pub async fn collect(&self, numbers: &[u32]) -> Result<String, Failure> {
        let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
        let said = self.root(Link::Shared, script::COLLECT, &numbers);
        let said = self.cancel.race(said).await??;
        Ok(values(&said, "freed").concat())
    }

    async fn root(
        &self,
        link: Link<'_>,
        script: &str,
        arguments: &[&str],
    ) -> Result<String, Failure> {
        self.connection
            .script(link, script, arguments, Some(self.elevation))
            .await
    }
}

/// New connections to a machine, which are tried in turn: also to the addresses `moved`, if `ssh` knows its host key.
fn links<'a>(known_as: Option<&'a str>, moved: &'a [String]) -> Vec<Link<'a>> {
    let elsewhere = known_as.into_iter().flat_map(|known_as| {
        let moved = moved.iter();
        moved.map(move |address| Link::Moved(known_as, address))
    });
    iter::once(Link::New).chain(elsewhere).collect()
}

/// How the change to `system` of `host`, which was started with `boot_id` before, ended, by what `confirm.sh` said; `None` if it has
/// not.
fn ended(
    said: &str,
    system: &StorePath,
    mode: Mode,
    boot_id: &str,
    host: &Host,
) -> Result<Option<Outcome>, Failure> {
    let text = |key| script::fact(said, key).unwrap_or_default().to_owned();
    let (state, running, next) = (text("state"), text("running"), text("next"));
    let returned = |why: &str, is_whole| {
        let mut log = values(said, "log");
        log.drain(..log.len().saturating_sub(MAX_LINES));
        Some(Outcome::Returned(Returned {
            why: why.to_owned(),
            is_whole,
            failed: values(said, "failed"),
            log,
        }))
    };
    let is_new = match mode {
        Mode::Switch => running == system.as_str() && next == running,
        Mode::Test => running == system.as_str(),
        Mode::Boot => next == system.as_str(),
    };
    let (word, reason) = state.split_once(' ').unwrap_or((&state, ""));
    Ok(match word {
        "done" => Some(Outcome::Confirmed),
        "returned" => returned(&explained(reason), true),
        "broken" => returned(&explained(reason), false),
        // Confirmed, and the answer was lost.
        "none" if is_new => Some(Outcome::Confirmed),
        "none" if text("boot-id") != boot_id => {
            returned("it was restarted before the new system was confirmed", true)
        }
        "none" => {
            let text = format!(
                "{host} has lost the deployment: it runs {running}, and starts {next} next"
            );
            return Err(Failure::environment(text).hint("run the same command again"));
        }
        _ => None,
    })
}

/// Fails if `begin.sh` did not start the change of `host`.
fn begun_well(said: &str, host: &Host) -> Result<(), Failure> {
    if script::fact(said, "lost").is_some() {
        let text = format!("{host} has lost the lock of this deployment: it was not changed");
        return Err(Failure::environment(text).hint("run the same command again"));
    }
    if let Some(state) = script::fact(said, "busy") {
        let text = format!("another deployment to {host} has not ended: it is {state}");
        let hint = "wait until it is confirmed, or has returned by itself";
        return Err(Failure::usage(text).hint(hint));
    }
    if let Some(running) = script::fact(said, "changed") {
        let text = format!("{host} has another system since it was looked at: {running}");
        return Err(Failure::environment(text).hint("run the same command again"));
    }
    let is_started = script::fact(said, "started").is_some();
    let failed = || Failure::environment(format!("{host} did not begin the change"));
    is_started.then_some(()).ok_or_else(failed)
}

/// A reason of `job.sh` for users.
fn explained(reason: &str) -> String {
    match reason.split_once(' ').unwrap_or((reason, "")) {
        ("unconfirmed", _) => "no new connection confirmed the new system in time".to_owned(),
        ("activation", "124") => "the activation of the new system did not end".to_owned(),
        ("activation", status) => format!("the activation of the new system failed ({status})"),
        ("installation", status) => {
            format!("the new system could not be made the one that starts ({status})")
        }
        _ => "the new system was not confirmed".to_owned(),
    }
}

/// The values of `key`, as far as they can be shown.
fn values(said: &str, key: &str) -> Vec<String> {
    let values = script::facts(said).filter(|(name, _)| *name == key);
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect();
    values.map(|(_, value)| plain(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::fixture::path;

    /// How a switch to `new` has ended when the machine, which was started with the ID `before`, says this.
    fn seen(state: &str, boot_id: &str, (running, next): (&str, &str), mode: Mode) -> String {
        let system = |name: &str| path(if name == "new" { '2' } else { '1' }, name);
        let (running, next) = (system(running), system(next));
        let said = format!(
            "sdbuild: boot-id {boot_id}\nsdbuild: running {running}\nsdbuild: next {next}\nsdbuild: state {state}\nsdbuild: failed x\n"
        );
        let host: Host = "pi".parse().unwrap();
        match ended(&said, &system("new"), mode, "before", &host) {
            Ok(None) => "goes on".to_owned(),
            Ok(Some(Outcome::Confirmed)) => "confirmed".to_owned(),
            Ok(Some(Outcome::Returned(returned))) => {
                assert_eq!(returned.failed, ["x"]);
                let broken = if returned.is_whole { "" } else { "broken: " };
                format!("{broken}{}", returned.why)
            }
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn a_change_has_ended_when_the_machine_says_it() {
        let (old, new) = (("old", "old"), ("new", "new"));
        for (state, systems, expected) in [
            ("activating", old, "goes on"),
            ("waiting", ("new", "old"), "goes on"),
            ("done", new, "confirmed"),
            (
                "returned unconfirmed",
                old,
                "no new connection confirmed the new system in time",
            ),
            (
                "returned activation 4",
                old,
                "the activation of the new system failed (4)",
            ),
            (
                "returned activation 124",
                old,
                "the activation of the new system did not end",
            ),
            (
                "broken installation 1",
                old,
                "broken: the new system could not be made the one that starts (1)",
            ),
        ] {
            assert_eq!(seen(state, "before", systems, Mode::Switch), expected);
        }
        let restarted = "it was restarted before the new system was confirmed";
        for (systems, mode, expected) in [
            (old, Mode::Switch, restarted),
            (new, Mode::Switch, "confirmed"),
            (old, Mode::Test, restarted),
            (("old", "new"), Mode::Boot, "confirmed"),
            (old, Mode::Boot, restarted),
        ] {
            assert_eq!(
                seen("none", "after", systems, mode),
                expected,
                "{systems:?}"
            );
        }
        let lost = seen("none", "before", old, Mode::Switch);
        assert!(lost.contains("has lost the deployment"), "{lost}");
    }

    #[test]
    fn a_machine_that_is_busy_is_not_changed() {
        let host: Host = "pi".parse().unwrap();
        begun_well("sdbuild: started\n", &host).unwrap();
        let busy = begun_well("sdbuild: busy waiting\n", &host).unwrap_err();
        assert!(busy.to_string().contains("it is waiting"), "{busy}");
        for said in ["", "sdbuild: lost\n"] {
            begun_well(said, &host).unwrap_err();
        }
    }
}
