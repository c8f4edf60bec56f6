//! Connects the network namespace of a process with the outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::wait_until;

/// A running slirp4netns that connects the network namespace of an engine with the outside, without changes to this
/// machine's network. It is stopped when the value is dropped.
pub struct NetworkUplink(Child);

impl NetworkUplink {
    pub fn of(engine: u32) -> Self {
        let process = PathBuf::from(format!("/proc/{engine}"));
        let network = |process: &Path| fs::read_link(process.join("ns/net")).unwrap();
        wait_until(Duration::from_secs(20), "a network of its own", || {
            network(&process) != network(Path::new("/proc/self"))
        });
        let mut command = Command::new("slirp4netns");
        command.args(["--configure", "--mtu", "65520", "--disable-host-loopback"]);
        command.arg(engine.to_string()).arg("tap0");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let way = Self(command.stderr(Stdio::null()).spawn().unwrap());
        wait_until(Duration::from_secs(20), "a way out of it", || {
            fs::read_to_string(process.join("net/route")).is_ok_and(|text| text.contains("tap0"))
        });
        way
    }
}

impl Drop for NetworkUplink {
    fn drop(&mut self) {
        // It has ended already when the namespace is gone.
        self.0.kill().unwrap_or(());
        self.0.wait().unwrap();
    }
}
