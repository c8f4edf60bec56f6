//! Downloads from an address, without a pin, and which mirror has a file.

use std::fs;

use super::server::{Answer, Server};
use super::*;
use sdbuild_core::event::Phase;

#[tokio::test]
async fn url_without_a_pin_returns_its_hash() {
    let (fixture, body) = (Fixture::new(), body());
    let server = Server::new([Answer::Cut(body.clone(), 5), Answer::Ranged(body.clone())]);
    let url = format!("{}/x.tar.xz", server.base);
    let remote = |sha256, max_bytes| Remote {
        url: &url,
        sha256,
        max_bytes,
        phase: Phase::Nixpkgs,
    };
    let (fetcher, cancel) = (fixture.fetcher(), Cancel::new());
    let first = fetcher.url(remote(None, 1 << 20), &cancel).await.unwrap();
    assert_eq!(first.sha256, Sha256Hash::of(&body));
    assert_eq!(first.size, body.len() as u64);
    assert_eq!(fs::read(&first.path).unwrap(), body);
    // Without a hash the first part cannot be verified: the whole file is downloaded again.
    assert_eq!(server.requests(), ["/x.tar.xz", "/x.tar.xz"]);
    for event in fixture.events.lock().unwrap().iter() {
        let of_nixpkgs = matches!(event, Event::Bytes { phase, .. } if *phase == Phase::Nixpkgs);
        assert!(of_nixpkgs, "{event:?}");
    }
    let again = fetcher
        .url(remote(Some(first.sha256), 1 << 20), &cancel)
        .await
        .unwrap();
    assert_eq!((&again.path, again.sha256), (&first.path, first.sha256));
    assert_eq!(server.requests().len(), 2);

    let too_large = fetcher
        .url(remote(None, 1000), &cancel)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        too_large.contains("larger than the 1000 bytes"),
        "{too_large}"
    );
    let wrong = Some(Sha256Hash::of(b"other"));
    let wrong = fetcher
        .url(remote(wrong, 1 << 20), &cancel)
        .await
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("SHA-256 is"), "{wrong}");
    assert!(
        fixture
            .objects()
            .iter()
            .all(|name| !name.starts_with("new-")),
        "{:?}",
        fixture.objects()
    );
}

#[tokio::test]
async fn redirections_are_followed_and_returned() {
    let (fixture, body) = (Fixture::new(), body());
    let target = Server::new([Answer::Body(body.clone())]);
    let to = format!("Location: {}/release-1234/nixexprs.tar.xz\r\n", target.base);
    let channel = Server::new([Answer::Moved(to)]);
    let url = format!("{}/channel", channel.base);
    let remote = Remote {
        url: &url,
        sha256: None,
        max_bytes: 1 << 20,
        phase: Phase::Nixpkgs,
    };
    let first = fixture.fetcher().url(remote, &Cancel::new()).await.unwrap();
    assert_eq!(
        first.final_url,
        format!("{}/release-1234/nixexprs.tar.xz", target.base)
    );
    assert_eq!(first.sha256, Sha256Hash::of(&body));
}

#[tokio::test]
async fn first_mirror_that_has_the_file_is_found() {
    let fixture = Fixture::new();
    let missing = Server::new([Answer::Status("404 Not Found")]);
    let has = Server::new([Answer::Body(vec![])]);
    let mirrors = ["http://127.0.0.1:1", &missing.base, &has.base].map(str::to_owned);
    let (fetcher, cancel) = (fixture.fetcher(), Cancel::new());
    let first = fetcher
        .first_reachable(&mirrors, "pool/a.deb", &cancel)
        .await
        .unwrap();
    assert_eq!(first.as_ref(), Some(&has.base));
    assert_eq!(has.requests(), ["/pool/a.deb"]);
    let none = fetcher
        .first_reachable(&mirrors[..2], "pool/a.deb", &cancel)
        .await
        .unwrap();
    assert_eq!(none, None);
}

#[tokio::test]
async fn mirror_that_never_answers_is_skipped() {
    let fixture = Fixture::new();
    // The kernel accepts connections; nothing answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("http://{}", listener.local_addr().unwrap());
    let has = Server::new([Answer::Body(vec![])]);
    let mirrors = [mute, has.base.clone()];
    let first = fixture.fetcher();
    let first = first.first_reachable(&mirrors, "a", &Cancel::new()).await;
    assert_eq!(first.unwrap().as_ref(), Some(&has.base));
}
