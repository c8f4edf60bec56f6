//! How far the container images of a run are on their way into the engine: bytes of all their archives, of which packing, sending
//! and unpacking each count a part.

use std::sync::{Arc, Mutex, PoisonError};

use super::definition::Definition;
use crate::common::event::{Events, Phase};
use crate::common::human_bytes::human_bytes;
use crate::engine::Loading;

/// Per cent of the time that an image takes until its archive is written …
const PACKING: u64 = 70;
/// … until the engine has received it …
const SENDING: u64 = 10;
/// … and until it has unpacked it. Measured with the image of the builder, Docker and a fast disk.
const UNPACKING: u64 = 20;

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

/// Progress of assembling an image.
#[derive(Debug)]
struct Work {
    /// The bytes of the archive: an estimate until it is written.
    size: u64,
    /// The bytes of the packages.
    packages: u64,
    read: u64,
    sent: u64,
    unpacked: u64,
    stage: Stage,
}

/// What happens with an image, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Assembling,
    Loading,
    Loaded,
}

impl Work {
    fn of(definition: &Definition) -> Self {
        let lock = &definition.lock;
        let packages = lock.packages.iter().map(|pin| pin.size).sum();
        let size = lock.packages.iter().map(|pin| {
            let contents = lock.contents.iter().filter(|one| one.package == pin.name);
            let pinned: u64 = contents.map(|one| one.size).sum();
            // Debian's packages are about this much larger unpacked.
            if pinned > 0 { pinned } else { pin.size * 5 / 2 }
        });
        Self {
            size: size.sum(),
            packages,
            read: 0,
            sent: 0,
            unpacked: 0,
            stage: Stage::default(),
        }
    }

    /// The bytes of the archive that count as done.
    fn done(&self) -> u64 {
        let part = |weight: u64, done: u64, all: u64| {
            let share = u128::from(self.size) * u128::from(weight) * u128::from(done.min(all));
            u64::try_from(share / (100 * u128::from(all.max(1)))).unwrap_or(0)
        };
        part(PACKING, self.read, self.packages)
            + part(SENDING, self.sent, self.size)
            + part(UNPACKING, self.unpacked, self.size)
    }
}

impl Progress {
    /// Nothing is done yet; changes go to `events`.
    pub(super) fn new(events: Events) -> Self {
        let images = Arc::default();
        Self { images, events }
    }

    /// The progress of one more image, which goes to the `engine` of this name.
    pub(super) fn of(&self, definition: &Definition, engine: &'static str) -> ImageProgress {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.works.push(Work::of(definition));
        ImageProgress {
            all: self.clone(),
            engine,
            index: images.works.len() - 1,
        }
    }
}

impl ImageProgress {
    /// So many more bytes of packages were unpacked.
    pub(super) fn read(&self, bytes: u64) {
        self.change(|work| work.read += bytes);
    }

    /// The archive is written, and has so many bytes.
    pub(super) fn is_packed(&self, size: u64) {
        self.change(|work| {
            (work.size, work.read) = (size, work.packages);
            work.stage = Stage::Loading;
        });
    }

    /// The engine has so much of it.
    pub(super) fn loading(&self, loading: Loading) {
        self.change(|work| match loading {
            Loading::Sent(bytes) => work.sent = bytes,
            Loading::Unpacked(bytes) => (work.sent, work.unpacked) = (work.size, bytes),
        });
    }

    /// The engine has it.
    pub(super) fn is_loaded(&self) {
        self.change(|work| {
            (work.sent, work.unpacked) = (work.size, work.size);
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
        let total = images.works.iter().map(|work| work.size).sum();
        let done = images.works.iter().map(Work::done).sum();
        let events = &self.all.events;
        events.bytes(Phase::ContainerImages, done, Some(total));
        let text = match images.works.iter().map(|work| work.stage).min() {
            Some(Stage::Loaded) => format!("{} from Debian packages", human_bytes(total)),
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
mod tests {
    use super::*;
    use crate::common::event::Event;
    use crate::common::system::Architecture;

    #[test]
    fn images_side_by_side_have_one_progress_to_the_end() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let progress = Progress::new(Events::new(move |event| {
            if let Event::Bytes {
                phase: Phase::ContainerImages,
                done,
                total,
            } = event
            {
                sink.lock().unwrap().push((done, total.unwrap()));
            }
        }));
        let registrar = Definition::registrar(Architecture::X86_64, None).unwrap();
        let builder = Definition::builder(Architecture::X86_64, None).unwrap();
        let images = [&registrar, &builder].map(|image| progress.of(image, "Docker"));
        for image in &images {
            image.read(1_000_000);
        }
        for image in &images {
            image.is_packed(50_000_000);
            image.loading(Loading::Sent(25_000_000));
            image.loading(Loading::Sent(50_000_000));
            image.loading(Loading::Unpacked(25_000_000));
            image.is_loaded();
        }
        let seen = seen.lock().unwrap();
        let (first, last) = (seen[0], *seen.last().unwrap());
        assert!(first.0 > 0 && first.0 < first.1 / 10, "{first:?}");
        assert_eq!(last, (100_000_000, 100_000_000));
        let shares = seen.iter().map(|(done, total)| done * 1000 / total);
        assert!(shares.is_sorted(), "{seen:?}");
    }

    #[test]
    fn what_happens_with_the_images_is_told() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let progress = Progress::new(Events::new(move |event| {
            if let Event::Detail(Phase::ContainerImages, text) = event {
                sink.lock().unwrap().push(text);
            }
        }));
        let registrar = Definition::registrar(Architecture::X86_64, None).unwrap();
        let images = [(); 2].map(|()| progress.of(&registrar, "Docker"));
        for image in &images {
            image.read(1_000_000);
            image.is_packed(20_000_000);
        }
        for image in &images {
            image.loading(Loading::Sent(20_000_000));
            image.is_loaded();
        }
        assert_eq!(
            *told.lock().unwrap(),
            [
                "assembling from Debian packages",
                "loading into Docker",
                "40 MB from Debian packages"
            ]
        );
    }

    #[test]
    fn the_size_of_an_image_is_estimated_well() {
        for (definition, size) in [
            (
                Definition::registrar(Architecture::X86_64, None),
                21_000_000_u64,
            ),
            (Definition::builder(Architecture::X86_64, None), 107_000_000),
        ] {
            let estimate = Work::of(&definition.unwrap()).size;
            assert!(estimate.abs_diff(size) < size / 10, "{estimate} {size}");
        }
    }
}
