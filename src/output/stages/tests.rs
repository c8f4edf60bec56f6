//! Whose trouble it is, when a stage ends early and takes the others with it.

use std::fs::File;

use super::*;
use crate::common::compression::{Compression, CompressionOptions};
use crate::output::image_writer::ImageShape;

fn work<'a>(
    file: &'a File,
    shape: ImageShape,
    packed: Compression,
    cancel: &'a Cancel,
) -> StageInput<'a> {
    StageInput {
        size: 20 << 20,
        packed,
        limit: 1 << 30,
        store: ImageWriter { file, shape },
        cancel,
        tell: &|_| {},
    }
}

fn zstd() -> ImageShape {
    let how = CompressionOptions {
        format: Compression::Zstd,
        level: None,
    };
    ImageShape::Packed(how, Some(20 << 20))
}

/// Gives zeros, then fails.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the engine is gone"));
        }
        let n = buffer.len().min(self.0);
        buffer[..n].fill(0);
        self.0 -= n;
        Ok(n)
    }
}

#[test]
fn a_source_that_fails_is_the_reason_of_all_that_follows() {
    let (file, cancel) = (tempfile::tempfile().unwrap(), Cancel::new());
    for shape in [ImageShape::Sparse, zstd()] {
        let work = work(&file, shape, Compression::None, &cancel);
        let trouble = run_stages(Failing(9 << 20), &work).unwrap_err();
        assert!(matches!(trouble, StageError::Source(_)), "{trouble:?}");
    }
    // Cut off in the middle of a frame: the decoder wonders too, but that is an echo.
    let work = work(&file, ImageShape::AsItCame, Compression::Zstd, &cancel);
    let frame = zstd::encode_all(vec![7; 100_000].as_slice(), 1).unwrap();
    let trouble = run_stages(frame[..12].chain(Failing(0)), &work).unwrap_err();
    assert!(matches!(trouble, StageError::Source(_)), "{trouble:?}");
}

#[test]
fn a_source_that_ends_early_is_the_reason_too() {
    let (file, cancel) = (tempfile::tempfile().unwrap(), Cancel::new());
    let frame = zstd::encode_all(vec![7; 100_000].as_slice(), 1).unwrap();
    for (shape, packed, bytes) in [
        (ImageShape::Sparse, Compression::None, vec![1; 12]),
        (zstd(), Compression::None, vec![1; 12]),
        (
            ImageShape::AsItCame,
            Compression::Zstd,
            frame[..12].to_vec(),
        ),
    ] {
        let work = work(&file, shape, packed, &cancel);
        let trouble = run_stages(bytes.as_slice(), &work).unwrap_err();
        assert!(matches!(trouble, StageError::Short(12)), "{trouble:?}");
    }
}

#[test]
fn a_file_that_cannot_be_written_ends_everything() {
    let (file, cancel) = (File::open("/dev/null").unwrap(), Cancel::new());
    let image = vec![1; 20 << 20];
    for shape in [ImageShape::Sparse, zstd()] {
        let work = work(&file, shape, Compression::None, &cancel);
        let trouble = run_stages(image.as_slice(), &work).unwrap_err();
        assert!(matches!(trouble, StageError::Target(_)), "{trouble:?}");
    }
}

#[test]
fn what_unpacks_to_too_much_is_stopped() {
    let (file, cancel) = (tempfile::tempfile().unwrap(), Cancel::new());
    let bomb = zstd::encode_all(io::repeat(0).take(50 << 20), 1).unwrap();
    let work = StageInput {
        size: bomb.len() as u64,
        limit: 10 << 20,
        ..work(&file, ImageShape::Sparse, Compression::Zstd, &cancel)
    };
    let trouble = run_stages(bomb.as_slice(), &work).unwrap_err();
    assert!(matches!(trouble, StageError::TooLarge), "{trouble:?}");
    assert!(file.metadata().unwrap().len() <= 12 << 20);
}

#[test]
fn cancelling_ends_it_between_two_pieces() {
    let (file, cancel) = (tempfile::tempfile().unwrap(), Cancel::new());
    let token = cancel.clone();
    let stop = move |done| {
        if done > 3 << 20 {
            token.received(2);
        }
    };
    let work = StageInput {
        tell: &stop,
        ..work(&file, zstd(), Compression::None, &cancel)
    };
    let mut endless = io::repeat(5);
    let trouble = run_stages(&mut endless, &work).unwrap_err();
    assert!(matches!(trouble, StageError::Stopped), "{trouble:?}");
}
