//! Downloads from mirrors that answer, fail, stall or lie.

use std::fs;
use std::time::Duration;

use super::server::{Answer, Server};
use super::*;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Class;

#[tokio::test]
async fn downloads_once_and_reports_progress() {
    let (fixture, body) = (Fixture::new(), body());
    let (pin, server) = (pin("a", &body), Server::new([Answer::Body(body.clone())]));
    assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(server.requests(), ["/pool/a.deb"]);
    assert_eq!(fixture.objects(), [pin.sha256.to_string()]);
    let events = fixture.events.lock().unwrap();
    let size = body.len() as u64;
    let Some(Event::Bytes { done, total, .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((*done, *total), (size, Some(size)));
}

#[tokio::test]
async fn permanent_errors_are_not_retried() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let missing = Server::new([Answer::Status("404 Not Found")]);
    let mut other = body.clone();
    other[7] ^= 1;
    let wrong = Server::new([Answer::Body(other)]);
    let has = Server::new([Answer::Body(body.clone())]);
    assert_eq!(
        fixture
            .fetch(&pin, &[&missing, &wrong, &has])
            .await
            .unwrap(),
        body
    );
    assert_eq!(
        [&missing, &wrong, &has].map(|s| s.requests().len()),
        [1, 1, 1]
    );
}

#[tokio::test]
async fn replaced_mirror_is_reported_once() {
    let (fixture, body) = (Fixture::new(), body());
    let more: Vec<u8> = body.iter().rev().copied().collect();
    let (a, b) = (pin("a", &body), pin("b", &more));
    let wrong = Server::new([Answer::Body(vec![0; body.len()])]);
    let has = [&body, &more].map(|bytes| Server::new([Answer::Body(bytes.clone())]));
    let mirrors = [&wrong, &has[0], &has[1]].map(|s| s.base.clone());
    let outcome = fixture
        .fetcher()
        .pins(&[&a, &b], &mirrors, &Cancel::new())
        .await;
    assert_eq!(outcome.unwrap().len(), 2);
    let events = fixture.events.lock().unwrap();
    let reports: Vec<String> = events
        .iter()
        .map(|event| format!("{event:?}"))
        .filter(|text| text.contains(&wrong.base))
        .collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("SHA-256 is"), "{reports:?}");
}

#[tokio::test]
async fn failure_lists_the_reason_of_each_mirror() {
    let (mut fixture, body) = (Fixture::new(), body());
    fixture.network.read_timeout = Duration::from_millis(700);
    let pin = pin("a", &body);
    let missing = Server::new([Answer::Status("404 Not Found")]);
    let broken = Server::new([Answer::Status("503 Service Unavailable")]);
    let wrong = Server::new([Answer::Body(vec![0; body.len()])]);
    let more = Server::new([Answer::Body([&body[..], b"x"].concat())]);
    let hangs = Server::new([Answer::Hang(Duration::from_secs(2))]);
    let closed = Server {
        base: "http://127.0.0.1:1".to_owned(),
        requests: Arc::default(),
    };
    let servers = [&missing, &broken, &wrong, &more, &hangs, &closed];
    let failure = fixture.fetch(&pin, &servers).await.unwrap_err();
    assert_eq!(failure.class, Class::Environment);
    let text = failure.to_string();
    assert!(
        text.starts_with("download a 1: no server delivered it\n"),
        "{text}"
    );
    for (server, why) in servers.iter().zip([
        "404 Not Found".to_owned(),
        "503 Service Unavailable (3 tries)".to_owned(),
        format!(
            "SHA-256 is {}, pinned is {}",
            Sha256Hash::of(&vec![0; body.len()]),
            pin.sha256
        ),
        "larger than the 300000 bytes that are allowed".to_owned(),
        "no answer in time (3 tries)".to_owned(),
        "Connection refused (3 tries)".to_owned(),
    ]) {
        assert!(
            text.contains(&format!("\n  {}: {why}", server.base)),
            "{why}\n{text}"
        );
    }
    assert_eq!(text.lines().count(), 1 + servers.len());
    assert!(!failure.hints.is_empty());
    assert_eq!(broken.requests().len(), 3);
    assert!(!fixture.object(&pin).exists());
}

