use sdbuild_core::event::Event;
use sdbuild_core::system::Architecture;

use super::*;

/// The bytes of each report: done and in all.
type Seen = Arc<Mutex<Vec<(u64, u64)>>>;

/// A progress, and the bytes that it has reported so far: done and in all.
fn reporting() -> (Progress, Seen) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let progress = Progress::new(Events::new(move |event| {
        if let Event::Bytes {
            done,
            total: Some(total),
            ..
        } = event
        {
            sink.lock().unwrap().push((done, total));
        }
    }));
    (progress, seen)
}

#[test]
fn bytes_of_an_image_grow_to_their_total() {
    let definition = Definition::builder(Architecture::X86_64, None).unwrap();
    for reports_unpacking in [true, false] {
        let engine = EngineFacts {
            reports_unpacking,
            ..EngineFacts::sound()
        };
        let (progress, seen) = reporting();
        let image = progress.of(&definition, Some(&engine));
        image.read(1000);
        image.loading(Loading::Sent(2500), 5000);
        if reports_unpacking {
            image.loading(Loading::Unpacked(2500), 5000);
        }
        image.is_loaded();
        let seen = seen.lock().unwrap();
        assert!(seen.is_sorted(), "{seen:?}");
        assert!(
            seen.iter().all(|(_, total)| *total == seen[0].1),
            "{seen:?}"
        );
        assert_eq!(
            seen.last().map(|(done, _)| *done),
            seen.last().map(|(_, total)| *total)
        );
    }
}

#[test]
fn an_image_that_the_engine_has_is_only_read() {
    let definition = Definition::builder(Architecture::X86_64, None).unwrap();
    let (progress, seen) = reporting();
    let image = progress.of(&definition, Some(&EngineFacts::sound()));
    image.is_held();
    image.read(5000);
    image.is_loaded();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.first().unwrap().0, 0);
    assert!(seen.last().is_some_and(|(done, total)| done == total));
}
