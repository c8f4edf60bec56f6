use super::*;
use sdbuild_core::event::Event;
use sdbuild_core::system::Architecture;

/// Docker, or an engine that does not say how much it has unpacked.
fn engine(reports_unpacking: bool) -> EngineFacts {
    EngineFacts {
        reports_unpacking,
        ..EngineFacts::sound()
    }
}

/// A progress, and the per mille that it has reported so far.
fn reporting() -> (Progress, Arc<Mutex<Vec<u64>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let progress = Progress::new(Events::new(move |event| {
        if let Event::Bytes {
            phase: Phase::ContainerImages,
            done,
            total: Some(total),
        } = event
        {
            sink.lock().unwrap().push(done * 1000 / total);
        }
    }));
    (progress, seen)
}

/// Assembles an image as the assembler does: of a package with pinned files, which begin behind `skipped` per cent of it, the rest
/// is not read.
fn assemble(image: &ImageProgress, definition: &Definition, skipped: u64) {
    for (index, package) in Work::of(definition, None).packages.iter().enumerate() {
        let (read, unpacked) = match package.pinned {
            0 => (package.size, package.size * 3),
            pinned => (package.size * skipped / 100, pinned),
        };
        for _ in 0..100 {
            image.packing(Packing::Read(index, read / 100));
        }
        for _ in 0..100 {
            image.packing(Packing::Unpacked(index, unpacked / 100));
        }
    }
    let size = Work::of(definition, None).size * 21 / 20;
    for _ in 0..100 {
        image.packing(Packing::Written(size / 100));
    }
    image.is_packed(size);
}

fn load(image: &ImageProgress, definition: &Definition, reports_unpacking: bool) {
    let size = Work::of(definition, None).size * 21 / 20;
    for percent in 0..=100 {
        image.loading(Loading::Sent(size * percent / 100));
    }
    for percent in 0..=100 {
        if reports_unpacking {
            image.loading(Loading::Unpacked(size * percent / 100));
        } else {
            // As long as packing took, which is longer than expected.
            image.change(|work| {
                work.packing = Duration::from_secs(5);
                work.estimate_loaded(Duration::from_millis(50 * percent));
            });
        }
    }
    image.is_loaded();
}

/// The largest step, in per mille; it never goes back, and ends at the end.
fn largest_step(seen: &Mutex<Vec<u64>>) -> u64 {
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&1000));
    let steps = seen.iter().zip(seen.iter().skip(1));
    steps.map(|(before, after)| after - before).max().unwrap()
}

fn both() -> [Definition; 2] {
    [
        Definition::registrar(Architecture::X86_64, None).unwrap(),
        Definition::builder(Architecture::X86_64, None).unwrap(),
    ]
}

#[test]
fn images_side_by_side_have_one_steady_progress() {
    let definitions = both();
    for skipped in [0, 4, 90, 100] {
        for reports_unpacking in [true, false] {
            let (progress, seen) = reporting();
            let engine = engine(reports_unpacking);
            let images = definitions.each_ref().map(|definition| {
                let image = progress.of(definition, Some(&engine));
                (image, definition)
            });
            for (image, definition) in &images {
                assemble(image, definition, skipped);
            }
            for (image, definition) in &images {
                load(image, definition, reports_unpacking);
            }
            let step = largest_step(&seen);
            let limit = if reports_unpacking { 20 } else { 30 };
            assert!(step <= limit, "{skipped} {reports_unpacking} {step}");
        }
    }
}

/// Of the registrar's package, little is read: QEMU's emulator of one architecture is at its beginning.
#[test]
fn a_package_of_which_little_is_read_is_not_skipped() {
    let [registrar, _] = both();
    let (progress, seen) = reporting();
    let image = progress.of(&registrar, Some(&engine(true)));
    assemble(&image, &registrar, 4);
    load(&image, &registrar, true);
    assert!(largest_step(&seen) <= 20);
}

#[tokio::test]
async fn what_is_not_reported_is_estimated_while_it_loads() {
    let [_, builder] = both();
    let (progress, seen) = reporting();
    let image = progress.of(&builder, Some(&engine(false)));
    assemble(&image, &builder, 0);
    let size = Work::of(&builder, None).size * 21 / 20;
    image.loading(Loading::Sent(size));
    image.change(|work| work.packing = Duration::from_secs(1));
    let before = *seen.lock().unwrap().last().unwrap();
    let load = tokio::time::sleep(Duration::from_millis(350));
    image.while_loading(load).await;
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted() && *seen.last().unwrap() < 1000, "{seen:?}");
    assert!(*seen.last().unwrap() > before, "{seen:?}");
}

/// A new cache knows nothing of the images that the engine has.
#[test]
fn an_image_that_the_engine_has_ends_when_it_is_packed() {
    let [_, builder] = both();
    let (progress, seen) = reporting();
    let image = progress.of(&builder, Some(&engine(true)));
    image.is_held();
    assemble(&image, &builder, 0);
    assert_eq!(seen.lock().unwrap().last(), Some(&1000));
    image.is_loaded();
    assert!(largest_step(&seen) <= 20);
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
    let [registrar, _] = both();
    let images = [(); 2].map(|()| progress.of(&registrar, Some(&engine(true))));
    for image in &images {
        image.packing(Packing::Read(0, 1_000_000));
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
    for (definition, size) in both().iter().zip([21_000_000_u64, 107_000_000]) {
        let estimate = Work::of(definition, None).size;
        assert!(estimate.abs_diff(size) < size / 10, "{estimate} {size}");
    }
}
