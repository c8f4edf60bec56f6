//! What mirrors do, and what is made of it.

use std::fs;
use std::time::Duration;

use super::server::{Answer, Server};
use super::*;
use crate::common::failure::Class;

#[tokio::test]
async fn fetches_once_and_tells_how_far_it_is() {
    let (bench, body) = (Bench::new(), body());
    let (pin, server) = (pin("a", &body), Server::new([Answer::Body(body.clone())]));
    assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(server.asked(), ["/pool/a.deb"]);
    assert_eq!(bench.objects(), [pin.sha256.to_string()]);
    let events = bench.events.lock().unwrap();
    let size = body.len() as u64;
    let Some(Event::Bytes { done, total, .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((*done, *total), (size, Some(size)));
}

#[tokio::test]
async fn a_lacking_mirror_and_a_lying_one_are_left_at_once() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let lacks = Server::new([Answer::Status("404 Not Found")]);
    let mut other = body.clone();
    other[7] ^= 1;
    let lies = Server::new([Answer::Body(other)]);
    let has = Server::new([Answer::Body(body.clone())]);
    assert_eq!(
        bench.fetch(&pin, &[&lacks, &lies, &has]).await.unwrap(),
        body
    );
    assert_eq!([&lacks, &lies, &has].map(|s| s.asked().len()), [1, 1, 1]);
}

#[tokio::test]
async fn a_mirror_that_another_one_stood_in_for_is_told_once() {
    let (bench, body) = (Bench::new(), body());
    let more: Vec<u8> = body.iter().rev().copied().collect();
    let (a, b) = (pin("a", &body), pin("b", &more));
    let lies = Server::new([Answer::Body(vec![0; body.len()])]);
    let has = [&body, &more].map(|bytes| Server::new([Answer::Body(bytes.clone())]));
    let mirrors = [&lies, &has[0], &has[1]].map(|s| s.base.clone());
    let outcome = bench
        .fetcher()
        .pins(&[&a, &b], &mirrors, &Cancel::new())
        .await;
    assert_eq!(outcome.unwrap().len(), 2);
    let events = bench.events.lock().unwrap();
    let told: Vec<String> = events
        .iter()
        .map(|event| format!("{event:?}"))
        .filter(|text| text.contains(&lies.base))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("SHA-256 is"), "{told:?}");
}

#[tokio::test]
async fn a_failure_lists_what_each_mirror_said() {
    let (mut bench, body) = (Bench::new(), body());
    bench.network.idle = Duration::from_millis(700);
    let pin = pin("a", &body);
    let lacks = Server::new([Answer::Status("404 Not Found")]);
    let broken = Server::new([Answer::Status("503 Service Unavailable")]);
    let lies = Server::new([Answer::Body(vec![0; body.len()])]);
    let more = Server::new([Answer::Body([&body[..], b"x"].concat())]);
    let hangs = Server::new([Answer::Hang(Duration::from_secs(2))]);
    let closed = Server {
        base: "http://127.0.0.1:1".to_owned(),
        asked: Arc::default(),
    };
    let servers = [&lacks, &broken, &lies, &more, &hangs, &closed];
    let failure = bench.fetch(&pin, &servers).await.unwrap_err();
    assert_eq!(failure.class, Class::Environment);
    let text = failure.to_string();
    assert!(
        text.starts_with("download a 1: no source gave it\n"),
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
        "Connection refused (os error 111) (3 tries)".to_owned(),
    ]) {
        assert!(
            text.contains(&format!("\n  {}: {why}", server.base)),
            "{why}\n{text}"
        );
    }
    assert_eq!(text.lines().count(), 1 + servers.len());
    assert!(!failure.hints.is_empty());
    assert_eq!(broken.asked().len(), 3);
    assert!(!bench.object(&pin).exists());
}

#[tokio::test]
async fn goes_on_where_it_was_cut() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let server = Server::new([
        Answer::Cut(body.clone(), 100_000),
        Answer::Ranged(body.clone()),
    ]);
    assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(server.asked(), ["/pool/a.deb", "/pool/a.deb bytes=100000-"]);
}

#[tokio::test]
async fn starts_over_where_ranges_are_unknown() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let server = Server::new([
        Answer::Cut(body.clone(), 100_000),
        Answer::Body(body.clone()),
    ]);
    assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
}

#[tokio::test]
async fn a_silent_mirror_is_not_asked_for_every_file() {
    let bench = Bench::new();
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
    let lacks = Server::new([Answer::Status("404 Not Found")]);
    let network = Network {
        tries: 1,
        // Well above what an answer takes on a machine that compiles meanwhile.
        idle: Duration::from_secs(2),
        parallel: 1,
        ..quick()
    };
    let fetcher = Fetcher::new(bench.cache(), network, Events::none()).unwrap();
    let mirrors = [hangs.base.clone(), lacks.base.clone()];
    let call = fetcher.call(None);
    for pin in &pins {
        let failure = fetcher
            .pinned(pin, &mirrors, &call)
            .await
            .unwrap_err()
            .to_string();
        assert!(failure.contains("no answer in time"), "{failure}");
    }
    assert_eq!(hangs.asked().len(), 1);
    assert_eq!(lacks.asked().len(), 12);
}

#[tokio::test]
async fn an_answer_that_ends_early_is_gone_on_with() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let short = body.iter().copied().take(1000).collect();
    let server = Server::new([Answer::Body(short), Answer::Ranged(body.clone())]);
    assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
    assert_eq!(server.asked(), ["/pool/a.deb", "/pool/a.deb bytes=1000-"]);
}

