//! What a build would do, out of Nix's own dry run. Pure.

use std::sync::{Arc, Mutex, PoisonError};

use super::store_path::is_derivation;
use crate::common::event::{Event, Events, NixEvent};
use crate::common::failure::{Class, Failure};
use crate::common::human_bytes::human_bytes;

/// What Nix would do for a derivation, by what is in the store and in the binary caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// The derivation of the image.
    pub derivation: String,
    /// What is fetched: store paths, bytes to download, bytes in the store.
    pub fetch: (u64, u64, u64),
    /// Derivations that are built.
    pub build: u64,
    /// Those of them that programs of the image's platform build, under emulation.
    pub emulate: u64,
}

impl Forecast {
    /// In lines: what it is about, then how much of it.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let (paths, download, unpacked) = self.fetch;
        let fetch = match paths {
            0 => "nothing".to_owned(),
            1 => format!(
                "1 path, {} ({} unpacked)",
                human_bytes(download),
                human_bytes(unpacked)
            ),
            n => format!(
                "{n} paths, {} ({} unpacked)",
                human_bytes(download),
                human_bytes(unpacked)
            ),
        };
        let build = match (self.build, self.emulate) {
            (0, _) => "nothing: the store has it".to_owned(),
            (1, 0) => "1 derivation".to_owned(),
            (n, 0) => format!("{n} derivations"),
            (1, _) => "1 derivation, under emulation".to_owned(),
            (n, emulated) => format!("{n} derivations, {emulated} of them under emulation"),
        };
        vec![
            ("Nix fetches", fetch),
            ("Nix builds", build),
            ("derivation", self.derivation.clone()),
        ]
    }

    /// Takes note of an event; whether it was one of a forecast.
    fn note(&mut self, event: &NixEvent) -> bool {
        if let NixEvent::WillBuild { derivations } = *event {
            self.build = derivations;
        } else if let NixEvent::WillEmulate { derivations } = *event {
            self.emulate = derivations;
        } else if let NixEvent::WillFetch {
            paths,
            download,
            unpacked,
        } = *event
        {
            self.fetch = (paths, download, unpacked);
        } else {
            return false;
        }
        true
    }
}

/// Collects a forecast out of events, which nobody else is told of: it is the result.
#[derive(Clone, Debug, Default)]
pub(super) struct Collector(Arc<Mutex<Forecast>>);

impl Collector {
    /// `events` without what is collected.
    pub(super) fn intercept(&self, events: &Events) -> Events {
        let (events, forecast) = (events.clone(), Arc::clone(&self.0));
        Events::new(move |event| {
            let mut forecast = forecast.lock().unwrap_or_else(PoisonError::into_inner);
            let noted = matches!(&event, Event::Nix(event) if forecast.note(event));
            drop(forecast);
            if !noted {
                events.emit(event);
            }
        })
    }

    /// The forecast, for the derivation that the builder printed.
    pub(super) fn finish(self, lines: &[String]) -> Result<Forecast, Failure> {
        let mut forecast = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match lines {
            [line] if is_derivation(line) => {
                forecast.derivation.clone_from(line);
                Ok(forecast)
            }
            _ => Err(
                Failure::message(Class::Build, "Nix named no derivation that it would build")
                    .hint("the attribute must be a single derivation"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(forecast: &Forecast) -> [String; 2] {
        let lines = forecast.describe();
        [lines[0].1.clone(), lines[1].1.clone()]
    }

    #[test]
    fn a_forecast_is_counted_and_nobody_else_is_told() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let outer = Events::new(move |event| sink.lock().unwrap().push(event));
        let collector = Collector::default();
        let events = collector.intercept(&outer);
        events.emit(Event::Nix(NixEvent::WillBuild { derivations: 52 }));
        events.emit(Event::Nix(NixEvent::WillEmulate { derivations: 15 }));
        events.emit(Event::Nix(NixEvent::WillFetch {
            paths: 3,
            download: 2_000_000,
            unpacked: 5_000_000,
        }));
        events.warn("a giant");
        assert_eq!(*heard.lock().unwrap(), [Event::Warning("a giant".into())]);
        let derivation = format!("/nix/store/{}-image.drv", "a".repeat(32));
        let forecast = collector.finish(&[derivation]).unwrap();
        assert_eq!(
            told(&forecast),
            [
                "3 paths, 2.0 MB (5.0 MB unpacked)",
                "52 derivations, 15 of them under emulation"
            ]
        );
    }

    #[test]
    fn what_is_there_already_is_nothing_to_do() {
        let nothing = ["nothing", "nothing: the store has it"];
        assert_eq!(told(&Forecast::default()), nothing);
    }

    #[test]
    fn only_one_derivation_is_an_answer() {
        let of = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            Collector::default().finish(&lines)
        };
        let derivation = format!("/nix/store/{}-image.drv", "a".repeat(32));
        assert!(of(&[&derivation]).is_ok());
        assert!(of(&[]).is_err() && of(&[&derivation, &derivation]).is_err());
        assert!(of(&["/nix/store/x"]).is_err());
    }
}
