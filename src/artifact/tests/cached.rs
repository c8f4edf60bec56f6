//! What is in the cache, whole, half or damaged, and who may touch it.

use std::fs;
use std::time::{Duration, Instant};

use super::server::{Answer, Server};
use super::*;
use crate::artifact::cache::CacheLookup;
use crate::common::failure::Class;

#[tokio::test]
async fn a_spoilt_beginning_is_not_the_next_mirrors_fault() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let spoilt = vec![0xee; body.len()];
    let cut = || Answer::Cut(spoilt.clone(), 100_000);
    let bad = Server::new([cut(), Answer::Status("404 Not Found")]);
    let good = Server::new([Answer::Ranged(body.clone())]);
    assert_eq!(bench.fetch(&pin, &[&bad, &good]).await.unwrap(), body);
    assert_eq!(good.asked(), ["/pool/a.deb bytes=100000-", "/pool/a.deb"]);
}

#[tokio::test]
async fn the_next_run_goes_on_after_a_cancelled_one() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let cancel = Cancel::new();
    let server = Server::new([
        Answer::Cut(body.clone(), 200_000),
        Answer::Hang(Duration::from_secs(2)),
    ]);
    let mirrors = [server.base.clone()];
    let (pins, fetcher) = ([&pin], bench.fetcher());
    let (result, ()) = tokio::join!(fetcher.pins(&pins, &mirrors, &cancel), async {
        while server.asked().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.received(2);
    });
    assert_eq!(result.unwrap_err().class, Class::Interrupted);
    let server = Server::new([Answer::Ranged(body.clone())]);
    assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(server.asked(), ["/pool/a.deb bytes=200000-"]);
}

#[tokio::test]
async fn two_at_once_fetch_once() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let server = Server::new([Answer::Late(body.clone(), Duration::from_millis(200))]);
    let servers = [&server];
    let (a, b) = tokio::join!(bench.fetch(&pin, &servers), bench.fetch(&pin, &servers));
    assert_eq!((a.unwrap(), b.unwrap()), (body.clone(), body));
    assert_eq!(server.asked().len(), 1);
    assert_eq!(bench.objects(), [pin.sha256.to_string()]);
    let events = bench.events.lock().unwrap();
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::Notice(text) if text.contains("waiting")))
    );
}

#[tokio::test]
async fn waiting_for_another_process_can_be_cancelled() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    bench.cache();
    let part = fs::File::create(bench.object(&pin).with_extension("part")).unwrap();
    part.lock().unwrap();
    let cancel = Cancel::new();
    let (pins, fetcher) = ([&pin], bench.fetcher());
    let started = Instant::now();
    let (result, ()) = tokio::join!(fetcher.pins(&pins, &[], &cancel), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.received(15);
    });
    assert_eq!(result.unwrap_err().class, Class::Interrupted);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn damaged_objects_are_replaced() {
    let body = body();
    let pin = pin("a", &body);
    let server = Server::new([Answer::Body(body.clone())]);
    let damages: [fn(&std::path::Path, &[u8]); 5] = [
        |path, body| fs::write(path, &body[..1000]).unwrap(),
        |path, body| fs::write(path, vec![0; body.len()]).unwrap(),
        |path, _| fs::write(path, "").unwrap(),
        |path, _| fs::create_dir_all(path.join("directory")).unwrap(),
        |path, _| std::os::unix::fs::symlink("/etc/hostname", path).unwrap(),
    ];
    for damage in damages {
        let bench = Bench::new();
        bench.cache();
        damage(&bench.object(&pin), &body);
        assert_eq!(
            bench.cache().find(pin.sha256).await.unwrap(),
            CacheLookup::Damaged
        );
        assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
        assert!(fs::symlink_metadata(bench.object(&pin)).unwrap().is_file());
        assert_eq!(bench.objects().len(), 1);
    }
}

#[tokio::test]
async fn a_dir_in_the_way_of_a_half_fetched_file_is_removed() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    bench.cache();
    fs::create_dir(bench.object(&pin).with_extension("part")).unwrap();
    let server = Server::new([Answer::Body(body.clone())]);
    assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
}

#[tokio::test]
async fn what_is_no_file_in_the_way_of_a_half_fetched_one_is_removed() {
    type Block = fn(&std::path::Path, &std::path::Path);
    let outside = tempfile::tempdir().unwrap();
    let ways: [Block; 4] = [
        |outside, part| std::os::unix::fs::symlink(outside.join("mine"), part).unwrap(),
        |_, part| std::os::unix::fs::symlink("/dev/zero", part).unwrap(),
        |outside, part| std::os::unix::fs::symlink(outside, part).unwrap(),
        |_, part| nix::unistd::mkfifo(part, nix::sys::stat::Mode::S_IRWXU).unwrap(),
    ];
    for block in ways {
        let (bench, body) = (Bench::new(), body());
        let pin = pin("a", &body);
        bench.cache();
        block(outside.path(), &bench.object(&pin).with_extension("part"));
        let server = Server::new([Answer::Body(body.clone())]);
        let mirrors = [&server];
        let fetched =
            crate::common::timeout::timeout(Duration::from_secs(20), bench.fetch(&pin, &mirrors));
        assert_eq!(fetched.await.unwrap().unwrap(), body);
        let mine = outside.path().join("mine");
        assert!(outside.path().is_dir() && !mine.exists(), "left alone");
    }
}

#[test]
fn a_note_that_is_a_pipe_is_no_note() {
    let bench = Bench::new();
    let cache = bench.cache();
    let path = cache.root().join("notes/image-x");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(cache.note("image-x"), None);
}

#[test]
fn a_cache_that_cannot_be_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Cache::open(file.path().join("cache"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("make the cache directory /"), "{error}");
    assert!(error.contains("/cache: "), "{error}");
}

#[tokio::test]
async fn emptying_removes_ours_alone_and_only_when_nobody_uses_it() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let root = bench.dir.path().join("cache");
    assert_eq!(Cache::usage(&root).unwrap(), 0);
    assert_eq!(Cache::remove_all(&root).unwrap(), 0);

    let cache = Cache::open(&root).unwrap();
    cache.set_note("image-x", "four").unwrap();
    let server = Server::new([Answer::Body(body.clone())]);
    let fetcher = Fetcher::new(cache, quick(), Events::none()).unwrap();
    fetcher
        .pins(&[&pin], &[server.base], &Cancel::new())
        .await
        .unwrap();
    fs::write(root.join("sha256").join("photo.jpg"), "mine").unwrap();
    fs::write(root.join("letter"), "mine").unwrap();
    let size = body.len() as u64 + 4;
    assert_eq!(Cache::usage(&root).unwrap(), size);

    let error = Cache::remove_all(&root).unwrap_err().to_string();
    assert!(error.ends_with("another sdbuild uses it"), "{error}");
    drop(fetcher);
    assert_eq!(Cache::remove_all(&root).unwrap(), size);
    assert_eq!(Cache::usage(&root).unwrap(), 0);
    assert!(root.join("sha256/photo.jpg").exists() && root.join("letter").exists());
    assert!(!root.join("notes").exists());
}
