use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::cache::Found;
use super::*;
use crate::cancel::Cancel;
use crate::event::{Event, Events};
use crate::failure::{Class, Failure};

/// What the server does with one request.
#[derive(Clone)]
enum Answer {
    Body(Vec<u8>),
    Status(&'static str),
    /// Promises the whole, sends so many bytes of it, and hangs up.
    Cut(Vec<u8>, usize),
    /// As `Body`, but knows `Range`.
    Ranged(Vec<u8>),
    /// Leads elsewhere, by this header.
    Moved(String),
    /// Says nothing for a while.
    Hang(Duration),
    /// Sends after a while.
    Late(Vec<u8>, Duration),
}

struct Server {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers in turn; the last answer is repeated.
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let mut answers: VecDeque<Answer> = answers.into_iter().collect();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let next = if answers.len() > 1 {
                    answers.pop_front()
                } else {
                    answers.front().cloned()
                };
                let (log, answer) = (log.clone(), next.unwrap());
                std::thread::spawn(move || answer_one(stream.unwrap(), answer, &log));
            }
        });
        Self { base, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer_one(mut stream: TcpStream, answer: Answer, log: &Mutex<Vec<String>>) {
    let mut head = String::new();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    while lines.read_line(&mut head).unwrap() > 2 {}
    let range = head
        .lines()
        .find_map(|l| l.to_lowercase().strip_prefix("range: ").map(str::to_owned));
    let path = head.split(' ').nth(1).unwrap().to_owned();
    log.lock().unwrap().push(match &range {
        Some(range) => format!("{path} {range}"),
        None => path,
    });
    let from = range.map_or(0, |r| {
        r.trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap()
    });
    let mut send = |status: &str, extra: &str, len: usize, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nConnection: close\r\n{extra}\r\n"
        );
        // The other side may be gone; that is its right.
        drop(
            stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(body)),
        );
    };
    match answer {
        Answer::Status(status) => send(status, "", 0, b""),
        Answer::Cut(body, at) => send("200 OK", "", body.len(), &body[..at]),
        Answer::Ranged(body) if from > 0 => {
            let extra = format!(
                "Content-Range: bytes {from}-{}/{}\r\n",
                body.len() - 1,
                body.len()
            );
            send(
                "206 Partial Content",
                &extra,
                body.len() - from,
                &body[from..],
            );
        }
        Answer::Body(body) | Answer::Ranged(body) => send("200 OK", "", body.len(), &body),
        Answer::Moved(to) => send("302 Found", &to, 0, b""),
        Answer::Hang(time) => pause(time),
        Answer::Late(body, time) => {
            pause(time);
            send("200 OK", "", body.len(), &body);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the server has no token")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn quick() -> Network {
    Network {
        connect: Duration::from_millis(500),
        idle: Duration::from_secs(10),
        tries: 3,
        pause: Duration::from_millis(1),
        parallel: 4,
    }
}

fn body() -> Vec<u8> {
    (0..300_000_u32)
        .map(|i| ((i * 7919) >> 5).to_le_bytes()[0])
        .collect()
}

fn pin(name: &str, bytes: &[u8]) -> Pin {
    Pin {
        name: name.to_owned(),
        version: "1".to_owned(),
        path: format!("pool/{name}.deb"),
        size: bytes.len() as u64,
        sha256: Sha256Hash::of(bytes),
    }
}

struct Bench {
    folder: tempfile::TempDir,
    network: Network,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            network: quick(),
            events: Arc::default(),
        }
    }

    fn cache(&self) -> Cache {
        Cache::open(self.folder.path()).unwrap()
    }

    fn fetcher(&self) -> Fetcher {
        let events = self.events.clone();
        let events = Events::new(move |event| events.lock().unwrap().push(event));
        Fetcher::new(self.cache(), self.network.clone(), events).unwrap()
    }

    async fn fetch(&self, pin: &Pin, servers: &[&Server]) -> Result<Vec<u8>, Failure> {
        let mirrors: Vec<_> = servers.iter().map(|s| s.base.clone()).collect();
        let paths = self
            .fetcher()
            .pins(&[pin], &mirrors, &Cancel::new())
            .await?;
        assert_eq!(paths.len(), 1);
        Ok(fs::read(&paths[0]).unwrap())
    }

    fn objects(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path().join("sha256")).unwrap();
        let mut names: Vec<_> = names
            .map(|n| n.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn object(&self, pin: &Pin) -> std::path::PathBuf {
        self.folder
            .path()
            .join("sha256")
            .join(pin.sha256.to_string())
    }
}

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
        |path, _| fs::create_dir_all(path.join("folder")).unwrap(),
        |path, _| std::os::unix::fs::symlink("/etc/hostname", path).unwrap(),
    ];
    for damage in damages {
        let bench = Bench::new();
        bench.cache();
        damage(&bench.object(&pin), &body);
        assert_eq!(
            bench.cache().find(pin.sha256).await.unwrap(),
            Found::Damaged
        );
        assert_eq!(bench.fetch(&pin, &[&server]).await.unwrap(), body);
        assert!(fs::symlink_metadata(bench.object(&pin)).unwrap().is_file());
        assert_eq!(bench.objects().len(), 1);
    }
}

#[tokio::test]
async fn a_folder_in_the_way_of_a_half_fetched_file_is_removed() {
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
        let fetched = tokio::time::timeout(Duration::from_secs(20), bench.fetch(&pin, &mirrors));
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
    assert!(error.starts_with("make the cache folder /"), "{error}");
    assert!(error.contains("/cache: "), "{error}");
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
    let hangs = Server::new([Answer::Hang(Duration::from_secs(2))]);
    let lacks = Server::new([Answer::Status("404 Not Found")]);
    let network = Network {
        tries: 1,
        idle: Duration::from_millis(300),
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

#[tokio::test]
async fn emptying_removes_ours_alone_and_only_when_nobody_uses_it() {
    let (bench, body) = (Bench::new(), body());
    let pin = pin("a", &body);
    let root = bench.folder.path().join("cache");
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
