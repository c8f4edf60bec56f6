//! The module itself on plain files, and what no healthy disk does.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events, Phase};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_image::flash::Target;
use sdbuild_image::flash::WriteState;
use sdbuild_image::flash::verify;
use sdbuild_image::flash::write;
use sdbuild_image::flash::{FlashSource, SharedWriteState};
use std::sync::{Arc, Mutex};

use crate::{image, map_of};

const MIB: u64 = 1 << 20;

struct Fixture {
    dir: tempfile::TempDir,
    context: Context,
    seen: Arc<Mutex<Vec<Event>>>,
    state: SharedWriteState,
}

impl Fixture {
    /// A file of random bytes as the card, and an image with the ranges `data`.
    fn new(card: u64, size: u64, data: &[(u64, usize)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        image(&dir.path().join("card"), card, 1, &[(0, usize::try_from(card).unwrap())]);
        image(&dir.path().join("a.img"), size, 2, data);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        Self {
            dir,
            context: Context {
                cancel: Cancel::new(),
                events: Events::new(move |event| sink.lock().unwrap().push(event)),
            },
            seen,
            state: SharedWriteState::new(),
        }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Writes, runs `meanwhile` on the card, and reads back.
    fn flash(&self, name: &str, meanwhile: impl FnOnce(&Path)) -> Result<(), Failure> {
        let source = FlashSource::open(&self.file(name))?;
        let mut target = Target::open(&self.file("card")).unwrap();
        let written = write(&source, &mut target, &self.context, &self.state)?;
        assert_eq!(self.state.get(), WriteState::NotVerified);
        meanwhile(&self.file("card"));
        verify(written, &target, &self.context, &self.state)
    }

    /// Whether the card holds the image.
    fn holds_image(&self) -> bool {
        let image = fs::read(self.file("a.img")).unwrap();
        fs::read(self.file("card")).unwrap()[..image.len()] == image[..]
    }
}

/// Changes one byte.
fn flip(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn card_that_reads_back_differently_is_found() {
    let data = [(0, 8192), (10 * MIB, 3 << 20)];
    // Data, zeros that were written as zeros, a hole, and the last byte.
    for at in [4097, 12 * MIB, 5 * MIB, 20 * MIB - 1] {
        let fixture = Fixture::new(24 * MIB, 20 * MIB, &data);
        let failure = fixture.flash("a.img", |card| flip(card, at)).unwrap_err();
        assert_eq!(
            (failure.class, fixture.state.get()),
            (Class::Environment, WriteState::Different),
            "{at}"
        );
        let text = fixture.state.add_to(failure, "flash").to_string();
        assert!(text.contains("does not hold the image"), "{text}");
    }
    // Bytes behind the image are not read.
    let fixture = Fixture::new(24 * MIB, 20 * MIB, &data);
    fixture.flash("a.img", |card| flip(card, 20 * MIB)).unwrap();
    assert!(fixture.holds_image());
}

#[test]
fn image_may_have_any_length() {
    for size in [1, 511, 4097, 8 * MIB - 1, 8 * MIB + 512] {
        let fixture = Fixture::new(9 * MIB, size, &[(size - 1, 1)]);
        fixture.flash("a.img", |_| ()).unwrap();
        assert!(fixture.holds_image(), "{size}");
        let behind = usize::try_from(size.next_multiple_of(4096)).unwrap();
        let whole = fs::read(fixture.file("card")).unwrap();
        assert!(whole[behind..].iter().any(|byte| *byte != 0));
    }
    // An image may fill the card to its last byte.
    let fixture = Fixture::new(MIB + 512, MIB + 512, &[(MIB, 512)]);
    fixture.flash("a.img", |_| ()).unwrap();
    assert!(fixture.holds_image());
}

#[test]
fn card_that_is_too_small_is_reported() {
    let fixture = Fixture::new(10 * MIB, 20 * MIB, &[(0, 20 << 20)]);
    let failure = fixture.flash("a.img", |_| ()).unwrap_err();
    assert_eq!((failure.class, fixture.state.get()), (Class::Usage, WriteState::HalfWritten));
    // Also when only zeros are left to write.
    let fixture = Fixture::new(10 * MIB, 20 * MIB, &[(0, 1 << 20)]);
    let failure = fixture.flash("a.img", |_| ()).unwrap_err();
    assert!(failure.to_string().contains("the disk only"), "{failure}");
    assert_eq!(fixture.state.get(), WriteState::HalfWritten);
}

#[test]
fn interrupt_before_the_first_write_changes_nothing() {
    let fixture = Fixture::new(24 * MIB, 20 * MIB, &[(0, 8192)]);
    let before = fs::read(fixture.file("card")).unwrap();
    fixture.context.cancel.received(2);
    let failure = fixture.flash("a.img", |_| ()).unwrap_err();
    assert_eq!((failure.class, fixture.state.get()), (Class::Interrupted, WriteState::Untouched));
    assert!(fs::read(fixture.file("card")).unwrap() == before);
}

#[test]
fn list_may_have_the_hash_of_the_decompressed_image() {
    use sha2::{Digest as _, Sha256};
    let fixture = Fixture::new(24 * MIB, 20 * MIB, &[(0, 8192)]);
    let raw = fs::read(fixture.file("a.img")).unwrap();
    fs::write(fixture.file("a.img.zst"), zstd::encode_all(raw.as_slice(), 1).unwrap()).unwrap();
    let list = |hash: &str| fs::write(fixture.file("a.img.zst.sha256"), format!("{hash}  a.img\n"));
    list(&hex::encode(Sha256::digest(&raw))).unwrap();
    fixture.flash("a.img.zst", |_| ()).unwrap();
    assert!(fixture.holds_image());
    list(&"ab".repeat(32)).unwrap();
    let failure = fixture.flash("a.img.zst", |_| ()).unwrap_err();
    assert!(failure.to_string().contains("have the hash that"), "{failure}");
    assert_eq!(fixture.state.get(), WriteState::HalfWritten);
}

/// Nothing was known of an xz image, and 256 GiB were written before a larger one was refused.
#[test]
fn length_is_known_before_anything_is_written() {
    let fixture = Fixture::new(MIB, 3 * MIB, &[(0, 8192)]);
    let raw = fs::read(fixture.file("a.img")).unwrap();
    let mut stream = liblzma::stream::MtStreamBuilder::new();
    let stream = stream.preset(0).block_size(MIB).encoder().unwrap();
    let mut xz = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    std::io::Write::write_all(&mut xz, &raw).unwrap();
    fs::write(fixture.file("a.img.xz"), xz.finish().unwrap()).unwrap();
    let source = FlashSource::open(&fixture.file("a.img.xz")).unwrap();
    assert_eq!(source.size, 3 * MIB);
    let huge = fs::File::create(fixture.file("huge.img")).unwrap();
    huge.set_len((256 << 30) + 1).unwrap();
    let failure = FlashSource::open(&fixture.file("huge.img")).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "the image is too large: 274877906945 bytes, 274877906944 at most"
    );
}

#[test]
fn progress_counts_bytes_of_the_image() {
    let fixture = Fixture::new(24 * MIB, 20 * MIB, &[(0, 8192), (10 * MIB, 3 << 20)]);
    let map = map_of(&fs::read(fixture.file("a.img")).unwrap());
    fs::write(fixture.file("a.img.bmap"), map.to_xml()).unwrap();
    fixture.flash("a.img", |_| ()).unwrap();
    let last = |wanted: Phase| {
        let seen = fixture.seen.lock().unwrap();
        let of = |event: &Event| {
            if let Event::Bytes { phase, done, total } = event {
                (*phase == wanted).then_some((*done, *total))
            } else {
                None
            }
        };
        seen.iter().rev().find_map(of).unwrap()
    };
    assert_eq!(last(Phase::Flash), (20 * MIB, Some(20 * MIB)));
    let (done, total) = last(Phase::Verify);
    assert_eq!(Some(done), total);
    assert!(done >= 8192 + 3 * MIB, "{done}");
}

/// Writes a short manifest of `name` that states `raw` decompressed bytes.
fn manifest(fixture: &Fixture, name: &str, raw: u64) {
    use sha2::{Digest as _, Sha256};
    let file = fs::read(fixture.file(name)).unwrap();
    let (size, hash) = (file.len(), hex::encode(Sha256::digest(&file)));
    let text = format!(
        r#"{{"version": 1, "image": {{"size": {size}, "sha256": "{hash}"}}, "raw": {{"size": {raw}, "sha256": "{hash}"}}}}"#
    );
    fs::write(fixture.file(&format!("{name}.json")), text).unwrap();
}

#[test]
fn manifest_alone_states_hash_and_size() {
    let fixture = Fixture::new(24 * MIB, 20 * MIB, &[(0, 8192)]);
    let raw = fs::read(fixture.file("a.img")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &raw).unwrap();
    let mut file = gzip.finish().unwrap();
    fs::write(fixture.file("a.img.gz"), &file).unwrap();
    assert_eq!(FlashSource::open(&fixture.file("a.img.gz")).unwrap().size, 0);
    manifest(&fixture, "a.img.gz", 20 * MIB);
    let source = FlashSource::open(&fixture.file("a.img.gz")).unwrap();
    assert_eq!(source.size, 20 * MIB);
    source.check(&fixture.context).unwrap();
    fixture.flash("a.img.gz", |_| ()).unwrap();
    assert!(fixture.holds_image());
    // One byte is changed.
    let last = file.len() - 1;
    file[last] ^= 1;
    fs::write(fixture.file("a.img.gz"), &file).unwrap();
    let source = FlashSource::open(&fixture.file("a.img.gz")).unwrap();
    let failure = source.check(&fixture.context).unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    let text = failure.to_string();
    assert!(text.contains("a.img.gz.json states"), "{text}");
    // The fields of a later version are unknown.
    fs::write(fixture.file("a.img.gz.json"), r#"{"version": 2}"#).unwrap();
    assert_eq!(FlashSource::open(&fixture.file("a.img.gz")).unwrap().size, 0);
}

#[test]
fn sidecars_of_different_images_are_refused() {
    let fixture = Fixture::new(24 * MIB, 20 * MIB, &[(0, 8192)]);
    let refused = |words: &str| {
        let failure = FlashSource::open(&fixture.file("a.img")).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        assert!(failure.to_string().contains(words), "{failure}");
    };
    manifest(&fixture, "a.img", 20 * MIB);
    FlashSource::open(&fixture.file("a.img")).unwrap();
    manifest(&fixture, "a.img", 21 * MIB);
    refused(
        "a.img.json is the manifest of another image: that has 22020096 bytes, this one 20971520",
    );
    fs::write(fixture.file("b.img"), "short").unwrap();
    manifest(&fixture, "b.img", 20 * MIB);
    fs::rename(fixture.file("b.img.json"), fixture.file("a.img.json")).unwrap();
    refused("has 20971520 bytes, but");
}

#[test]
fn pipe_instead_of_a_manifest_is_refused() {
    let fixture = Fixture::new(MIB, MIB, &[(0, 8192)]);
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&fixture.file("a.img.json"), mode).unwrap();
    let failure = FlashSource::open(&fixture.file("a.img")).unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert!(failure.to_string().contains("not a plain file"), "{failure}");
}

#[test]
fn changes_are_written_wherever_they_are_and_nothing_else_is() {
    let fixture = Fixture::new(24 * MIB, MIB, &[]);
    let mut expected = fs::read(fixture.file("card")).unwrap();
    let mut blocks = vec![(100, vec![1; 412]), (512, vec![2; 512]), (3 * 4096 - 1, vec![3; 2])];
    // More than are written at once, without a gap.
    blocks.extend((0..1500).map(|n| (8 * MIB + n * 4096, vec![4; 4096])));
    blocks.push((24 * MIB - 512, vec![5; 512]));
    for (at, block) in &blocks {
        let at = usize::try_from(*at).unwrap();
        expected[at..at + block.len()].copy_from_slice(block);
    }
    let target = Target::open(&fixture.file("card")).unwrap();
    target.change(&blocks, true).unwrap();
    assert!(fs::read(fixture.file("card")).unwrap() == expected);
    target.change(&[(0, vec![0; 5 << 20])], true).unwrap_err();
}

/// Interrupts a flash in the long hole at the end of an image; returns the bytes that were reported last.
pub(crate) fn interrupt_in_a_hole(dir: &Path, size: u64) -> u64 {
    let [card, path] = ["card", "a.img"].map(|name| dir.join(name));
    image(&card, size, 1, &[]);
    image(&path, size, 2, &[(0, 8192)]);
    let (cancel, state) = (Cancel::new(), SharedWriteState::new());
    let (stop, reported) = (cancel.clone(), Arc::new(Mutex::new(0)));
    let last = Arc::clone(&reported);
    let events = Events::new(move |event| {
        if let Event::Bytes { done, .. } = event {
            *last.lock().unwrap() = done;
            if done > 8192 {
                stop.received(2);
            }
        }
    });
    let source = FlashSource::open(&path).unwrap();
    let mut target = Target::open(&card).unwrap();
    let context = Context { cancel, events };
    let failure = write(&source, &mut target, &context, &state).unwrap_err();
    assert_eq!((failure.class, state.get()), (Class::Interrupted, WriteState::HalfWritten));
    *reported.lock().unwrap()
}

#[test]
fn interrupt_in_a_long_hole_does_not_wait_for_its_end() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(interrupt_in_a_hole(dir.path(), 1 << 30), 8192 + 256 * MIB);
}
