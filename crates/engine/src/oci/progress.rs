//! How far the container images of a run are on their way into the engine. Of each image, what this run does with it counts: its packages
//! are unpacked, its archive is written and, unless the engine has the image, sent and unpacked there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::definition::Definition;
use crate::{EngineFacts, Loading};
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::human_bytes::human_bytes;

/// Per cent of the time that an image takes until its packages are unpacked …
const UNPACKING: u64 = 62;
/// … until its archive is written …
const WRITING: u64 = 8;
/// … until the engine has received it …
const SENDING: u64 = 10;
/// … and until the engine has unpacked it. Measured with the image of the builder, Docker and a fast disk.
const LOADING: u64 = 20;
/// The same of an engine that does not say how much it has unpacked: Podman.
const UNREPORTED_LOADING: u64 = 30;
/// How often it is estimated how much such an engine has unpacked.
const ESTIMATE_INTERVAL: Duration = Duration::from_millis(100);

/// The progress of all images that are provided at the same time.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    images: Arc<Mutex<Images>>,
    events: Events,
}

/// The images, and what was last said about them.
#[derive(Debug, Default)]
struct Images {
    works: Vec<Work>,
    told: String,
}

/// The progress of one of them.
#[derive(Clone, Debug)]
pub(super) struct ImageProgress {
    all: Progress,
    engine: &'static str,
    index: usize,
}

/// What happens while an archive is put together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packing {
    /// So many more bytes were read of the package with this index in the lock.
    Read(usize, u64),
    /// So many more bytes of its files were unpacked.
    Unpacked(usize, u64),
    /// So many more bytes of the archive were written.
    Written(u64),
}

/// Progress of assembling an image.
#[derive(Debug)]
struct Work {
    /// The bytes of the archive: an estimate until it is written.
    size: u64,
    packages: Vec<Package>,
    written: u64,
    /// Per cent of the time that sending the archive takes, and its unpacking.
    loading: (u64, u64),
    reports_unpacking: bool,
    began: Instant,
    /// How long it took until the archive was written.
    packing: Duration,
    sent: u64,
    loaded: u64,
    stage: Stage,
}

/// Progress of unpacking a package.
#[derive(Debug)]
struct Package {
    size: u64,
    /// The bytes of its pinned files; 0 if all of it is unpacked.
    pinned: u64,
    read: u64,
    unpacked: u64,
}

/// What happens with an image, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Assembling,
    Loading,
    Loaded,
}

impl Package {
    /// The bytes that it adds to the archive, about.
    fn weight(&self) -> u64 {
        // Debian's packages are about this much larger unpacked.
        if self.pinned > 0 {
            self.pinned
        } else {
            self.size * 5 / 2
        }
    }

    /// How much of its weight is done. Pinned files end the reading, wherever in the package they are: of QEMU's, one emulator is needed.
    fn done(&self) -> u64 {
        let rest_to_read = part(
            self.weight(),
            self.size.saturating_sub(self.read),
            self.size,
        );
        let rest = match self.pinned {
            0 => rest_to_read,
            pinned => part(rest_to_read, pinned.saturating_sub(self.unpacked), pinned),
        };
        self.weight() - rest
    }
}

impl Work {
    fn of(definition: &Definition, engine: Option<&EngineFacts>) -> Self {
        let lock = &definition.lock;
        let packages = lock.packages.iter().map(|pin| {
            let contents = lock.contents.iter().filter(|one| one.package == pin.name);
            Package {
                size: pin.size,
                pinned: contents.map(|one| one.size).sum(),
                read: 0,
                unpacked: 0,
            }
        });
        let packages: Vec<Package> = packages.collect();
        let loading = match engine {
            Some(engine) if engine.reports_unpacking => (SENDING, LOADING),
            Some(_) => (SENDING, UNREPORTED_LOADING),
            None => (0, 0),
        };
        let reports_unpacking = engine.is_some_and(|engine| engine.reports_unpacking);
        Self {
            size: packages.iter().map(Package::weight).sum(),
            packages,
            written: 0,
            loading,
            reports_unpacking,
            began: Instant::now(),
            packing: Duration::ZERO,
            sent: 0,
            loaded: 0,
            stage: Stage::default(),
        }
    }

    /// Estimates what the engine has unpacked in the time `since` it received the archive, if it does not report that: nearly all of it
    /// in the time that it has by what packing took, and no more.
    fn estimate_loaded(&mut self, since: Duration) {
        let (_, loading) = self.loading;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let all = part(millis(self.packing), loading, UNPACKING + WRITING);
        let took = millis(since).min(all - all / 10);
        if !self.reports_unpacking {
            self.loaded = self.loaded.max(part(self.size, took, all));
        }
    }