#[tokio::test]
async fn mirror_that_drips_is_given_up() {
    let (mut fixture, body) = (Fixture::new(), body());
    // A byte comes long before the stall time has passed.
    fixture.network.read_timeout = Duration::from_millis(800);
    fixture.network.parallel = 1;
    let more: Vec<u8> = body.iter().rev().copied().collect();
    let (a, b) = (pin("a", &body), pin("b", &more));
    let drips = Server::new([Answer::Drip(body.clone(), Duration::from_millis(50))]);
    let has = [&body, &more].map(|bytes| Server::new([Answer::Ranged(bytes.clone())]));
    let mirrors = [&drips, &has[0], &has[1]].map(|s| s.base.clone());
    let cancel = Cancel::new();
    let fetcher = fixture.fetcher();
    let paths = fetcher.pins(&[&a, &b], &mirrors, &cancel).await;
    assert_eq!(paths.unwrap().len(), 2);
    assert_eq!(
        drips.requests().len(),
        1,
        "it is not asked for the other one"
    );
    let resumed = &has[0].requests()[0];
    assert!(resumed.starts_with("/pool/a.deb bytes="), "{resumed}");
    let events = format!("{:?}", fixture.events.lock().unwrap());
    assert!(
        events.contains("sent less than 1 KiB/s for 2 s"),
        "{events}"
    );
    // A nixpkgs, which has only one source and no hash yet.
    let remote = Remote {
        url: &drips.base,
        sha256: None,
        max_bytes: 1 << 20,
        phase: Phase::Nixpkgs,
    };
    let failure = fetcher.url(remote, &cancel).await.unwrap_err().to_string();
    assert!(failure.contains("less than 1 KiB/s"), "{failure}");
}

#[tokio::test]
async fn redirect_loops_and_endless_heads_end() {
    let mut fixture = Fixture::new();
    fixture.network.read_timeout = Duration::from_millis(700);
    fixture.network.tries = 1;
    let around = Server::new([Answer::Moved("Location: /again\r\n".to_owned())]);
    let endless = Server::new([Answer::DripHead(Duration::from_millis(50))]);
    for (server, why) in [
        (&around, "too many redirects"),
        (&endless, "no answer in time"),
    ] {
        let remote = Remote {
            url: &server.base,
            sha256: None,
            max_bytes: 1 << 20,
            phase: Phase::Nixpkgs,
        };
        let got = fixture.fetcher().url(remote, &Cancel::new()).await;
        let failure = got.unwrap_err().to_string();
        assert!(failure.contains(why), "{failure}");
        let mirrors = [server.base.clone()];
        let fetcher = fixture.fetcher();
        let cancel = Cancel::new();
        let found = fetcher.first_reachable(&mirrors, "a", &cancel);
        assert_eq!(found.await.unwrap(), None);
    }
    assert!(around.requests().len() < 30, "{}", around.requests().len());
}

#[tokio::test]
async fn announced_excess_is_not_downloaded() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body[..1000]);
    // Announces everything and sends less than the pin: only the announcement can be the reason.
    let server = Server::new([Answer::Cut(body.clone(), 10)]);
    let failure = fixture.fetch(&pin, &[&server]).await.unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("larger than the 1000 bytes"), "{text}");
}

#[tokio::test]
async fn interrupted_download_is_resumed() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let server = Server::new([
        Answer::Cut(body.clone(), 100_000),
        Answer::Ranged(body.clone()),
    ]);
    assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(
        server.requests(),
        ["/pool/a.deb", "/pool/a.deb bytes=100000-"]
    );
}

#[tokio::test]
async fn download_restarts_without_range_support() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let server = Server::new([
        Answer::Cut(body.clone(), 100_000),
        Answer::Body(body.clone()),
    ]);
    assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
}

