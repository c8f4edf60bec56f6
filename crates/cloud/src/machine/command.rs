//! A program of the user's as a provider: docs/machines.md describes what it has to do.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::session::Session;
use sdbuild_core::ssh_key;
use sdbuild_core::text::{strip_control, truncate};
use sdbuild_core::timeout::timeout;
use sdbuild_engine::Endpoint;
use sdbuild_engine::ssh_machine::SshMachine;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::machine::order::{Price, RentalRequest};
use crate::machine::provider::{CreatedMachine, Extension, LogSink};

/// The exit code of a program that does not know a verb.
const UNSUPPORTED: i32 = 64;
/// Virtual machines in a cloud take some minutes.
const CREATE_LIMIT: Duration = Duration::from_mins(15);
const DESTROY_LIMIT: Duration = Duration::from_mins(3);
const SHORT_LIMIT: Duration = Duration::from_mins(1);

/// The program.
#[derive(Clone, Debug)]
pub(super) struct CommandProvider {
    program: PathBuf,
}

impl CommandProvider {
    /// The program with this absolute path.
    pub(super) fn new(program: &str) -> Self {
        Self {
            program: program.into(),
        }
    }

    async fn call(
        &self,
        order: &RentalRequest,
        words: &[&str],
        limit: Duration,
        log: LogSink<'_>,
    ) -> Result<Answer, Failure> {
        let never = CancellationToken::new();
        let program = &self.program;
        let call = Call {
            program,
            words,
            order,
            limit,
        };
        call.run(&never, log).await
    }

    /// What is wrong with what the program printed.
    fn refused(&self, verb: &str, why: String) -> Failure {
        let program = self.program.display();
        Failure::environment(why)
            .context(format!("read what {program} {verb} printed"))
            .hint("the program's standard output is its answer. Print messages to standard error")
    }
}

impl CommandProvider {
    pub(super) async fn price(&self, order: &RentalRequest) -> Result<Option<Price>, Failure> {
        let answer = self.call(order, &["price"], SHORT_LIMIT, &|_| ()).await?;
        if answer.status.code() == Some(UNSUPPORTED) {
            return Ok(None);
        }
        let text = answer.success()?;
        let words = price_of(&text).map_err(|why| self.refused("price", why))?;
        Ok(words.map(|words| Price {
            words,
            highest: None,
        }))
    }

    pub(super) async fn create(
        &self,
        order: &RentalRequest,
        stop: &CancellationToken,
        log: LogSink<'_>,
    ) -> Result<CreatedMachine, Failure> {
        let call = Call {
            program: &self.program,
            words: &["create"],
            order,
            limit: CREATE_LIMIT,
        };
        let text = call.run(stop, log).await?.success()?;
        parse(&text, &order.run).map_err(|why| self.refused("create", why))
    }

    pub(super) async fn extend(
        &self,
        order: &RentalRequest,
        made: &CreatedMachine,
        log: LogSink<'_>,
    ) -> Result<Extension, Failure> {
        let words = ["extend", &made.id];
        let answer = self.call(order, &words, SHORT_LIMIT, log).await?;
        if answer.status.code() == Some(UNSUPPORTED) {
            return Ok(Extension::Unsupported);
        }
        answer.success().map(|_| Extension::Granted)
    }

    pub(super) async fn destroy(
        &self,
        order: &RentalRequest,
        id: Option<&str>,
        log: LogSink<'_>,
    ) -> Result<(), Failure> {
        let id = id.unwrap_or(&order.run);
        let answer = self
            .call(order, &["destroy", id], DESTROY_LIMIT, log)
            .await?;
        answer.success().map(drop)
    }
}

/// The variable with the id of the rental.
pub(super) const RUN: &str = "SDBUILD_RUN";
/// Bytes of standard output that are accepted; an answer has some hundred.
const MAX_STDOUT: u64 = 64 << 10;
/// Bytes of a line of standard error; the rest counts as the next line.
const MAX_LINE: u64 = 1000;
/// The last lines of standard error that a failure shows.
const TAIL_LINES: usize = 20;
/// What a program has between TERM and KILL, for instance to end a request that it has begun.
pub(super) const PROGRAM_GRACE: Duration = Duration::from_secs(10);
/// For output that is still in a pipe when the program has ended. What it left in the background may keep the pipe open.
const AFTER_END: Duration = Duration::from_secs(1);

/// A call of a provider's program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) program: &'a Path,
    /// Arguments of the program.
    pub(super) words: &'a [&'a str],
    pub(super) order: &'a RentalRequest,
    /// Time limit of the call.
    pub(super) limit: Duration,
}

/// Exit code and output of a program.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) stdout: String,
    pub(super) status: ExitStatus,
    /// The last lines of its standard error.
    tail: Vec<String>,
    operation: String,
}

