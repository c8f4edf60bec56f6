//! Objects, partial files and notes of the cache, whole and damaged, and several processes that use it.

use std::fs;
use std::time::Duration;

use super::server::{Answer, Server};
use super::*;
use crate::artifact::cache::CacheLookup;
use sdbuild_core::failure::Class;

#[tokio::test]
async fn damaged_part_is_not_blamed_on_the_next_mirror() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let damaged = vec![0xee; body.len()];
    let cut = || Answer::Cut(damaged.clone(), 100_000);
    let bad = Server::new([cut(), Answer::Status("404 Not Found")]);
    let good = Server::new([Answer::Ranged(body.clone())]);
    assert_eq!(fixture.fetch(&pin, &[&bad, &good]).await.unwrap(), body);
    assert_eq!(
        good.requests(),
        ["/pool/a.deb bytes=100000-", "/pool/a.deb"]
    );
}

/// Reading the certificate authorities of the machine takes longer than the rest of many a command.
#[tokio::test]
async fn what_the_cache_has_needs_no_client() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let server = Server::new([Answer::Ranged(body)]);
    let mirrors = [server.base.clone()];
    let fetcher = fixture.fetcher();
    assert!(!fetcher.has_client());
    fetcher
        .pins(&[&pin], &mirrors, &Cancel::new())
        .await
        .unwrap();
    assert!(fetcher.has_client());
    let fetcher = fixture.fetcher();
    fetcher
        .pins(&[&pin], &mirrors, &Cancel::new())
        .await
        .unwrap();
    assert!(!fetcher.has_client());
}

/// It is an error of this machine, and no source was asked.
#[tokio::test]
async fn client_that_cannot_be_made_is_told_once() {
    let fixture = Fixture::new();
    let pin = pin("a", &body());
    let mirrors = ["http://one.invalid", "http://two.invalid"].map(str::to_owned);
    let fetcher = fixture.fetcher().with_broken_client();
    let failed = fetcher.pins(&[&pin], &mirrors, &Cancel::new()).await;
    let failed = failed.unwrap_err();
    let told = failed.to_string();
    assert!(told.starts_with("prepare downloads: "), "{told}");
    assert!(!told.contains("one.invalid"), "{told}");
    let events = fixture.events.lock().unwrap();
    assert!(!events.iter().any(|event| matches!(event, Event::Notice(_))));
}

/// An error in the user's own authorities is reported even if nothing is downloaded.
#[tokio::test]
async fn damaged_authorities_are_reported_at_once() {
    let fixture = Fixture::new();
    let authorities = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let network = Network {
        authorities: authorities.to_vec(),
        ..short_timeouts()
    };
    let failed = Fetcher::new(fixture.cache(), network, Events::none()).unwrap_err();
    assert!(failed.to_string().contains("prepare downloads"), "{failed}");
}

#[tokio::test]
async fn cancelled_download_is_resumed() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let cancel = Cancel::new();
    let server = Server::new([
        Answer::Cut(body.clone(), 200_000),
        Answer::Hang(Duration::from_secs(2)),
    ]);
    let mirrors = [server.base.clone()];
    let (pins, fetcher) = ([&pin], fixture.fetcher());
    let (result, ()) = tokio::join!(fetcher.pins(&pins, &mirrors, &cancel), async {
        while server.requests().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.received(2);
    });
    assert_eq!(result.unwrap_err().class, Class::Interrupted);
    let server = Server::new([Answer::Ranged(body.clone())]);
    assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(server.requests(), ["/pool/a.deb bytes=200000-"]);
}

#[tokio::test]
async fn concurrent_downloads_download_once() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let server = Server::new([Answer::Delayed(body.clone(), Duration::from_millis(200))]);
    let servers = [&server];
    let (a, b) = tokio::join!(fixture.fetch(&pin, &servers), fixture.fetch(&pin, &servers));
    assert_eq!((a.unwrap(), b.unwrap()), (body.clone(), body));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(fixture.objects(), [pin.sha256.to_string()]);
    let events = fixture.events.lock().unwrap();
    assert!(
        events
            .iter()
            .any(|e| matches!(e, Event::Notice(text) if text.contains("waiting")))
    );
}