#[tokio::test]
async fn silent_mirror_is_asked_once() {
    let fixture = Fixture::new();
    let pins: Vec<Pin> = (0..12).map(|i| pin(&format!("p{i}"), b"same")).collect();
    let pins: Vec<Pin> = pins
        .into_iter()
        .zip(0_u8..)
        .map(|(p, i)| Pin {
            sha256: Sha256Hash::of(&[i]),
            size: 1,
            ..p
        })
        .collect();
    let hangs = Server::new([Answer::Hang(Duration::from_secs(6))]);
    let missing = Server::new([Answer::Status("404 Not Found")]);
    let network = Network {
        tries: 1,
        // Long enough for an answer on a busy machine.
        read_timeout: Duration::from_secs(2),
        parallel: 1,
        ..short_timeouts()
    };
    let fetcher = Fetcher::new(fixture.cache(), network, Events::none()).unwrap();
    let mirrors = [hangs.base.clone(), missing.base.clone()];
    let batch = fetcher.batch(Phase::Fetch, None);
    for pin in &pins {
        let failure = fetcher
            .pinned(pin, &mirrors, &batch)
            .await
            .unwrap_err()
            .to_string();
        assert!(failure.contains("no answer in time"), "{failure}");
    }
    assert_eq!(hangs.requests().len(), 1);
    assert_eq!(missing.requests().len(), 12);
}

#[tokio::test]
async fn answer_that_ends_early_is_resumed() {
    let (fixture, body) = (Fixture::new(), body());
    let pin = pin("a", &body);
    let short = body.iter().copied().take(1000).collect();
    let server = Server::new([Answer::Body(short), Answer::Ranged(body.clone())]);
    assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(
        server.requests(),
        ["/pool/a.deb", "/pool/a.deb bytes=1000-"]
    );
}

#[tokio::test]
async fn largest_file_is_downloaded_first() {
    let fixture = Fixture::new();
    let server = Server::new([Answer::Status("404 Not Found")]);
    let (small, large) = (pin("small", b"s"), pin("large", b"large"));
    let network = Network {
        parallel: 1,
        ..short_timeouts()
    };
    let fetcher = Fetcher::new(fixture.cache(), network, Events::none()).unwrap();
    let asked = fetcher
        .pins(
            &[&small, &large],
            std::slice::from_ref(&server.base),
            &Cancel::new(),
        )
        .await;
    assert!(asked.is_err());
    assert_eq!(server.requests(), ["/pool/large.deb"]);
}

#[tokio::test]
async fn paths_are_in_the_order_of_the_pins() {
    let fixture = Fixture::new();
    let server = Server::new([Answer::Body(b"same".to_vec())]);
    let cached = pin("cached", b"cached");
    fixture.cache();
    fs::write(fixture.object(&cached), "cached").unwrap();
    let same = pin("same", b"same");
    let (fetcher, cancel) = (fixture.fetcher(), Cancel::new());
    let paths = fetcher
        .pins(&[&same, &cached], &[server.base], &cancel)
        .await
        .unwrap();
    assert_eq!(paths, [fixture.object(&same), fixture.object(&cached)]);
}

/// What an earlier run has downloaded is there; nothing else is asked for.
#[tokio::test]
async fn without_a_network_only_the_cache_is_asked() {
    let (fixture, body) = (Fixture::new(), body());
    let (pin, server) = (pin("a", &body), Server::new([Answer::Body(body.clone())]));
    let offline = || Fixture {
        dir: tempfile::tempdir().unwrap(),
        network: Network {
            offline: true,
            ..short_timeouts()
        },
        events: Arc::default(),
    };
    let failure = offline().fetch(&pin, &[&server]).await.unwrap_err();
    assert_eq!(failure.class, Class::Environment);
    assert!(failure.to_string().contains("--offline"), "{failure}");
    let mirrors = [server.base.clone()];
    let reached = offline()
        .fetcher()
        .first_reachable(&mirrors, "x", &Cancel::new())
        .await;
    assert_eq!(reached.unwrap(), None);
    assert_eq!(server.requests(), [""; 0]);
    assert_eq!(fixture.fetch(&pin, &[&server]).await.unwrap(), body);
    let held = Fixture {
        dir: fixture.dir,
        ..offline()
    };
    assert_eq!(held.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(server.requests(), ["/pool/a.deb"]);
}
