//! What a build would do, from Nix's own forecast. Pure.

use std::sync::{Arc, Mutex, PoisonError};

use super::causes::{Changes, Miss};
use super::store_path::is_derivation;
use sdbuild_core::counted::counted;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_core::nix_event::NixEvent;

/// What Nix would fetch and build for a derivation, given the store and the binary caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// The derivation of the image.
    pub derivation: String,
    /// Which image that is, and who chose it.
    pub image: Option<ImageChoice>,
    /// Forecast of downloads.
    pub fetch: FetchForecast,
    /// Derivations to build.
    pub build: u64,
    /// Their store paths, as Nix names them: what depends on others behind those.
    pub derivations: Vec<String>,
    /// How many of them are built under emulation.
    pub emulate: u64,
    /// What each binary cache answered, in the order in which they are asked.
    pub caches: Vec<CacheAnswer>,
    /// Why so much is built, if it is much, the widest cause first.
    pub misses: Vec<Miss>,
    /// What would be built and fetched without the causes that concern everything, if that is known.
    pub without: Option<Without>,
    /// The most memory that the evaluator used, in bytes; `None` if the evaluation was remembered.
    pub evaluator_memory: Option<u64>,
}

/// What a binary cache answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheAnswer {
    /// Its address.
    pub url: String,
    /// How many of the paths to fetch it has; `None` if it did not answer.
    pub paths: Option<u64>,
}

/// How much another configuration would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Without {
    /// Derivations to build.
    pub build: u64,
    /// Paths to fetch.
    pub fetch: u64,
}

/// What Nix would fetch from binary caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchForecast {
    /// Number of store paths.
    pub paths: u64,
    /// Bytes to download.
    pub download: u64,
    /// Bytes of the unpacked paths.
    pub unpacked: u64,
}

impl Forecast {
    /// The forecast as lines: a label and a text. Of the derivations to build a few are named, or with `all` each.
    pub fn describe(&self, all: bool) -> Vec<(&'static str, String)> {
        let FetchForecast {
            paths,
            download,
            unpacked,
        } = self.fetch;
        let fetch = match paths {
            0 => "nothing".to_owned(),
            n => {
                let [download, unpacked] = [download, unpacked].map(human_bytes);
                let paths = counted(n, "path", "paths");
                format!("{paths}, {download} ({unpacked} unpacked)")
            }
        };
        let build = match (self.build, self.emulate) {
            (0, _) => "nothing: the store has it".to_owned(),
            (n, 0) => counted(n, "derivation", "derivations"),
            (1, _) => "1 derivation, under emulation".to_owned(),
            (n, emulated) => format!("{n} derivations, {emulated} of them under emulation"),
        };
        let memory = self.evaluator_memory.map(|bytes| {
            let text = format!("{} of memory", human_bytes(bytes));
            ("evaluation", text)
        });
        let lines = [("Nix fetches", fetch)].into_iter();
        let lines = lines.chain(self.answers()).chain([("Nix builds", build)]);
        let lines = lines.chain(self.reasons());
        let labels = std::iter::once("namely").chain(std::iter::repeat(""));
        let names = labels.zip(self.names(all));
        let derivation = ("derivation", self.derivation.clone());
        let lines = lines.chain(names).chain([derivation]);
        lines.chain(memory).collect()
    }

