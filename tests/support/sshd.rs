//! An SSH server that stands for another machine: it runs as the account, which may log in there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::nix_machine::make_keys;
use super::{Account, root, run, write_program};

/// The directory in which `scripts/setup --test` unpacks packages that it does not install.
pub const TOOLS: &str = "target/tools";

/// A running server, which is stopped when the value is dropped.
pub struct Sshd {
    dir: PathBuf,
    child: Child,
    port: u16,
}

impl Sshd {
    /// Starts a server that accepts only the account's key.
    pub fn start(account: &Account) -> Self {
        let dir = account.at("sshd");
        // Not the link that stands for the directory in a second checkout.
        run(Command::new("cp").args(["-aHT"]).args([&root().join(TOOLS), &dir]))
            .assert_exit_code(0);
        let port = super::free_port();
        make_keys(&dir, &["host", "key"]);
        write_configuration(&dir, account, port);
        account.chown(&dir);
        let machine = std::env::consts::ARCH;
        let libraries = format!(
            "LD_LIBRARY_PATH={0}/lib/{machine}-linux-gnu:{0}/usr/lib/{machine}-linux-gnu",
            dir.display()
        );
        let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let child = account
            .command(&[
                "env",
                &libraries,
                &at("usr/sbin/sshd"),
                "-D",
                "-e",
                "-f",
                &at("sshd_config"),
            ])
            .stdin(Stdio::null())
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let sshd = Self { dir, child, port };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "{}", sshd.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        sshd
    }

    /// The address of the engine behind it for `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("ssh://other-machine:{}", self.port)
    }

    /// A directory with an `ssh` that uses our client configuration: the real one reads the configuration from the
    /// home directory in the user database, which the account does not have.
    pub fn programs(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// The server's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap()
    }

    /// Kills the server processes of all connections, as if the network were gone.
    pub fn cut(&self) {
        // All are found first: a process whose parent was killed is not a descendant any more, and would keep its
        // connection.
        let sessions = self.sessions();
        assert!(!sessions.is_empty(), "nobody is connected\n{}", self.log());
        for pid in sessions {
            // It may have ended with another one.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }

    fn sessions(&self) -> Vec<i32> {
        let is_session = |pid: &i32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words);
            // From version 9.8 its sessions are called `sshd-session`.
            words.starts_with("sshd") && words.contains(": sdbuild-tests") && self.descends(*pid)
        };
        let names = fs::read_dir("/proc").unwrap().flatten();
        let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(is_session).collect()
    }

    fn descends(&self, pid: i32) -> bool {
        let parent = |pid: i32| -> Option<i32> {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            text.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
        };
        let mut at = Some(pid);
        while let Some(pid) = at {
            if u32::try_from(pid) == Ok(self.child.id()) {
                return true;
            }
            at = parent(pid).filter(|parent| *parent > 1);
        }
        false
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap_or(());
        self.child.wait().unwrap();
    }
}

fn write_configuration(dir: &Path, account: &Account, port: u16) {
    let shown = dir.display();
    let session = dir.join("usr/lib/openssh/sshd-session");
    // From version 9.8 this is a separate program.
    let session = if session.exists() {
        let auth = session.with_file_name("sshd-auth");
        let [session, auth] = [session, auth].map(|path| path.display().to_string());
        format!("SshdSessionPath {session}\nSshdAuthPath {auth}\n")
    } else {
        String::new()
    };
    let server = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/key.pub\n\
         PidFile none\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         SetEnv XDG_RUNTIME_DIR={}\n{session}",
        account.at("run").display()
    );
    let known = fs::read_to_string(dir.join("host.pub")).unwrap();
    fs::write(dir.join("known"), format!("[127.0.0.1]:{port} {known}")).unwrap();
    let client = format!(
        "Host other-machine\n  HostName 127.0.0.1\n  User sdbuild-tests\n  IdentityFile {shown}/key\n  \
         IdentitiesOnly yes\n  UserKnownHostsFile {shown}/known\n  StrictHostKeyChecking yes\n  \
         LocalForward 1 localhost:1\n"
    );
    fs::write(dir.join("sshd_config"), server).unwrap();
    fs::write(dir.join("ssh_config"), client).unwrap();
    fs::create_dir(dir.join("bin")).unwrap();
    let program = dir.join("bin/ssh");
    write_program(&program, format!("#!/bin/sh\nexec /usr/bin/ssh -F {shown}/ssh_config \"$@\"\n"));
}
