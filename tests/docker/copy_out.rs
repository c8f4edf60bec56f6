//! Copying the image out of a real engine, with valid and invalid files in the container. The containers are never
//! started, so their image may be empty.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Once};

use sdbuild_build::output::manifest::Provenance;
use sdbuild_build::output::{CopyRequest, Image, OutputSettings, copy_out};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::timings::Timings;
use sdbuild_engine::{Container, ContainerGuard, ContainerSpec, Endpoint, Engine, Role, RunId};
use sdbuild_image::image_format::Format;
use tar::EntryType;

use crate::support::*;

const IMAGE: &str = "sdbuild-test-empty";
const OUT: &str = "/nix/store/00000000000000000000000000000000-image";
const LIST: &str = "nix-support/hydra-build-products";

/// A file of the result: its path, its type, and its content or the target of the link.
pub type Entry<'a> = (&'a str, EntryType, &'a [u8]);

fn pack(out: &mut dyn Write, entries: &[(String, EntryType, Vec<u8>)]) -> io::Result<()> {
    let mut tar = tar::Builder::new(out);
    for (path, kind, content) in entries {
        let path = format!("{}/{path}", OUT.trim_start_matches('/'));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if *kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_size(0);
        if *kind == EntryType::Symlink {
            tar.append_link(&mut header, path, String::from_utf8_lossy(content).as_ref())?;
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_slice())?;
        }
    }
    tar.finish()
}