impl Answer {
    /// Standard output of a program that succeeded.
    pub(super) fn success(self) -> Result<String, Failure> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let failure = Failure::environment(format!("{} ended with {}", self.operation, self.end()));
        Err(Failure {
            log_tail: self.tail,
            ..failure
        })
    }

    fn end(&self) -> String {
        use std::os::unix::process::ExitStatusExt as _;
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".to_owned(),
        }
    }
}

impl Call<'_> {
    /// The program and its arguments, for messages.
    pub(super) fn operation(&self) -> String {
        format!("{} {}", self.program.display(), self.words.join(" "))
    }

    /// Runs the program to its end. It is ended, first by TERM, when its time is over or `stop` is cancelled; then this fails.
    pub(super) async fn run(
        &self,
        stop: &CancellationToken,
        log: LogSink<'_>,
    ) -> Result<Answer, Failure> {
        let operation = self.operation();
        let mut session =
            Session::start(self.command()).or_environment(format!("start {operation}"))?;
        let leader = session.leader();
        let (stdout, stderr) = (session.stdout(), session.stderr());
        let (mut written, mut tail) = (Vec::new(), VecDeque::new());
        let reading = async {
            tokio::join!(
                read_start(stdout, &mut written),
                read_lines(stderr, |line| {
                    tail.push_back(line.to_owned());
                    if tail.len() > TAIL_LINES {
                        tail.pop_front();
                    }
                    log(line);
                })
            )
        };
        let mut ended = Box::pin(ended(&mut session, Box::pin(reading)));
        let end = tokio::select! {
            biased;
            () = stop.cancelled() => Err("was stopped because it is no longer needed".to_owned()),
            end = timeout(self.limit, &mut ended) => end.ok_or_else(|| {
                format!("has not ended after {} s", self.limit.as_secs())
            }),
        };
        if let (Err(_), Some(leader)) = (&end, leader) {
            // It may have ended just now.
            killpg(leader, Signal::SIGTERM).ok();
            timeout(PROGRAM_GRACE, &mut ended).await;
        }
        drop(ended);
        let failed = |why: &str| Failure::environment(format!("{operation} {why}"));
        let tail: Vec<String> = tail.into();
        let status = match end {
            Ok(status) => status.or_environment(format!("wait for {operation}"))?,
            Err(why) => {
                return Err(Failure {
                    log_tail: tail,
                    ..failed(&why)
                });
            }
        };
        if written.len() as u64 > MAX_STDOUT {
            let text = format!("printed more than {MAX_STDOUT} bytes to standard output");
            return Err(failed(&text).hint("print messages to standard error"));
        }
        let stdout = String::from_utf8(written)
            .map_err(|_| failed("printed invalid UTF-8 to standard output"))?;
        Ok(Answer {
            stdout,
            status,
            tail,
            operation,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(self.words)
            .env(RUN, &self.order.run)
            .env("SDBUILD_SYSTEM", self.order.system.to_string())
            .env(
                "SDBUILD_LEASE_SECONDS",
                self.order.lease.as_secs().to_string(),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // The same directory wherever sdbuild was started: a later run may have to give the machine back.
        if let Some(dir) = self.program.parent() {
            command.current_dir(dir);
        }
        command
    }
}

/// Waits for the end of `session` while `reading` goes on.
async fn ended(
    session: &mut Session,
    mut reading: impl Future<Output = ((), ())> + Unpin,
) -> std::io::Result<ExitStatus> {
    let mut is_read = false;
    loop {
        tokio::select! {
            status = session.wait() => {
                if !is_read {
                    timeout(AFTER_END, &mut reading).await;
                }
                return status;
            }
            ((), ()) = &mut reading, if !is_read => is_read = true,
        }
    }
}

/// Reads one byte more than is accepted at most.
async fn read_start(pipe: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) {
    if let Some(pipe) = pipe {
        // The end of the program says more than an error of its pipe.
        pipe.take(MAX_STDOUT + 1).read_to_end(bytes).await.ok();
    }
}

/// Hands each line to `line`, without control characters.
async fn read_lines(pipe: Option<impl AsyncRead + Unpin>, mut line: impl FnMut(&str)) {
    let Some(pipe) = pipe else { return };
    let mut pipe = BufReader::new(pipe);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut part = (&mut pipe).take(MAX_LINE);
        if part.read_until(b'\n', &mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        line(strip_control(&String::from_utf8_lossy(&bytes)).trim_end());
    }
}

/// The keys of lines, for messages.
const KEYS: &str = "host, host-key, id";
/// Characters of a name, and of a price.
const MAX_CHARS: usize = 200;
/// Characters of a line that a message shows.
const SHOWN_CHARS: usize = 80;
/// The type of host keys that live on a hardware token, which no rented machine has.
const TOKEN: &str = "sk-";

/// The machine that `text` describes; `run` is the id of the rental. An error says what is wrong, in words.
pub(super) fn parse(text: &str, run: &str) -> Result<CreatedMachine, String> {
    let [mut host, mut host_key, mut id] = [None; 3];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.chars().any(char::is_control) {
            return Err("it has control characters".to_owned());
        }
        let shown = shortened(line);
        let (key, value) = line.split_once('=').ok_or_else(|| {
            format!("`{shown}` is not KEY=VALUE; print messages to standard error")
        })?;
        let field = match key {
            "host" => &mut host,
            "host-key" => &mut host_key,
            "id" => &mut id,
            _ => return Err(format!("`{shown}` is not one of {KEYS}")),
        };
        if field.replace(value.trim()).is_some() {
            return Err(format!(
                "`{key}` is given twice; only one machine was requested"
            ));
        }
    }
    let host = host.ok_or("it has no line host=USER@HOST")?;
    let host_key = host_key.ok_or("it has no line host-key=ssh-ed25519 AAAA…")?;
    Ok(CreatedMachine {
        machine: machine_of(host, host_key)?,
        id: id.map_or(Ok(run.to_owned()), checked_id)?,
        unreachable_hint: None,
    })
}

/// A price in words: `text`, which has one line; `None` if it is empty.
pub(super) fn price_of(text: &str) -> Result<Option<String>, String> {
    let line = text.trim();
    if line.chars().any(char::is_control) || line.chars().count() > MAX_CHARS {
        return Err(format!(
            "the price is not one line of at most {MAX_CHARS} characters"
        ));
    }
    Ok(Some(line.to_owned()).filter(|line| !line.is_empty()))
}

fn machine_of(host: &str, host_key: &str) -> Result<SshMachine, String> {
    let mut words = host_key.split_whitespace();
    let key = words.next().zip(words.next());
    let is_usable = |(kind, key): &(&str, &str)| {
        let is_known = ssh_key::KEY_TYPES.contains(kind) && !kind.starts_with(TOKEN);
        is_known && ssh_key::is_complete(kind, key)
    };
    let (kind, key) = key.filter(is_usable).ok_or_else(|| {
        let shown = shortened(host_key);
        format!("`{shown}` is not a host key: give the line of /etc/ssh/ssh_host_ed25519_key.pub")
    })?;
    let machine = SshMachine {
        place: host.to_owned(),
        host_key: format!("{kind} {key}"),
        identity: None,
    };
    match Endpoint::by_ssh(&machine) {
        Some(_) if host.len() <= MAX_CHARS => Ok(machine),
        Some(_) | None => Err(format!("`{}` is not [USER@]HOST[:PORT]", shortened(host))),
    }
}

/// An id is an argument of the program again.
fn checked_id(id: &str) -> Result<String, String> {
    let is_plain = id.chars().all(|c| c.is_ascii_graphic());
    if is_plain && !id.is_empty() && !id.starts_with('-') && id.len() <= MAX_CHARS {
        return Ok(id.to_owned());
    }
    let shown = shortened(id);
    Err(format!(
        "`{shown}` is not an ID: use at most {MAX_CHARS} visible ASCII characters, and no `-` at the start"
    ))
}

fn shortened(text: &str) -> String {
    truncate(text, SHOWN_CHARS).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::machine::record::fixture::order;

    fn program(dir: &Path, script: &str) -> PathBuf {
        let path = dir.join("rent");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn call(script: &str, limit: Duration) -> (Result<Answer, Failure>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let program = program(dir.path(), script);
        let lines = Mutex::new(Vec::new());
        let call = Call {
            program: &program,
            words: &["create", "x"],
            order: &order(dir.path(), "x"),
            limit,
        };
        let log = |line: &str| lines.lock().unwrap().push(line.to_owned());
        let answer = call.run(&CancellationToken::new(), &log).await;
        (answer, lines.into_inner().unwrap())
    }

    const CALL_LIMIT: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_program_gets_words_and_variables_and_is_heard() {
        let script = "echo \"$1 $2 $SDBUILD_RUN $SDBUILD_SYSTEM $SDBUILD_LEASE_SECONDS $#\"; \
            printf '\\033[31mred\\r\\n' >&2; [ -e rent ] && echo here >&2; read -r x; echo \"$x.\" >&2";
        let (answer, lines) = call(script, CALL_LIMIT).await;
        assert_eq!(
            answer.unwrap().success().unwrap(),
            "create x 0123456789ab aarch64-linux 3600 2\n"
        );
        assert_eq!(lines, ["red", "here", "."]);
    }

    #[tokio::test]
    async fn a_program_that_fails_shows_its_last_lines() {
        let (answer, _) = call("seq 1 30 >&2; exit 3", CALL_LIMIT).await;
        let failure = answer.unwrap().success().unwrap_err();
        let text = failure.to_string();
        assert!(text.ends_with("create x ended with exit code 3"), "{text}");
        assert_eq!(failure.log_tail.len(), TAIL_LINES);
        assert_eq!(failure.log_tail.last().map(String::as_str), Some("30"));
    }

    #[tokio::test]
    async fn a_program_is_bounded_in_time_and_output() {
        let start = Instant::now();
        let (answer, _) = call("sleep 300", Duration::from_millis(300)).await;
        let failure = answer.unwrap_err().to_string();
        assert!(failure.contains("has not ended after 0 s"), "{failure}");
        let (answer, _) = call("yes", CALL_LIMIT).await;
        let failure = answer.unwrap_err().to_string();
        assert!(failure.contains("more than 65536 bytes"), "{failure}");
        let (answer, lines) = call("head -c 5000 /dev/zero | tr '\\0' x >&2", CALL_LIMIT).await;
        answer.unwrap();
        assert!(lines.iter().all(|line| line.len() <= 1000), "{lines:?}");
        // What stays in the background does not keep it waiting.
        let (answer, _) = call("sleep 300 & echo done", CALL_LIMIT).await;
        assert_eq!(answer.unwrap().stdout, "done\n");
        assert!(start.elapsed() < CALL_LIMIT);
    }

    #[tokio::test]
    async fn what_is_not_needed_any_more_ends_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'touch ended; exit 1' TERM; touch started; sleep 300 & wait";
        let program = program(dir.path(), script);
        let call = Call {
            program: &program,
            words: &["create"],
            order: &order(dir.path(), "x"),
            limit: CALL_LIMIT,
        };
        let stop = CancellationToken::new();
        let started = dir.path().join("started");
        let cancel = async {
            while !started.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stop.cancel();
        };
        let (answer, ()) = tokio::join!(call.run(&stop, &|_| ()), cancel);
        let failure = answer.unwrap_err().to_string();
        assert!(failure.contains("no longer needed"), "{failure}");
        assert!(dir.path().join("ended").exists(), "it was asked to end");
    }
}

#[cfg(test)]
mod reply_tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    #[test]
    fn a_machine_has_a_place_a_key_and_an_id() {
        let made = |more: &str| {
            let text = format!("\n host=me@10.0.0.1:2222\r\nhost-key={KEY} root@x\n{more}");
            parse(&text, "0123456789ab")
        };
        let without = made("").unwrap();
        assert_eq!(without.machine.place, "me@10.0.0.1:2222");
        assert_eq!(without.machine.host_key, KEY);
        assert_eq!(without.id, "0123456789ab");
        assert_eq!(made("id=i-0abc").unwrap().id, "i-0abc");
        for (more, words) in [
            ("id=", "is not an ID"),
            ("id=--all", "is not an ID"),
            ("id=a b", "is not an ID"),
            ("id=\u{1b}[2J", "control characters"),
            ("host=other", "`host` is given twice"),
            ("Creating…", "is not KEY=VALUE"),
            ("port=22", "is not one of host, host-key, id"),
        ] {
            let refused = made(more).unwrap_err();
            assert!(refused.contains(words), "{more}: {refused}");
        }
    }

    #[test]
    fn hostile_places_and_keys_are_refused() {
        for host in [
            "",
            "-oProxyCommand=touch /tmp/x",
            "me@-oProxyCommand=x",
            "a b",
            "a,b",
            "$(x)",
            "me:secret@pi",
            "pi/run/docker.sock",
            "pi:99999",
        ] {
            let refused = parse(&format!("host={host}\nhost-key={KEY}"), "x").unwrap_err();
            assert!(refused.contains("is not [USER@]HOST[:PORT]"), "{refused}");
        }
        for key in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAA", "* x"] {
            let refused = parse(&format!("host=pi\nhost-key={key}"), "x").unwrap_err();
            assert!(refused.contains("is not a host key"), "{key}: {refused}");
        }
        assert!(parse("host=pi", "x").unwrap_err().contains("host-key="));
        assert!(parse("", "x").unwrap_err().contains("host="));
    }

    #[test]
    fn a_price_is_one_line() {
        assert_eq!(
            price_of("0.04 € an hour\n").unwrap().as_deref(),
            Some("0.04 € an hour")
        );
        assert_eq!(price_of("\n").unwrap(), None);
        assert!(price_of("a\nb").is_err());
        assert!(price_of(&"x".repeat(201)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_machine_or_refused_in_words(text in "(?s)(host=|host-key=|id=|[a-z@:]|\n|.){0,60}") {
            if let Err(refused) = parse(&text, "0123456789ab") {
                proptest::prop_assert!(!refused.is_empty());
            }
        }
    }
}
