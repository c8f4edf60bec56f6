use std::io;
use std::path::Path;

use super::*;
use crate::output::manifest::Provenance;
use crate::output::request::{ImagerUrl, OutputSettings};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_core::event::Events;
use sdbuild_core::failure::Class;
use sdbuild_core::timings::Timings;
use sdbuild_image::image_format::Format;

mod endings;
mod forms;
mod lists;
mod refusals;

fn archive(kind: tar::EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o444);
    if kind == tar::EntryType::Symlink {
        builder
            .append_link(&mut header, "a.img", "/etc/passwd")
            .unwrap();
    } else {
        builder.append_data(&mut header, "a.img", bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn product(name: &str, compression: Compression) -> Product {
    Product {
        members: Vec::new(),
        components: vec![name.into()],
        raw_name: "a.img".into(),
        compression,
    }
}

fn plain(force: bool) -> (Product, CompressionOptions, bool) {
    (
        product("a.img", Compression::None),
        options(Compression::None),
        force,
    )
}

fn options(format: Compression) -> CompressionOptions {
    CompressionOptions {
        format,
        level: None,
    }
}

fn copy(dir: &Path, (product, compression, force): (Product, CompressionOptions, bool)) -> CopyJob {
    let settings = OutputSettings {
        format: Format::default(),
        board: None,
        dir: dir.to_path_buf(),
        force,
        kept: Vec::new(),
        owner: None,
        is_private: false,
        compression,
        imager: None,
        created: jiff::Timestamp::UNIX_EPOCH,
    };
    let request = CopyRequest {
        settings,
        origin: Provenance::default(),
        timings: Timings::default(),
        configuration_read: std::time::SystemTime::UNIX_EPOCH,
    };
    let context = Context {
        cancel: Cancel::new(),
        events: Events::none(),
    };
    CopyJob::new(product, &request, &context)
}

impl CopyJob {
    /// Writes the image; files of the same names are replaced if the settings say so.
    fn run(&self, stream: impl Read) -> Result<Image, Failure> {
        self.write(stream, replaceable(self.request.settings.force))
    }
}

fn replaceable(force: bool) -> Replaceable {
    if force {
        Replaceable::Anything
    } else {
        Replaceable::Nothing
    }
}

fn empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

/// Bytes that are neither all alike nor random, with holes.
fn content(size: usize) -> Vec<u8> {
    let byte = |at: usize| {
        let some = u8::try_from(at * 7 / 3 % 251).unwrap();
        if at % 300_000 < 100_000 { 0 } else { some }
    };
    (0..size).map(byte).collect()
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

const ALL: [Compression; 4] = [
    Compression::None,
    Compression::Zstd,
    Compression::Xz,
    Compression::Gzip,
];

#[test]
fn an_image_of_the_same_command_is_not_replaced_by_force() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.img"), "earlier").unwrap();
    let mut job = copy(dir.path(), plain(true));
    assert_eq!(job.replaceable("a.img").unwrap(), Replaceable::Anything);
    job.request.settings.kept = vec![dir.path().join("a.img")];
    assert_eq!(job.replaceable("a.img").unwrap(), Replaceable::Nothing);
    assert_eq!(job.replaceable("b.img").unwrap(), Replaceable::Anything);
}
