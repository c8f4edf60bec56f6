//! Copies that are cancelled, interrupted, or whose stream ends early.

use tokio::io::AsyncWriteExt as _;
use tokio_util::io::SyncIoBridge;

use super::*;
use crate::output::copy_out::Interruptible;

#[test]
fn cancelled_copy_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for wanted in ALL {
        let order = (product("a.img", Compression::None), options(wanted), false);
        let copy = copy(dir.path(), order);
        copy.context.cancel.received(2);
        let bytes = archive(tar::EntryType::Regular, &content(100));
        let failure = copy.run(bytes.as_slice()).unwrap_err();
        assert_eq!(failure.class, Class::Interrupted);
        assert!(empty(dir.path()));
    }
}

#[test]
fn image_of_a_private_configuration_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mut copy = copy(dir.path(), plain(true));
    let bytes = archive(tar::EntryType::Regular, &content(100));
    let mode = |copy: &CopyJob| {
        let image = copy.run(bytes.as_slice()).unwrap();
        std::fs::metadata(image.path).unwrap().permissions().mode() & 0o777
    };
    assert_ne!(mode(&copy), 0o600);
    copy.request.settings.is_private = true;
    assert_eq!(mode(&copy), 0o600);
}

#[test]
fn interruption_before_publishing_changes_nothing() {
    let raw = content(100);
    for force in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        if force {
            std::fs::write(dir.path().join("a.img"), "old").unwrap();
        }
        let copy = copy(dir.path(), plain(force));
        let target = copy.create_file(PUBLIC).unwrap();
        let input = StageInput {
            size: raw.len() as u64,
            compression: Compression::None,
            max_raw_bytes: MAX_IMAGE_BYTES,
            writer: ImageWriter {
                file: target.file(),
                form: ImageForm::Raw,
            },
            cancel: &copy.context.cancel,
            on_progress: &|_| (),
        };
        let output = run_stages(raw.as_slice(), &input).unwrap();
        copy.context.cancel.received(2);
        let failure = copy
            .publish(target, &output, replaceable(force))
            .unwrap_err();
        assert_eq!(failure.class, Class::Interrupted, "{failure}");
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, usize::from(force));
        assert!(!force || read(dir.path(), "a.img") == b"old");
    }
}

/// The engine sends the start of an image and then nothing: no blocking read may wait for it.
#[tokio::test]
async fn interruption_ends_a_read_from_a_silent_engine() {
    let dir = tempfile::tempdir().unwrap();
    let job = copy(dir.path(), plain(false));
    let cancel = job.context.cancel.clone();
    let (mut engine, stream) = tokio::io::duplex(64 << 10);
    let stream = Interruptible::new(stream, cancel.token().clone());
    let stream = SyncIoBridge::new(stream);
    let writer = tokio::task::spawn_blocking(move || job.run(stream));
    let whole = archive(tar::EntryType::Regular, &vec![1; 4 << 20]);
    engine.write_all(&whole[..1 << 20]).await.unwrap();
    cancel.received(2);
    let failure = writer.await.unwrap().unwrap_err();
    assert_eq!(failure.class, Class::Interrupted, "{failure}");
    assert!(empty(dir.path()));
}

#[tokio::test]
async fn stream_that_ends_early_is_the_engines_fault() {
    let dir = tempfile::tempdir().unwrap();
    let (mut engine, stream) = tokio::io::duplex(64 << 10);
    let stream = SyncIoBridge::new(Interruptible::new(stream, Cancel::new().token().clone()));
    let job = copy(dir.path(), plain(false));
    let writer = tokio::task::spawn_blocking(move || job.run(stream));
    let whole = archive(tar::EntryType::Regular, &vec![1; 4 << 20]);
    engine.write_all(&whole[..512 << 10]).await.unwrap();
    drop(engine);
    let failure = writer.await.unwrap().unwrap_err();
    assert_eq!(failure.class, Class::Environment, "{failure}");
    assert!(empty(dir.path()));
}
