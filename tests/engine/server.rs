//! An engine that answers by script, on loopback: one connection, one request, one reply.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sdbuild::engine::Endpoint;

/// What the script answers.
pub(crate) enum Reply {
    /// A whole answer of that status.
    Whole(u16, String),
    /// A success whose body ends before its length.
    Cut(String),
    /// An answer before the request's body was read.
    Early(u16, String),
}

/// A success with that body.
pub(crate) fn ok(body: impl Into<String>) -> Reply {
    Reply::Whole(200, body.into())
}

/// The engine's way to refuse.
pub(crate) fn refused(status: u16, message: &str) -> Reply {
    Reply::Whole(status, format!("{{\"message\":\"{message}\"}}"))
}

type Log = Arc<Mutex<Vec<String>>>;

/// A server that lives as long as the test's process, unless it is closed.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    listener: JoinHandle<()>,
    log: Log,
}

impl Server {
    /// Answers every request (`METHOD /path?query`) by `script`; that of connecting is answered already.
    pub(crate) fn new(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::Tcp(address.to_string());
        let (log, closed) = (Log::default(), Arc::new(AtomicBool::new(false)));
        let (script, seen) = (Arc::new(script), Arc::clone(&log));
        let ends = Arc::clone(&closed);
        let listener = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &*script, &seen));
            }
        });
        Self {
            endpoint,
            address,
            closed,
            listener,
            log,
        }
    }

    /// From now on nobody is there.
    pub(crate) fn close(self) {
        self.closed.store(true, Ordering::SeqCst);
        // It looks when somebody comes.
        drop(TcpStream::connect(self.address).unwrap());
        self.listener.join().unwrap();
    }

    /// The requests so far, bodies as `METHOD /path complete` or `METHOD /path broken`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, script: &dyn Fn(&str) -> Reply, log: &Log) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(n) if n > 2 => head.push(line.trim().to_owned()),
            // A connection that only looks whether somebody is here has no head.
            Ok(_) | Err(_) => break,
        }
    }
    let Some(first) = head.first() else { return };
    let request = first.trim_end_matches(" HTTP/1.1").to_owned();
    let reply = match request.as_str() {
        "GET /version" => script_or(
            script,
            &request,
            r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#,
        ),
        "GET /info" => script_or(
            script,
            &request,
            r#"{"OSType":"linux","Architecture":"x86_64"}"#,
        ),
        _ => script(&request),
    };
    if !matches!(reply, Reply::Early(..)) {
        let whole = read_body(&mut reader, &head);
        log.lock().unwrap().push(format!(
            "{request} {}",
            if whole { "complete" } else { "broken" }
        ));
    }
    answer(stream, reply);
}

/// `script` may say something else than `usual` about connecting, by any status but 599.
fn script_or(script: &dyn Fn(&str) -> Reply, request: &str, usual: &str) -> Reply {
    let reply = script(request);
    if matches!(reply, Reply::Whole(599, _)) {
        ok(usual)
    } else {
        reply
    }
}

/// What scripts say about requests that they do not care about.
pub(crate) fn usual() -> Reply {
    Reply::Whole(599, "{}".into())
}

/// Whether the body came to its end.
fn read_body(reader: &mut BufReader<TcpStream>, head: &[String]) -> bool {
    let chunked = head
        .iter()
        .any(|line| line.to_lowercase() == "transfer-encoding: chunked");
    if !chunked {
        let length = head.iter().find_map(|line| {
            let line = line.to_lowercase();
            line.strip_prefix("content-length: ")?.parse().ok()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        return reader.read_exact(&mut body).is_ok();
    }
    loop {
        let mut size = String::new();
        if reader.read_line(&mut size).is_err() || size.is_empty() {
            return false;
        }
        let length = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        if reader.read_exact(&mut chunk).is_err() {
            return false;
        }
        if length == 0 {
            return true;
        }
    }
}

fn answer(mut stream: TcpStream, reply: Reply) {
    let (status, body, length) = match reply {
        Reply::Whole(status, body) | Reply::Early(status, body) => {
            let length = body.len();
            (status, body, length)
        }
        Reply::Cut(body) => {
            let length = body.len() + 1000;
            (200, body, length)
        }
    };
    let head = format!(
        "HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    // A client that has gone already is part of some scripts.
    stream.write_all(head.as_bytes()).ok();
    stream.write_all(body.as_bytes()).ok();
}