/// Makes the empty container image unless the engine has it; it stays for the next time.
fn empty_image() {
    static MADE: Once = Once::new();
    let docker = |words: &[&str]| {
        let mut command = Command::new("docker");
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    MADE.call_once(|| {
        let _lock = lock("empty-image");
        if docker(&["image", "inspect", IMAGE]).wait().unwrap().success() {
            return;
        }
        let mut import = docker(&["import", "-", IMAGE]);
        import.stdin.take().unwrap().write_all(&[0; 1024]).unwrap();
        assert!(import.wait().unwrap().success());
    });
}

async fn filled(guard: &mut ContainerGuard, run: &RunId, entries: &[Entry<'_>]) -> Container {
    let spec = ContainerSpec::new(Role::Builder, run, IMAGE, vec!["/none".into()]);
    let container = guard.create(&spec).await.unwrap();
    let entries: Vec<_> = entries
        .iter()
        .map(|(path, kind, bytes)| ((*path).to_owned(), *kind, bytes.to_vec()))
        .collect();
    container.upload("/", move |out| pack(out, &entries)).await.unwrap();
    container
}

/// Copies the image out of a container that holds `entries`.
fn copied(entries: &[Entry<'_>], dir: &Path, force: bool) -> Result<Image, Failure> {
    let settings = OutputSettings { force, ..settings(dir, Compression::None) };
    copied_as(entries, settings)
}

/// Settings that compress in `format` and replace no files.
pub fn settings(dir: &Path, format: Compression) -> OutputSettings {
    OutputSettings {
        format: Format::default(),
        board: None,
        dir: dir.to_path_buf(),
        force: false,
        kept: Vec::new(),
        owner: None,
        is_private: false,
        compression: CompressionOptions { format, level: None },
        imager: None,
        created: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// The same with these settings.
pub fn copied_as(entries: &[Entry<'_>], settings: OutputSettings) -> Result<Image, Failure> {
    let context = Context { cancel: Cancel::new(), events: Events::none() };
    copied_with(entries, settings, &context)
}

#[tokio::main(flavor = "multi_thread")]
async fn copied_with(
    entries: &[Entry<'_>],
    settings: OutputSettings,
    context: &Context,
) -> Result<Image, Failure> {
    empty_image();
    let engine = Engine::connect(&Endpoint::Unix("/var/run/docker.sock".into())).await.unwrap();
    let run = RunId::random().unwrap();
    let mut guard = ContainerGuard::arm(&engine, Role::Builder.container_name(&run));
    let container = filled(&mut guard, &run, entries).await;
    let order = CopyRequest {
        settings,
        origin: Provenance::default(),
        timings: Timings::default(),
        configuration_read: std::time::SystemTime::UNIX_EPOCH,
    };
    let result = copy_out(&container, OUT, &order, context).await;
    assert_eq!(guard.release(&Cancel::new()).await, None);
    result
}

/// A result with `content` as its image.
pub fn result<'a>(list: &'a str, content: &'a [u8]) -> Vec<Entry<'a>> {
    vec![
        ("nix-support", EntryType::Directory, b""),
        (LIST, EntryType::Regular, list.as_bytes()),
        ("sd-image", EntryType::Directory, b""),
        ("sd-image/nixos.img", EntryType::Regular, content),
    ]
}

pub fn list(path: &str) -> String {
    format!("file sd-image {OUT}/{path}\n")
}

#[test]
fn copied_image_is_complete_and_sparse() {
    needs!(engine_ready());
    let dir = tempfile::tempdir().unwrap();
    let mut content = vec![0u8; (64 << 20) + 777];
    for at in [0, 8 << 20, 40_000_001, content.len() - 1] {
        content[at] = 0xa5;
    }
    let list = list("sd-image/nixos.img");
    let image = copied(&result(&list, &content), dir.path(), false).unwrap();
    assert_eq!(image.path, dir.path().join("nixos.img"));
    assert_eq!(image.size, content.len() as u64);
    assert_eq!(image.sha256, Sha256Hash::of(&content));
    assert!(std::fs::read(&image.path).unwrap() == content);
    assert!(image.path.metadata().unwrap().blocks() * 512 < 1 << 20);
    assert_eq!(file_names(dir.path()), TestUser::with_sidecars(&image.path));

    let failure = copied(&result(&list, b"new"), dir.path(), false).unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert_eq!(image.path.metadata().unwrap().len(), image.size, "the old one is untouched");
    copied(&result(&list, b"new"), dir.path(), true).unwrap();
    assert_eq!(std::fs::read(&image.path).unwrap(), b"new");
}

/// Asserts that copying a result of `entries` fails with these words and leaves no file.
#[track_caller]
fn refused(words: &str, entries: &[Entry<'_>]) {
    let dir = tempfile::tempdir().unwrap();
    let failure = copied(entries, dir.path(), false).unwrap_err();
    assert_eq!(failure.class, Class::Build, "{failure}");
    assert!(failure.to_string().contains(words), "{failure}");
    assert!(file_names(dir.path()).is_empty());
}

#[test]
fn invalid_product_list_is_refused() {
    needs!(engine_ready());
    let dir = ("nix-support", EntryType::Directory, &b""[..]);
    let long = "#".repeat(70_000);
    refused(LIST, &[("x", EntryType::Directory, b"")]);
    refused("not a directory", &[("", EntryType::Regular, b"x")]);
    refused("symbolic link", &[dir, (LIST, EntryType::Symlink, b"/etc/passwd")]);
    refused(
        "symbolic link",
        &[("x", EntryType::Directory, b""), ("nix-support", EntryType::Symlink, b"x")],
    );
    refused("too large", &[dir, (LIST, EntryType::Regular, long.as_bytes())]);
    refused("UTF-8", &[dir, (LIST, EntryType::Regular, b"file sd-image \xff")]);
}

#[test]
fn non_file_image_is_refused() {
    needs!(engine_ready());
    let list = list("sd-image/nixos.img");
    let whole = result(&list, b"");
    let image = |kind, content| [&whole[..3], &[("sd-image/nixos.img", kind, content)]].concat();
    refused("made no", &whole[..3]);
    refused("symbolic link", &image(EntryType::Symlink, &b"/etc/passwd"[..]));
    refused("not a regular file", &image(EntryType::Directory, b""));
    refused("not a regular file", &image(EntryType::Fifo, b""));
    let linked = ("sd-image", EntryType::Symlink, &b"nix-support"[..]);
    refused("symbolic link", &[&whole[..2], &[linked]].concat());
}

#[test]
fn interrupted_copy_leaves_nothing() {
    needs!(engine_ready());
    let dir = tempfile::tempdir().unwrap();
    let cancel = Cancel::new();
    let seen = Arc::new(Mutex::new(0));
    let (token, counter) = (cancel.clone(), Arc::clone(&seen));
    let events = Events::new(move |event| {
        if let Event::Bytes { done, .. } = event {
            *counter.lock().unwrap() = done;
            token.received(2);
        }
    });
    let list = list("sd-image/nixos.img");
    let bytes = vec![1; 64 << 20];
    let settings = settings(dir.path(), Compression::Zstd);
    let context = Context { cancel, events };
    let failure = copied_with(&result(&list, &bytes), settings, &context).unwrap_err();
    assert_eq!(failure.class, Class::Interrupted);
    assert!(*seen.lock().unwrap() < 32 << 20);
    assert!(file_names(dir.path()).is_empty());
}
