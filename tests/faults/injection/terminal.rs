//! Builds on a terminal of their own, which `script` makes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::live_run::LiveRun;
use crate::support::*;

/// A shell's exit codes for a stopped job: 128 and the number of STOP or TSTP.
const STOPPED: [i32; 2] = [128 + 19, 128 + 20];

/// A command as a line for a shell.
fn line(command: &Command) -> String {
    let program = std::iter::once(command.get_program());
    let words = program.chain(command.get_args());
    let words = words.map(|word| format!("'{}'", word.to_str().unwrap()));
    words.collect::<Vec<_>>().join(" ")
}

/// `words` run by `script` on a new terminal, whose output goes to standard error.
fn script(user: &TestUser, words: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec script -qfec \"$1\" /dev/null >&2", "sh", words])
        .env_clear()
        .envs(&user.environment)
        .env("TERM", "dumb")
        .current_dir(user.home.path())
        .stdin(Stdio::null());
    command
}

/// The file to which exit codes are written.
fn codes(user: &TestUser) -> PathBuf {
    user.state.path().join("codes")
}

/// `command` on a terminal that will close. Its standard output is the terminal too, or a file.
pub fn that_closes(user: &TestUser, command: &Command, to_a_file: bool) -> Command {
    let out = user.state.path().join("stdout");
    let out = if to_a_file { format!(" >'{}'", out.display()) } else { String::new() };
    // A trap, unlike ignoring it, is not inherited.
    let text =
        format!("trap : HUP\n{}{out}\necho $? >>'{}'\n", line(command), codes(user).display());
    let inner = user.write("terminal.sh", &text);
    script(user, &format!("sh '{}'", inner.display()))
}

/// What was written to that file.
pub fn stdout(user: &TestUser) -> String {
    fs::read_to_string(user.state.path().join("stdout")).unwrap_or_default()
}

/// A shell with job control; it writes the exit code of each line to the file.
pub fn shell(user: &TestUser) -> Command {
    let mut command = script(user, "bash --norc --noprofile -i");
    let note = format!("echo $? >>'{}'", codes(user).display());
    command.env("PROMPT_COMMAND", note).stdin(Stdio::piped());
    command
}

/// Types `command` and `exit` once there is a prompt, and waits until it runs: before that, Ctrl-Z would have no effect on it.
pub fn type_command(live: &mut LiveRun, user: &TestUser, command: &Command) {
    let limit = Duration::from_secs(30);
    wait_until(limit, "the shell's prompt", || codes(user).exists());
    live.type_keys(&format!("{}\nexit\n", line(command)));
    wait_until(limit, "the build begins", || process(live).is_some() || live.ended().is_some());
    live.reset_age();
}

/// The exit code of `sdbuild`, once it has ended.
pub fn code(user: &TestUser, in_a_shell: bool) -> Option<i32> {
    let text = fs::read_to_string(codes(user)).unwrap_or_default();
    let codes = text.lines().filter_map(|line| line.parse().ok());
    // The shell writes one before its first prompt.
    codes.skip(usize::from(in_a_shell)).find(|code| !STOPPED.contains(code))
}

/// The process of `sdbuild` below `live`, and whether it is stopped.
pub fn process(live: &LiveRun) -> Option<(i32, bool)> {
    live.processes().iter().find_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let state = rest.trim_start().chars().next()?;
        (name == "sdbuild" && state != 'Z').then(|| (pid.parse().unwrap(), state == 'T'))
    })
}

/// Closes the terminal.
pub fn close(live: &LiveRun) {
    live.signal(Signal::SIGKILL);
}
