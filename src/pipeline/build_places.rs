//! Counts which remote builder built how many derivations, for the summary of a build.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::common::remote_builder::RemoteBuilder;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::nix_event::NixEvent;

/// Number of derivations built on each machine.
#[derive(Clone, Debug)]
pub(super) struct BuildPlaces {
    /// The addresses of the remote builders.
    addresses: Arc<Vec<String>>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// The builds that run, each with the number of its remote builder; `None` for this machine.
    running: HashMap<u64, Option<usize>>,
    /// Builds that ended, in the same way.
    ended: HashMap<Option<usize>, u64>,
}

impl BuildPlaces {
    /// Counts for `machines`, which may be none.
    pub(super) fn new(machines: &[RemoteBuilder]) -> Self {
        Self {
            addresses: Arc::new(machines.iter().map(RemoteBuilder::address).collect()),
            counts: Arc::default(),
        }
    }

    /// Counts in the events emitted to the result, and passes them on to `events`.
    pub(super) fn listen(&self, events: &Events) -> Events {
        let (places, events) = (self.clone(), events.clone());
        Events::new(move |event| {
            if let Event::Nix(event) = &event {
                places.count(event);
            }
            events.emit(event);
        })
    }

    fn count(&self, event: &NixEvent) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let NixEvent::BuildStarted { id, machine, .. } = event {
            // Nix names it with its parameters.
            let named = |address: &String| {
                let rest = machine.strip_prefix(address.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('?'))
            };
            counts
                .running
                .insert(*id, self.addresses.iter().position(named));
        } else if let NixEvent::Stopped { id } = event
            && let Some(place) = counts.running.remove(id)
        {
            *counts.ended.entry(place).or_default() += 1;
        }
    }

    /// How many derivations were built where; `None` without remote builders, or if nothing was built.
    pub(super) fn summary(&self) -> Option<String> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if self.addresses.is_empty() || counts.ended.is_empty() {
            return None;
        }
        let of = |place| counts.ended.get(&place).copied().unwrap_or(0);
        let remote = self.addresses.iter().enumerate();
        let remote = remote.map(|(number, address)| format!("{} on {address}", of(Some(number))));
        let here = format!("{} on the engine's machine", of(None));
        let all: Vec<_> = remote.chain([here]).collect();
        Some(format!("derivations built: {}", all.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_counted_where_they_were_built() {
        let machines = [
            "ssh-ng://a@one x",
            "ssh-ng://a@one:22 x",
            "ssh://b@two?compress=true x",
        ];
        let machines = machines.map(|line| line.parse().unwrap());
        let places = BuildPlaces::new(&machines);
        assert_eq!(places.summary(), None);
        let events = places.listen(&Events::none());
        let started = |id, machine: &str| {
            let (derivation, machine) = (String::new(), machine.to_owned());
            events.emit(Event::Nix(NixEvent::BuildStarted {
                id,
                derivation,
                machine,
            }));
        };
        started(1, "ssh-ng://a@one:22");
        started(2, "ssh://b@two?compress=true");
        started(3, "");
        started(4, "ssh-ng://a@one:22");
        for id in [1, 2, 3, 9] {
            events.emit(Event::Nix(NixEvent::Stopped { id }));
        }
        assert_eq!(
            places.summary().unwrap(),
            "derivations built: 0 on ssh-ng://a@one, 1 on ssh-ng://a@one:22, 1 on ssh://b@two, 1 on the engine's machine"
        );
        started(5, "");
        events.emit(Event::Nix(NixEvent::Stopped { id: 5 }));
        assert!(BuildPlaces::new(&[]).summary().is_none());
    }
}
