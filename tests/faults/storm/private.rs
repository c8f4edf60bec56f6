//! Runs whose builder has a handler of its own (`--emulation private`): the host's table never holds one
//! of ours, and there is no registrar, at any moment.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::Signal;

use super::deeds::{Deed, KINDS, Kind};
use super::live::Live;

/// Whether run `seed` is one: a quarter of those for which the way of emulation makes no difference, and
/// half of those that kill.
pub fn is_drawn(kind: &Kind, seed: u64) -> bool {
    let (round, place) = (seed / KINDS.len() as u64, seed % KINDS.len() as u64);
    match kind.deed {
        Deed::PrivateKill => true,
        // There is a registrar, or the heartbeat that it hears.
        Deed::Registrar(_) | Deed::DoubleKill { .. } | Deed::HandlerRemoved | Deed::Stop => false,
        Deed::Signal(Signal::SIGKILL) | Deed::Builder(_) | Deed::Engine(_) => {
            (round + place).is_multiple_of(2)
        }
        _ => (round + place).is_multiple_of(4),
    }
}

/// What such a run, which `live` was, made nevertheless.
pub fn betrayed(live: &Live, registrars: &Registrars) -> Vec<String> {
    let handlers = live.handlers().into_iter();
    let handlers = handlers.map(|name| format!("handler {name} was in the host's table"));
    let ids = live.runs();
    let made = registrars.0.lock().unwrap();
    let names = made.iter();
    let names = names.filter(|name| ids.iter().any(|id| name.ends_with(id.as_str())));
    handlers
        .chain(names.map(|name| format!("{name} was made")))
        .collect()
}

/// The names of all registrars that the machine's engine makes, from when this value was made.
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
        let heard = Arc::clone(&names);
        let listening = std::thread::spawn(move || {
            for name in lines.map_while(Result::ok) {
                heard.lock().unwrap().insert(name);
            }
        });
        Self(names, events, Some(listening))
    }

    /// Whether any was heard of: the other runs have some.
    pub fn heard_any(&self) -> bool {
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