    /// What each binary cache has.
    fn answers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let silent = self.caches.iter().all(|cache| cache.paths.is_none());
        let none = (silent && !self.caches.is_empty()).then(|| {
            let urls = self.caches.iter().map(|cache| cache.url.as_str());
            let urls = urls.collect::<Vec<_>>().join(", ");
            (
                "caches",
                format!("no binary cache answered, so that everything is built here: {urls}"),
            )
        });
        let each = self.caches.iter().filter(move |_| !silent).map(|cache| {
            let text = match cache.paths {
                Some(paths) => format!("{} has {paths} of them", cache.url),
                None => format!("{} did not answer", cache.url),
            };
            ("caches", text)
        });
        none.into_iter().chain(each)
    }

    /// Why much is built, and how much it would be otherwise.
    fn reasons(&self) -> Vec<(&'static str, String)> {
        let answered = self.caches.iter().any(|cache| cache.paths.is_some());
        if !answered && !self.caches.is_empty() {
            return Vec::new();
        }
        // Without a cache, what takes more than it would otherwise is a cause nevertheless.
        let misses = self.misses.iter();
        let misses = misses.filter(|miss| answered || miss.is_of_everything());
        let labels = std::iter::once("because").chain(std::iter::repeat(""));
        let misses = labels.zip(misses.map(Miss::describe));
        let without = self.without.map(|Without { build, fetch }| {
            let build = counted(build, "derivation is built", "derivations are built");
            let fetch = counted(fetch, "path is fetched", "paths are fetched");
            ("without that", format!("{build} and {fetch}"))
        });
        misses.chain(without).collect()
    }

    /// The same with what the configuration changes, and what it would take without that. A cause of everything without which as much
    /// is built is none.
    #[must_use]
    pub fn explained(mut self, changes: Option<&Changes>, without: Option<Without>) -> Self {
        let Some(changes) = changes else { return self };
        let misses = changes.causes(&self.derivations);
        let is_wide = misses.iter().any(Miss::is_of_everything);
        let is_less = without.is_none_or(|without| without.build < self.build);
        self.without = without.filter(|_| is_wide && is_less);
        let is_true = |miss: &Miss| is_less || !miss.is_of_everything();
        self.misses = misses.into_iter().filter(is_true).collect();
        self
    }

    /// The names of the derivations to build, the image first: three and how many more in one line, or `all`, each in a line.
    fn names(&self, all: bool) -> Vec<String> {
        /// Names if not all are asked for.
        const FEW: usize = 3;
        let names = self.derivations.iter().rev().map(|path| name_of(path));
        if all {
            return names.map(str::to_owned).collect();
        }
        let few = names.take(FEW).collect::<Vec<_>>().join(", ");
        match self.derivations.len().saturating_sub(FEW) {
            _ if few.is_empty() => Vec::new(),
            0 => vec![few],
            more => vec![format!("{few} and {more} more (-v names all)")],
        }
    }

    /// Stores the derivation that `event` names in the list below the number of derivations, which is a message like any other.
    fn note_name(&mut self, event: &NixEvent) {
        let NixEvent::Message { text, .. } = event else {
            return;
        };
        let is_missing = u64::try_from(self.derivations.len()).is_ok_and(|n| n < self.build);
        let path = text.strip_prefix("  ").filter(|path| is_derivation(path));
        self.derivations
            .extend(path.filter(|_| is_missing).map(str::to_owned));
    }

    /// Stores the event if it belongs to a forecast, and returns whether it does.
    fn note(&mut self, event: &NixEvent) -> bool {
        if let NixEvent::WillBuild { derivations } = *event {
            self.build = derivations;
            self.derivations.clear();
        } else if let NixEvent::WillEmulate { derivations } = *event {
            self.emulate = derivations;
        } else if let NixEvent::WillFetch {
            paths,
            download,
            unpacked,
        } = *event
        {
            self.fetch = FetchForecast {
                paths,
                download,
                unpacked,
            };
        } else {
            return false;
        }
        true
    }
}

/// The name of the derivation at the store path `path`, without its hash and `.drv`.
fn name_of(path: &str) -> &str {
    let name = path.strip_suffix(".drv").unwrap_or(path);
    name.split_once('-').map_or(name, |(_, name)| name)
}

/// Collects a forecast from events. They are not passed on: the forecast is the command's result.
#[derive(Clone, Debug, Default)]
pub struct Collector(Arc<Mutex<Forecast>>);

impl Collector {
    /// Events that are passed on to `events`, except those that are collected.
    pub fn intercept(&self, events: &Events) -> Events {
        let (events, forecast) = (events.clone(), Arc::clone(&self.0));
        Events::new(move |event| {
            let mut forecast = forecast.lock().unwrap_or_else(PoisonError::into_inner);
            let stored = matches!(&event, Event::Nix(event) if forecast.note(event));
            if let Event::Nix(event) = &event {
                forecast.note_name(event);
            }
            drop(forecast);
            if !stored {
                events.emit(event);
            }
        })
    }

