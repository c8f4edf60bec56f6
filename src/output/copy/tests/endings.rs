//! Cancelled, interrupted, or left by whoever feeds it.

use super::*;
use crate::output::bridge::{self, CHUNK};

#[test]
fn a_cancelled_copy_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for wanted in ALL {
        let order = (product("a.img", Compression::None), how(wanted), false);
        let copy = copy(dir.path(), order);
        copy.cancel.received(2);
        let bytes = archive(tar::EntryType::Regular, &content(100));
        let failure = copy.write(bytes.as_slice()).unwrap_err();
        assert_eq!(failure.class, Class::Interrupted);
        assert!(empty(dir.path()));
    }
}

#[test]
fn an_interruption_before_the_first_name_leaves_what_was_there() {
    let raw = content(100);
    for force in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        if force {
            std::fs::write(dir.path().join("a.img"), "old").unwrap();
        }
        let copy = copy(dir.path(), plain(force));
        let target = copy.create_file().unwrap();
        let work = StageInput {
            size: raw.len() as u64,
            packed: Compression::None,
            limit: LARGEST,
            store: ImageWriter {
                file: target.file(),
                shape: ImageShape::Sparse,
            },
            cancel: &copy.cancel,
            tell: &|_| (),
        };
        let poured = run_stages(raw.as_slice(), &work).unwrap();
        copy.cancel.received(2);
        let failure = copy.publish(target, &poured).unwrap_err();
        assert_eq!(failure.class, Class::Interrupted, "{failure}");
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, usize::from(force));
        assert!(!force || read(dir.path(), "a.img") == b"old");
    }
}

#[tokio::test]
async fn a_feed_that_is_dropped_ends_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, receiver) = bridge::channel();
    let work = copy(dir.path(), plain(false));
    let writer = tokio::task::spawn_blocking(move || work.write(receiver));
    let whole = archive(tar::EntryType::Regular, &vec![1; 4 << 20]);
    sender.send(Ok(whole[..CHUNK].to_vec())).await.unwrap();
    drop(sender);
    assert_eq!(writer.await.unwrap().unwrap_err().class, Class::Environment);
    assert!(empty(dir.path()));
}
