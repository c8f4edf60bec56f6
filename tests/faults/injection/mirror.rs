//! A package mirror of the harness: it serves every package in the shared cache, well or badly.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How a mirror serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    Good,
    /// Sends so many bytes of each file, then nothing more.
    Stalls(usize),
    /// Sends every file slowly.
    Slow,
    /// Sends other bytes of the same length.
    Wrong,
    /// Breaks the connection after so many bytes.
    Cuts(usize),
}

/// A package of a lock file.
#[derive(Clone, Debug)]
pub struct Package {
    pub path: String,
    pub sha256: String,
    pub size: u64,
}

struct Shared {
    /// Files by the path below the mirror's address.
    files: BTreeMap<String, PathBuf>,
    behavior: Mutex<Behavior>,
    closed: AtomicBool,
}

/// A server that runs while the value lives.
pub struct Mirror {
    address: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Mirror {
    /// Starts one for `packages`, whose contents are in `objects` by their hash.
    pub fn open(packages: &[Package], objects: &Path, behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let files = packages.iter();
        let shared = Arc::new(Shared {
            files: files.map(|p| (p.path.clone(), objects.join(&p.sha256))).collect(),
            behavior: Mutex::new(behavior),
            closed: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.closed.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&serving);
                // The client may break the connection.
                std::thread::spawn(move || serve(&shared, stream).unwrap_or(()));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves with `behavior` from now on.
    pub fn behave(&self, behavior: Behavior) {
        *self.shared.behavior.lock().unwrap() = behavior;
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or(());
        }
    }
}

fn serve(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let (mut first, mut from) = (String::new(), None);
    request.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        request.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let mut words = first.split_whitespace();
    let head = words.next() == Some("HEAD");
    let path = words.next().unwrap_or_default().trim_start_matches('/');
    let path = path.replace("%2B", "+").replace("%2b", "+").replace("%7E", "~");
    let file = shared.files.get(&path).and_then(|file| std::fs::read(file).ok());
    answer(shared, stream, (file, from, head))
}

fn answer(
    shared: &Shared,
    mut stream: TcpStream,
    (file, from, head): (Option<Vec<u8>>, Option<usize>, bool),
) -> std::io::Result<()> {
    let Some(mut bytes) = file else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Violations\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let behavior = *shared.behavior.lock().unwrap();
    if behavior == Behavior::Wrong {
        bytes.iter_mut().step_by(1000).for_each(|byte| *byte ^= 1);
    }
    let total = bytes.len();
    let start = from.unwrap_or(0).min(total);
    let (status, range) = match from {
        None => ("200 OK", String::new()),
        Some(_) => (
            "206 Partial Content",
            format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1),
        ),
    };
    let rest = &bytes[start..];
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{range}Connection: close\r\n\r\n",
        rest.len()
    )?;
    if head {
        return Ok(());
    }
    send(shared, &mut stream, (rest, behavior))
}

fn send(
    shared: &Shared,
    stream: &mut TcpStream,
    (bytes, behavior): (&[u8], Behavior),
) -> std::io::Result<()> {
    // Slow enough for the phase to be hit by a fault.
    let (piece, pause) = match behavior {
        Behavior::Slow => (bytes.len() / 40 + 1, Duration::from_millis(100)),
        _ => (64 * 1024, Duration::from_millis(10)),
    };
    let end = match behavior {
        Behavior::Stalls(most) | Behavior::Cuts(most) => most.min(bytes.len() - 1),
        _ => bytes.len(),
    };
    for piece in bytes[..end].chunks(piece) {
        stream.write_all(piece)?;
        stream.flush()?;
        std::thread::sleep(pause);
    }
    while matches!(behavior, Behavior::Stalls(_)) && !shared.closed.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