#[tokio::test]
async fn the_largest_is_fetched_first() {
    let bench = Bench::new();
    let server = Server::new([Answer::Status("404 Not Found")]);
    let (small, large) = (pin("small", b"s"), pin("large", b"large"));
    let network = Network {
        parallel: 1,
        ..quick()
    };
    let fetcher = Fetcher::new(bench.cache(), network, Events::none()).unwrap();
    let asked = fetcher
        .pins(
            &[&small, &large],
            std::slice::from_ref(&server.base),
            &Cancel::new(),
        )
        .await;
    assert!(asked.is_err());
    assert_eq!(server.asked(), ["/pool/large.deb"]);
}

#[tokio::test]
async fn several_come_in_the_order_of_their_pins() {
    let bench = Bench::new();
    let server = Server::new([Answer::Body(b"same".to_vec())]);
    let cached = pin("cached", b"cached");
    bench.cache();
    fs::write(bench.object(&cached), "cached").unwrap();
    let same = pin("same", b"same");
    let (fetcher, cancel) = (bench.fetcher(), Cancel::new());
    let paths = fetcher
        .pins(&[&same, &cached], &[server.base], &cancel)
        .await
        .unwrap();
    assert_eq!(paths, [bench.object(&same), bench.object(&cached)]);
}

#[tokio::test]
async fn a_url_without_a_pin_tells_its_hash() {
    let (bench, body) = (Bench::new(), body());
    let server = Server::new([Answer::Cut(body.clone(), 5), Answer::Ranged(body.clone())]);
    let url = format!("{}/x.tar.xz", server.base);
    let remote = |sha256, limit| Remote {
        url: &url,
        sha256,
        limit,
    };
    let (fetcher, cancel) = (bench.fetcher(), Cancel::new());
    let first = fetcher.url(remote(None, 1 << 20), &cancel).await.unwrap();
    assert_eq!(first.sha256, Sha256Hash::of(&body));
    assert_eq!(first.size, body.len() as u64);
    assert_eq!(fs::read(&first.path).unwrap(), body);
    // Nothing vouches for the first part: it is fetched again as a whole.
    assert_eq!(server.asked(), ["/x.tar.xz", "/x.tar.xz"]);
    let again = fetcher
        .url(remote(Some(first.sha256), 1 << 20), &cancel)
        .await
        .unwrap();
    assert_eq!((&again.path, again.sha256), (&first.path, first.sha256));
    assert_eq!(server.asked().len(), 2);

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
        bench.objects().iter().all(|name| !name.starts_with("new-")),
        "{:?}",
        bench.objects()
    );
}

#[tokio::test]
async fn redirections_are_followed_and_told() {
    let (bench, body) = (Bench::new(), body());
    let target = Server::new([Answer::Body(body.clone())]);
    let to = format!("Location: {}/release-1234/nixexprs.tar.xz\r\n", target.base);
    let channel = Server::new([Answer::Moved(to)]);
    let url = format!("{}/channel", channel.base);
    let remote = Remote {
        url: &url,
        sha256: None,
        limit: 1 << 20,
    };
    let first = bench.fetcher().url(remote, &Cancel::new()).await.unwrap();
    assert_eq!(
        first.final_url,
        format!("{}/release-1234/nixexprs.tar.xz", target.base)
    );
    assert_eq!(first.sha256, Sha256Hash::of(&body));
}

#[tokio::test]
async fn the_first_mirror_that_has_it_is_found() {
    let bench = Bench::new();
    let lacks = Server::new([Answer::Status("404 Not Found")]);
    let has = Server::new([Answer::Body(vec![])]);
    let mirrors = ["http://127.0.0.1:1", &lacks.base, &has.base].map(str::to_owned);
    let (fetcher, cancel) = (bench.fetcher(), Cancel::new());
    let first = fetcher
        .first_reachable(&mirrors, "pool/a.deb", &cancel)
        .await
        .unwrap();
    assert_eq!(first.as_ref(), Some(&has.base));
    assert_eq!(has.asked(), ["/pool/a.deb"]);
    let none = fetcher
        .first_reachable(&mirrors[..2], "pool/a.deb", &cancel)
        .await
        .unwrap();
    assert_eq!(none, None);
}

#[tokio::test]
async fn a_mirror_that_never_answers_is_passed_over() {
    let bench = Bench::new();
    // Accepts, by the kernel's hand, and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("http://{}", listener.local_addr().unwrap());
    let has = Server::new([Answer::Body(vec![])]);
    let mirrors = [mute, has.base.clone()];
    let first = bench.fetcher();
    let first = first.first_reachable(&mirrors, "a", &Cancel::new()).await;
    assert_eq!(first.unwrap().as_ref(), Some(&has.base));
}

#[tokio::test]
async fn the_hint_fits_what_failed() {
    let bench = Bench::new();
    let (fetcher, cancel) = (bench.fetcher(), Cancel::new());
    let remote = Remote {
        url: "http://127.0.0.1:1/n.tar.xz",
        sha256: None,
        limit: 1,
    };
    let of_url = fetcher.url(remote, &cancel).await.unwrap_err();
    assert_eq!(of_url.hints, ["check the network and the address"]);
    let pin = pin("a", &body());
    let mirrors = ["http://127.0.0.1:1".to_owned()];
    let of_pin = fetcher.pins(&[&pin], &mirrors, &cancel).await.unwrap_err();
    assert!(
        of_pin.hints[0].contains("SDBUILD_DEBIAN_MIRROR"),
        "{of_pin}"
    );
}