    /// The forecast for the derivation in `lines`, the builder's output. A build failure unless that is one derivation.
    pub fn finish(self, lines: &[String]) -> Result<Forecast, Failure> {
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
                Failure::message(Class::Build, "Nix printed no derivation to build")
                    .hint("the attribute must be a single derivation"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecast_events_are_collected_not_passed_on() {
        let received = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&received);
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
        events.warn("other");
        assert_eq!(*received.lock().unwrap(), [Event::Warning("other".into())]);
        let derivation = format!("/nix/store/{}-image.drv", "a".repeat(32));
        let mut forecast = collector.finish(&[derivation]).unwrap();
        forecast.evaluator_memory = Some(812_345_678);
        let described = |forecast: &Forecast| {
            let lines = forecast.describe(false).into_iter();
            lines
                .map(|(label, text)| format!("{label}: {text}"))
                .collect::<Vec<_>>()
        };
        let lines = described(&forecast);
        let expected = [
            "Nix fetches: 3 paths, 2.0 MB (5.0 MB unpacked)",
            "Nix builds: 52 derivations, 15 of them under emulation",
        ];
        assert_eq!(lines[..2], expected);
        assert_eq!(lines.last().unwrap(), "evaluation: 812 MB of memory");
        let nothing = described(&Forecast::default());
        assert_eq!(
            nothing[..2],
            [
                "Nix fetches: nothing",
                "Nix builds: nothing: the store has it"
            ]
        );
    }

    #[test]
    fn causes_have_both_counts_and_each_cache_its_answer() {
        let package = format!("/nix/store/{}-jemalloc.drv", "a".repeat(32));
        let json = format!(
            r#"{{"cross":null,"tuned":false,"packages":[{{"name":"jemalloc","file":"pi.nix","line":3,"derivation":"{package}"}}],
               "kernel":null,"followers":[],"nixpkgs":"26.11pre"}}"#
        );
        let changes: Changes = sdbuild_core::untrusted::json(&json).unwrap();
        let forecast = |paths| Forecast {
            build: 331,
            derivations: vec![package.clone()],
            caches: vec![CacheAnswer {
                url: "https://c".into(),
                paths,
            }],
            ..Forecast::default()
        };
        let lines = |forecast: Forecast, without: Option<u64>| {
            let without = without.map(|build| Without { build, fetch: 458 });
            let lines = forecast.explained(Some(&changes), without).describe(false);
            let labels = ["caches", "because", "without that"];
            let of = |label| {
                lines
                    .iter()
                    .find(|line| line.0 == label)
                    .map(|line| line.1.clone())
            };
            labels.map(|label| of(label).unwrap_or_default())
        };
        let [caches, because, without] = lines(forecast(Some(458)), Some(271));
        assert_eq!(caches, "https://c has 458 of them");
        assert!(
            because.starts_with("an overlay changes jemalloc (pi.nix:3)"),
            "{because}"
        );
        assert_eq!(
            without,
            "271 derivations are built and 458 paths are fetched"
        );
        // As much is built without it.
        let [_, because, without] = lines(forecast(Some(458)), Some(331));
        assert_eq!([because, without], ["", ""]);
        let [caches, because, _] = lines(forecast(None), None);
        assert!(caches.starts_with("no binary cache answered"), "{caches}");
        assert_eq!(because, "");
    }

    #[test]
    fn a_few_derivations_are_named_the_image_first() {
        let collector = Collector::default();
        let events = collector.intercept(&Events::new(|_| ()));
        let path = |name: &str| format!("/nix/store/{}-{name}.drv", "a".repeat(32));
        let message = |text: String| Event::Nix(NixEvent::Message { level: 3, text });
        events.emit(message(format!("  {}", path("of-an-import"))));
        events.emit(Event::Nix(NixEvent::WillBuild { derivations: 4 }));
        for name in ["linux-6.12", "initrd", "system", "pi.img"] {
            events.emit(message(format!("  {}", path(name))));
        }
        events.emit(message(format!("  {}", path("something-else"))));
        let forecast = collector.finish(&[path("pi.img")]).unwrap();
        assert_eq!(forecast.derivations.len(), 4);
        let named = |all| {
            let lines = forecast.describe(all);
            let is_name = |line: &(&str, String)| ["namely", ""].contains(&line.0);
            lines.into_iter().filter(is_name).collect::<Vec<_>>()
        };
        let few = "pi.img, system, initrd and 1 more (-v names all)";
        assert_eq!(named(false), [("namely", few.to_owned())]);
        let all = [
            ("namely", "pi.img"),
            ("", "system"),
            ("", "initrd"),
            ("", "linux-6.12"),
        ];
        assert_eq!(
            named(true),
            all.map(|(label, name)| (label, name.to_owned()))
        );
        assert_eq!(Forecast::default().names(true), [""; 0]);
    }

    #[test]
    fn the_output_must_be_one_derivation() {
        let finish = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            Collector::default().finish(&lines)
        };
        let derivation = format!("/nix/store/{}-image.drv", "a".repeat(32));
        assert!(finish(&[&derivation]).is_ok());
        assert!(finish(&[]).is_err() && finish(&[&derivation, &derivation]).is_err());
        assert!(finish(&["/nix/store/x"]).is_err());
    }
}
