//! Runs a program on a pseudo-terminal and shows what a user would see.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

use super::wait_until;

/// The time limit of all waits.
const WAIT_LIMIT: Duration = Duration::from_mins(2);
/// The number of lines above the screen that are kept.
const HISTORY: usize = 2000;

/// A program that runs on a terminal; it is terminated when the value is dropped.
pub struct Screen {
    child: Child,
    master: Option<File>,
    slave: Option<OwnedFd>,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
    closed: Arc<AtomicBool>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Screen {
    /// Starts `command` in a session of its own on a terminal of so many columns and rows.
    pub fn start(command: &Command, (columns, rows): (u16, u16)) -> Self {
        let pty = openpty(Some(&winsize(columns, rows)), None).unwrap();
        // A child with the other side open would keep the terminal from hanging up.
        for side in [&pty.master, &pty.slave] {
            fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut session = Command::new("/usr/bin/setsid");
        session.args(["--ctty"]).arg(command.get_program());
        session.args(command.get_args()).env_clear();
        let environment = command.get_envs().filter_map(|(k, v)| Some((k, v?)));
        session.env("TERM", "xterm-256color").envs(environment);
        if let Some(dir) = command.get_current_dir() {
            session.current_dir(dir);
        }
        session.stdin(side()).stdout(side()).stderr(side());
        let child = session.spawn().unwrap();
        let master = File::from(pty.master);
        let seen = Arc::new(Mutex::new(Seen { parser: parser((columns, rows)), raw: Vec::new() }));
        // Nonblocking, so that a read does not keep the terminal open when it is to be closed.
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let closed = Arc::new(AtomicBool::new(false));
        let reader = read(master.try_clone().unwrap(), &seen, &closed);
        Self {
            child,
            master: Some(master),
            slave: Some(pty.slave),
            seen,
            reader: Some(reader),
            closed,
        }
    }

    /// Types `keys`.
    pub fn type_keys(&mut self, keys: &str) {
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// The text on the screen.
    pub fn contents(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// Everything that was written to the terminal until the program ended. The terminal is closed.
    pub fn all(&mut self) -> Vec<u8> {
        // What was written before the end is read first.
        drop(self.slave.take());
        self.reader.take().unwrap().join().unwrap();
        self.seen.lock().unwrap().raw.clone()
    }

    /// Waits until `part` is on the screen.
    #[track_caller]
    pub fn wait_for(&self, part: &str) {
        self.wait_until(part, |screen| screen.contains(part));
    }

    /// Waits until the screen satisfies `condition`.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let start = std::time::Instant::now();
        while !condition(&self.contents()) {
            let screen = self.contents();
            assert!(start.elapsed() < WAIT_LIMIT, "`{what}` not on:\n{screen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Changes the terminal's size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut stty = Command::new("stty");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        stty.args(["cols", &columns, "rows", &rows]);
        stty.stdin(Stdio::from(self.slave.as_ref().unwrap().try_clone().unwrap()));
        assert!(stty.status().unwrap().success());
    }

    /// Whether the terminal is in raw mode.
    pub fn is_raw(&self) -> bool {
        let settings = tcgetattr(self.slave.as_ref().unwrap()).unwrap();
        !settings.local_flags.contains(LocalFlags::ICANON)
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Closes the terminal, so that the kernel sends SIGHUP to the session.
    pub fn hang_up(&mut self) {
        self.master = None;
        self.closed.store(true, Ordering::SeqCst);
        self.reader.take().unwrap().join().unwrap();
    }

    /// Waits for the program to end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(WAIT_LIMIT)
    }

    /// Waits until the program ends, which may take as long as `limit`.
    #[track_caller]
    pub fn wait_within(&mut self, limit: Duration) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        let status = std::cell::Cell::new(None);
        wait_until(limit, "the program on the terminal ends", || {
            status.set(child.borrow_mut().try_wait().unwrap());
            status.get().is_some()
        });
        status.get().unwrap()
    }

    /// Waits for the program to end, and asserts its exit code.
    #[track_caller]
    pub fn assert_exit_code(&mut self, code: i32) {
        let status = self.wait();
        let screen = self.contents();
        let signal = status.signal();
        assert_eq!(status.code(), Some(code), "signal {signal:?}\n{screen}");
    }
}

impl Drop for Screen {
    /// A test that panics must not leave its program behind.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::SIGTERM);
            self.child.wait().unwrap();
        }
    }
}

/// A terminal emulation of so many columns and rows.
fn parser((columns, rows): (u16, u16)) -> vt100::Parser {
    let size = |n| NonZero::new(n).unwrap();
    vt100::Parser::new(size(rows), size(columns), HISTORY)
}

fn winsize(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn read(mut master: File, seen: &Arc<Mutex<Seen>>, closed: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (seen, closed) = (Arc::clone(seen), Arc::clone(closed));
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while !closed.load(Ordering::SeqCst) {
            match master.read(&mut piece) {
                Ok(n @ 1..) => {
                    let mut seen = seen.lock().unwrap();
                    seen.parser.process(&piece[..n]);
                    seen.raw.extend_from_slice(&piece[..n]);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(_) | Err(_) => return,
            }
        }
    })
}