    /// What it weighs beside other images. The real size of the archive does not change it: what is done would grow or shrink with it.
    fn weight(&self) -> u64 {
        self.packages.iter().map(Package::weight).sum()
    }

    /// The bytes that count in all.
    fn total(&self) -> u64 {
        let (sending, loading) = self.loading;
        self.weight() * (UNPACKING + WRITING + sending + loading) / 100
    }

    /// The bytes that count as done.
    fn done(&self) -> u64 {
        let all = self.weight();
        let (sending, loading) = self.loading;
        let unpacked = self.packages.iter().map(Package::done).sum();
        let parts = [
            (UNPACKING, unpacked, all),
            (WRITING, self.written, self.size),
            (sending, self.sent, self.size),
            (loading, self.loaded, self.size),
        ];
        let done = parts.map(|(weight, done, of)| part(all * weight, done, of));
        done.iter().sum::<u64>() / 100
    }
}

/// The part of `all` that `done` is of `of`.
fn part(all: u64, done: u64, of: u64) -> u64 {
    let share = u128::from(all) * u128::from(done.min(of)) / u128::from(of.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

impl Progress {
    /// Nothing is done yet; changes go to `events`.
    pub(super) fn new(events: Events) -> Self {
        let images = Arc::default();
        Self { images, events }
    }

    /// The progress of one more image, which goes to `engine`, if to any.
    pub(super) fn of(
        &self,
        definition: &Definition,
        engine: Option<&EngineFacts>,
    ) -> ImageProgress {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.works.push(Work::of(definition, engine));
        ImageProgress {
            all: self.clone(),
            engine: engine.map_or("", EngineFacts::kind),
            index: images.works.len() - 1,
        }
    }
}

impl ImageProgress {
    /// The engine seems to have the image: it is not sent.
    pub(super) fn is_held(&self) {
        self.change(|work| work.loading = (0, 0));
    }

    /// A part of the archive is done.
    pub(super) fn packing(&self, packing: Packing) {
        self.change(|work| match packing {
            Packing::Read(package, bytes) => {
                if let Some(package) = work.packages.get_mut(package) {
                    package.read += bytes;
                }
            }
            Packing::Unpacked(package, bytes) => {
                if let Some(package) = work.packages.get_mut(package) {
                    package.unpacked += bytes;
                }
            }
            Packing::Written(bytes) => work.written += bytes,
        });
    }

    /// The archive is written, and has so many bytes.
    pub(super) fn is_packed(&self, size: u64) {
        self.change(|work| {
            (work.size, work.written) = (size, size);
            work.packing = work.began.elapsed();
            for package in &mut work.packages {
                package.read = package.size;
            }
            work.stage = Stage::Loading;
        });
    }

    /// The engine has so much of it.
    pub(super) fn loading(&self, loading: Loading) {
        self.change(|work| match loading {
            Loading::Sent(bytes) => work.sent = bytes,
            Loading::Unpacked(bytes) => (work.sent, work.loaded) = (work.size, bytes),
        });
    }

    /// Awaits `load`, and moves on meanwhile where the engine does not report how far it is.
    pub(super) async fn while_loading<T>(&self, load: impl Future<Output = T>) -> T {
        let mut load = Box::pin(load);
        let mut received = None;
        let mut interval = tokio::time::interval(ESTIMATE_INTERVAL);
        loop {
            tokio::select! {
                biased;
                loaded = &mut load => return loaded,
                _ = interval.tick() => self.change(|work| {
                    if work.sent >= work.size {
                        let received = received.get_or_insert_with(Instant::now);
                        work.estimate_loaded(received.elapsed());
                    }
                }),
            }
        }
    }

    /// The engine has it.
    pub(super) fn is_loaded(&self) {
        self.change(|work| {
            (work.sent, work.loaded) = (work.size, work.size);
            work.stage = Stage::Loaded;
        });
    }

    /// Notes a change and reports the sum. Under the lock, so that later sums are reported later.
    fn change(&self, change: impl FnOnce(&mut Work)) {
        let mut images = self
            .all
            .images
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(work) = images.works.get_mut(self.index) {
            change(work);
        }
        let total = images.works.iter().map(Work::total).sum();
        let done = images.works.iter().map(Work::done).sum();
        let events = &self.all.events;
        events.bytes(Phase::ContainerImages, done, Some(total));
        let text = match images.works.iter().map(|work| work.stage).min() {
            Some(Stage::Loaded) => {
                let size = images.works.iter().map(|work| work.size).sum();
                format!("{} from Debian packages", human_bytes(size))
            }
            Some(Stage::Loading) => format!("loading into {}", self.engine),
            Some(Stage::Assembling) | None => "assembling from Debian packages".to_owned(),
        };
        if images.told != text {
            images.told.clone_from(&text);
            events.detail(Phase::ContainerImages, text);
        }
    }
}

#[cfg(test)]
mod tests;
