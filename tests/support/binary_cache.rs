//! A signed binary cache of small outputs, and servers on this machine that deliver it to builders, well or badly.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::git_backend::git_backend;
use super::http::Request;
use super::{STORE, TestUser, in_builder, lock, manifest, run, shared};

/// How a server answers a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The file in the cache's directory; 404 without one.
    File,
    /// This text.
    Text(String),
    /// Another file of the cache in its place.
    Other(PathBuf),
    /// The file with some bytes in its middle changed.
    Changed,
    /// Half of the file, then the end of the connection.
    Cut,
    /// Half of the file, then nothing for ten minutes.
    Silence,
    /// Half of the file, then four bytes a second.
    Trickle,
    /// What git's own server answers, which has the repositories of the directory.
    Git,
    /// A status such as `503 Service Unavailable`, with further header lines.
    Status(&'static str, String),
}

type Manner = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server of a binary cache that containers reach. Its threads end with the test's process.
pub struct CacheServer {
    port: u16,
    tls: bool,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// What both kinds of connections are.
trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

impl CacheServer {
    /// Serves the files in `dir` in this `manner`.
    pub fn start(dir: &Path, manner: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(dir, Arc::new(manner), None)
    }

    /// Serves them well.
    pub fn good(dir: &Path) -> Self {
        Self::start(dir, |_| Reply::File)
    }

    /// Serves them in this `manner` over TLS.
    pub fn over_tls(
        dir: &Path,
        tls: rustls::ServerConfig,
        manner: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(dir, Arc::new(manner), Some(Arc::new(tls)))
    }

    fn listen(dir: &Path, manner: Arc<Manner>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            tls: tls.is_some(),
            requests: Arc::default(),
        };
        let (dir, requests) = (dir.to_owned(), Arc::clone(&server.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (dir, manner) = (dir.clone(), Arc::clone(&manner));
                let (requests, tls) = (Arc::clone(&requests), tls.clone());
                std::thread::spawn(move || {
                    let mut stream: Box<dyn Connection> = match tls {
                        None => Box::new(stream),
                        Some(tls) => Box::new(over_tls(stream, tls)),
                    };
                    // A client may go at any time.
                    answer(&mut *stream, &dir, &*manner, &requests).unwrap_or(());
                });
            }
        });
        server
    }

    /// Its address for containers on the engine's default network.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}", host_for_containers(), self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many files of store paths were asked for.
    pub fn nars(&self) -> usize {
        self.requests().iter().filter(|r| r.is_nar()).count()
    }
}

/// This machine's address on the engine's default network. Docker does not always tell it.
pub fn host_for_containers() -> String {
    let show = ["-4", "-oneline", "address", "show", "dev", "docker0"];
    let shown = run(Command::new("ip").args(show)).assert_exit_code(0);
    let address = shown.stdout.split_whitespace().nth(3).unwrap();
    address.split('/').next().unwrap().to_owned()
}

fn over_tls(
    stream: TcpStream,
    tls: Arc<rustls::ServerConfig>,
) -> rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    rustls::StreamOwned::new(rustls::ServerConnection::new(tls).unwrap(), stream)
}

/// Answers the one request of a connection.
fn answer(
    stream: &mut dyn Connection,
    dir: &Path,
    manner: &Manner,
    requests: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let request = Request::read(&mut BufReader::new(&mut *stream))?;
    requests.lock().unwrap().push(request.clone());
    let reply = manner(&request);
    let ((status, more), bytes) = match &reply {
        Reply::Status(status, more) => (((*status).to_owned(), more.clone()), None),
        Reply::Git => {
            let (status, more, bytes) = git_backend(&request, dir);
            ((status, more), Some(bytes))
        }
        Reply::File
        | Reply::Text(_)
        | Reply::Other(_)
        | Reply::Changed
        | Reply::Cut
        | Reply::Silence
        | Reply::Trickle => {
            let bytes = body(&reply, &dir.join(request.file()));
            let status = match bytes {
                Some(_) => "200 OK",
                None => "404 Not Found",
            };
            ((status.to_owned(), String::new()), bytes)
        }
    };
    let bytes = bytes.unwrap_or_default();
    let length = bytes.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes())?;
    let breaks_off = matches!(reply, Reply::Cut | Reply::Silence | Reply::Trickle);
    let (now, rest) = bytes.split_at(if breaks_off { length / 2 } else { length });
    stream.write_all(now)?;
    stream.flush()?;
    if matches!(reply, Reply::Silence) {
        std::thread::sleep(Duration::from_mins(10));
    } else if matches!(reply, Reply::Trickle) {
        for byte in rest {
            std::thread::sleep(Duration::from_millis(250));
            stream.write_all(std::slice::from_ref(byte))?;
            stream.flush()?;
        }
    }
    Ok(())
}

/// The bytes of an answer about the file `path`, if there are any.
fn body(reply: &Reply, path: &Path) -> Option<Vec<u8>> {
    match reply {
        Reply::Text(text) => Some(text.clone().into_bytes()),
        Reply::Other(other) => fs::read(other).ok(),
        Reply::Status(..) | Reply::Git => None,
        Reply::File | Reply::Cut | Reply::Silence | Reply::Trickle => fs::read(path).ok(),
        Reply::Changed => {
            let mut bytes = fs::read(path).ok()?;
            let half = bytes.len() / 2;
            bytes[half..].iter_mut().take(64).for_each(|b| *b ^= 0x55);
            Some(bytes)
        }
    }
}

