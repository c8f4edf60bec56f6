//! Runs with `--emulation private`: at no moment is one of their handlers in the host's table, and they make no
//! registrar.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::Signal;

use super::fault_kinds::{FAULT_KINDS, Fault, FaultKind};
use super::live_run::LiveRun;

/// Whether run `seed` uses private emulation: a quarter of the runs for which the way of emulation makes no difference, and
/// half of those that kill something.
pub fn is_drawn(kind: &FaultKind, seed: u64) -> bool {
    let (round, place) = (seed / FAULT_KINDS.len() as u64, seed % FAULT_KINDS.len() as u64);
    match kind.fault {
        Fault::PrivateKill => true,
        // These faults need a registrar, or its heartbeat.
        Fault::Registrar(_) | Fault::DoubleKill { .. } | Fault::HandlerRemoved | Fault::Stop => {
            false
        }
        Fault::Signal(Signal::SIGKILL) | Fault::Builder(_) | Fault::Engine(_) => {
            (round + place).is_multiple_of(2)
        }
        _ => (round + place).is_multiple_of(4),
    }
}

/// What the private run `live` made although it must not.
pub fn violations(live: &LiveRun, registrars: &Registrars) -> Vec<String> {
    let handlers = live.handlers().into_iter();
    let handlers = handlers.map(|name| format!("handler {name} was in the host's table"));
    let ids = live.runs();
    let made = registrars.0.lock().unwrap();
    let names = made.iter();
    let names = names.filter(|name| ids.iter().any(|id| name.ends_with(id.as_str())));
    handlers.chain(names.map(|name| format!("{name} was made"))).collect()
}

/// Records the names of all registrars that the machine's engine creates while the value lives.
pub struct Registrars(Arc<Mutex<BTreeSet<String>>>, Child, Option<JoinHandle<()>>);

impl Registrars {
    pub fn watch() -> Self {
        let mut events = Command::new("docker")
            .args(["events", "--filter", "type=container"])
            .args(["--filter", "event=create"])
            .args(["--filter", "label=dev.sdbuild.role=registrar"])
            .args(["--format", "{{.Actor.Attributes.name}}"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(events.stdout.take().unwrap()).lines();
        let names = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&names);
        let listening = std::thread::spawn(move || {
            for name in lines.map_while(Result::ok) {
                seen.lock().unwrap().insert(name);
            }
        });
        Self(names, events, Some(listening))
    }

    /// Whether any was created: other runs create some.
    pub fn saw_any(&self) -> bool {
        !self.0.lock().unwrap().is_empty()
    }
}

impl Drop for Registrars {
    fn drop(&mut self) {
        self.1.kill().unwrap();
        self.1.wait().unwrap();
        if let Some(listening) = self.2.take() {
            listening.join().unwrap();
        }
    }
}
