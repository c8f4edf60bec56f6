//! A server on the loopback interface that replies as an engine, by a script: one request per connection.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sdbuild_engine::Endpoint;

use crate::support::Request;

/// A reply of the script.
pub(crate) enum Reply {
    /// A complete reply: status and body.
    Whole(u16, String),
    /// Status 200 with a body that is shorter than its announced length.
    Cut(String),
    /// A complete reply that is sent before the request's body was read.
    Early(u16, String),
}

/// Status 200 with a body.
pub(crate) fn ok(body: impl Into<String>) -> Reply {
    Reply::Whole(200, body.into())
}

/// An error in the engine's format.
pub(crate) fn refused(status: u16, message: &str) -> Reply {
    Reply::Whole(status, format!("{{\"message\":\"{message}\"}}"))
}

type Log = Arc<Mutex<Vec<String>>>;

/// A server that runs until the test's process ends or it is closed.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    listener: JoinHandle<()>,
    log: Log,
}

impl Server {
    /// Replies to every request (`METHOD /path?query`) by `script`.
    pub(crate) fn new(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::Tcp(address.to_string());
        let (log, closed) = (Log::default(), Arc::new(AtomicBool::new(false)));
        let (script, seen) = (Arc::new(script), Arc::clone(&log));
        let is_closed = Arc::clone(&closed);
        let listener = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &*script, &seen));
            }
        });
        Self { endpoint, address, closed, listener, log }
    }

    /// Closes the listening socket.
    pub(crate) fn close(self) {
        self.closed.store(true, Ordering::SeqCst);
        // The listener checks the flag at the next connection.
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
    // A connection that is only a check for a listener has no request.
    let Ok(mut received) = Request::read_head(&mut reader) else { return };
    let request = format!("{} {}", received.method, received.target);
    let reply = match request.as_str() {
        "GET /version" => {
            script_or(script, &request, r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#)
        }
        "GET /info" => script_or(script, &request, r#"{"OSType":"linux","Architecture":"x86_64"}"#),
        _ => script(&request),
    };
    if !matches!(reply, Reply::Early(..)) {
        let whole = received.read_body(&mut reader).is_ok();
        let end = if whole { "complete" } else { "broken" };
        log.lock().unwrap().push(format!("{request} {end}"));
    }
    answer(stream, reply);
}

/// The reply of `script`, or status 200 with `default` for [`default_reply`].
fn script_or(script: &dyn Fn(&str) -> Reply, request: &str, default: &str) -> Reply {
    let reply = script(request);
    if matches!(reply, Reply::Whole(599, _)) { ok(default) } else { reply }
}

/// The reply for requests that a test does not care about: the server's own when connecting, else status 599.
pub(crate) fn default_reply() -> Reply {
    Reply::Whole(599, "{}".into())
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
    // In some tests the client has disconnected already.
    stream.write_all(head.as_bytes()).ok();
    stream.write_all(body.as_bytes()).ok();
}