/// The directory of a signed binary cache, and its public key.
pub struct BinaryCache {
    pub dir: PathBuf,
    pub key: String,
}

/// What both kinds of caches begin with: a new key.
const NEW_KEY: &str = r"
export NIX_CONFIG='build-users-group =
sandbox = false
substituters =
experimental-features = nix-command'
cd /cache
nix key generate-secret --key-name tests-1 >key
nix key convert-secret-to-public <key >key.pub
";
/// Copies `$paths` into the cache.
const COPY: &str = r#"
nix copy --to "file:///cache/files?compression=zstd&secret-key=/cache/key" $paths
chmod -R a+rwX /cache/*
touch /cache/complete
"#;
/// Builds what the expression in `/cached.nix` has for each case, and copies it into a cache that is signed with a new key.
const MAKE: &str = r#"
each='{ cases }: map (case: import /cached.nix { inherit case; }) (builtins.filter builtins.isString (builtins.split " " cases))'
paths=$(nix-build --no-out-link -E "$each" --argstr cases "$*")
"#;
/// Everything that derivations are made of, but for the image and its file system. Downloads are included: Nix (2.26) fetches those of
/// `<nix/fetchurl.nix>` in a fork of its own process, which may wait forever for a lock that a thread of the parent held, and
/// fetching from a cache beside it takes such threads.
const MADE_OF: &str = r#"
paths=$(nix-store -qR --include-outputs "$@" | grep -v -e '\.drv$' -e '\.img')
"#;

impl BinaryCache {
    /// The cache with what `expression` (a function of `case`) has for `cases`. The engine must have the builder's container
    /// image.
    pub fn of(expression: &Path, cases: &[&str]) -> Self {
        let text = fs::read_to_string(expression).unwrap();
        let volume = format!("{}:/cached.nix:ro", expression.display());
        Self::made_once("cases", &text, MAKE, STORE, &[&volume], cases)
    }

    /// The cache, one of this `kind`, with everything that the builds of `images` took, which the store volume `store` must have.
    pub fn made_of(kind: &str, store: &str, images: &[&Path]) -> Self {
        let derivation =
            |image: &&Path| manifest(image)["result"]["derivation"].as_str().unwrap().to_owned();
        let derivations: Vec<String> = images.iter().map(derivation).collect();
        let derivations: Vec<&str> = derivations.iter().map(String::as_str).collect();
        Self::made_once(kind, "", MADE_OF, store, &[], &derivations)
    }

    /// The cache with the packages of a system with this `configuration`, which is built in the shared store for it, with native glue and
    /// under emulation: either takes downloads that the other does not, and a store that fetches from the cache must find all of them
    /// there, see [`MADE_OF`].
    pub fn of_packages(configuration: &str) -> Self {
        let users = ["native", "emulated"].map(|glue| {
            let user = TestUser::new();
            let done = user.build_of(configuration, &["--glue", glue]).assert_exit_code(0);
            (done.image(), user)
        });
        let images = users.each_ref().map(|(image, _)| image.as_path());
        Self::made_of("of-packages", STORE, &images)
    }

    /// The cache that the builder's Nix makes in `store` in a script with `words`, and that is kept below `target` until another one of
    /// this kind is made.
    fn made_once(
        kind: &str,
        text: &str,
        paths: &str,
        store: &str,
        volumes: &[&str],
        words: &[&str],
    ) -> Self {
        let _one_at_a_time = lock("binary-cache");
        let script = format!("{NEW_KEY}{paths}{COPY}");
        let content = format!("{script}{text}{}", words.join(" "));
        let hash = sdbuild_core::hash::Sha256Hash::of(content.as_bytes()).to_string();
        let all = shared("binary-cache").join(kind);
        let dir = all.join(&hash[..16]);
        if !dir.join("complete").exists() {
            fs::remove_dir_all(&all).unwrap_or(());
            fs::create_dir_all(&dir).unwrap();
            // The builder's user has no account here.
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
            let cache = format!("{}:/cache", dir.display());
            let volumes = [&[cache.as_str()], volumes].concat();
            in_builder(store, &volumes, &script, words).assert_exit_code(0);
        }
        Self {
            key: fs::read_to_string(dir.join("key.pub")).unwrap().trim().to_owned(),
            dir: dir.join("files"),
        }
    }

    /// The path of the `.narinfo` of the store path with this name.
    pub fn info(&self, name: &str) -> PathBuf {
        let infos = fs::read_dir(&self.dir).unwrap().map(|e| e.unwrap().path());
        let ending = format!("-{name}");
        let has_name = |path: &PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with("StorePath: "));
            line.is_some_and(|line| line.ends_with(&ending))
        };
        let mut infos = infos.filter(|path| path.extension().is_some_and(|e| e == "narinfo"));
        infos.find(has_name).unwrap_or_else(|| panic!("no {name} in the cache"))
    }

    /// A line of the `.narinfo` of the store path with this name.
    pub fn field(&self, name: &str, field: &str) -> String {
        let text = fs::read_to_string(self.info(name)).unwrap();
        let start = format!("{field}: ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap().to_owned()
    }
}