#[tokio::test]
async fn waiting_for_another_process_can_be_cancelled() {
    let fixture = Fixture::new();
    let wanted = [pin("a", b"one"), pin("b", b"two")];
    fixture.cache();
    let part = |pin: &Pin| {
        let part = fs::File::create(fixture.object(pin).with_extension("part")).unwrap();
        part.lock().unwrap();
        part
    };
    let _held = wanted.each_ref().map(part);
    let cancel = Cancel::new();
    let (pins, fetcher) = (wanted.each_ref(), fixture.fetcher());
    let waits = || {
        let events = fixture.events.lock().unwrap();
        let is_waiting = |e: &&Event| matches!(e, Event::Notice(text) if text.contains("waiting"));
        events.iter().filter(is_waiting).count()
    };
    // The other process never gives them up.
    let (result, ()) = tokio::join!(fetcher.pins(&pins, &[], &cancel), async {
        while waits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.received(15);
    });
    assert_eq!(result.unwrap_err().class, Class::Interrupted);
    assert_eq!(waits(), 1);
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
        let fixture = Fixture::new();
        fixture.cache();
        damage(&fixture.object(&pin), &body);
        assert_eq!(
            fixture.cache().find(pin.sha256).await.unwrap(),
            CacheLookup::Damaged
        );
        assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
        assert!(
            fs::symlink_metadata(fixture.object(&pin))
                .unwrap()
                .is_file()
        );
        assert_eq!(fixture.objects().len(), 1);
    }
}

#[tokio::test]
async fn directory_in_place_of_a_partial_file_is_removed() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    fixture.cache();
    fs::create_dir(fixture.object(&pin).with_extension("part")).unwrap();
    let server = Server::new([Answer::Body(body.clone())]);
    assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
}

#[tokio::test]
async fn links_and_pipes_in_place_of_a_partial_file_are_removed() {
    type Block = fn(&std::path::Path, &std::path::Path);
    let outside = tempfile::tempdir().unwrap();
    let blocks: [Block; 4] = [
        |outside, part| std::os::unix::fs::symlink(outside.join("mine"), part).unwrap(),
        |_, part| std::os::unix::fs::symlink("/dev/zero", part).unwrap(),
        |outside, part| std::os::unix::fs::symlink(outside, part).unwrap(),
        |_, part| nix::unistd::mkfifo(part, nix::sys::stat::Mode::S_IRWXU).unwrap(),
    ];
    for block in blocks {
        let (fixture, body) = (Fixture::new(), body());
        let pin = pin("a", &body);
        fixture.cache();
        block(outside.path(), &fixture.object(&pin).with_extension("part"));
        let server = Server::new([Answer::Body(body.clone())]);
        let mirrors = [&server];
        let fetched =
            sdbuild_core::timeout::timeout(Duration::from_secs(20), fixture.fetch(&pin, &mirrors));
        assert_eq!(fetched.await.unwrap().unwrap(), body);
        let mine = outside.path().join("mine");
        assert!(
            outside.path().is_dir() && !mine.exists(),
            "the target of the link is not touched"
        );
    }
}

#[test]
fn note_that_is_a_pipe_is_ignored() {
    let fixture = Fixture::new();
    let cache = fixture.cache();
    let path = cache.root().join("notes/image-x");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(cache.note("image-x"), None);
}

#[test]
fn error_names_the_cache_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Cache::open(file.path().join("cache"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("create the cache directory /"), "{error}");
    assert!(error.contains("/cache: "), "{error}");
}

#[tokio::test]
async fn remove_all_keeps_foreign_files_and_open_caches() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let root = fixture.dir.path().join("cache");
    assert_eq!(Cache::usage(&root).unwrap(), 0);
    assert_eq!(Cache::remove_all(&root).unwrap(), 0);

    let cache = Cache::open(&root).unwrap();
    cache.set_note("image-x", "four").unwrap();
    let server = Server::new([Answer::Body(body.clone())]);
    let fetcher = Fetcher::new(cache, short_timeouts(), Events::none()).unwrap();
    fetcher
        .pins(&[&pin], &[server.base], &Cancel::new())
        .await
        .unwrap();
    fs::write(root.join("sha256").join("photo.jpg"), "mine").unwrap();
    fs::write(root.join("letter"), "mine").unwrap();
    let size = body.len() as u64;
    assert_eq!(Cache::usage(&root).unwrap(), size);

    let error = Cache::remove_all(&root).unwrap_err().to_string();
    assert!(error.ends_with("another sdbuild uses it"), "{error}");
    drop(fetcher);
    assert_eq!(Cache::remove_objects(&root).unwrap(), size);
    // The note.
    assert_eq!(Cache::remove_all(&root).unwrap(), 4);
    assert_eq!(Cache::usage(&root).unwrap(), 0);
    assert!(root.join("sha256/photo.jpg").exists() && root.join("letter").exists());
    assert!(!root.join("notes").exists());
}
