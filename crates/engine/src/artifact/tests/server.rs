//! A mirror on loopback that gives scripted answers.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with one request.
#[derive(Clone)]
pub(super) enum Answer {
    Body(Vec<u8>),
    Status(&'static str),
    /// Announces the whole body, sends this many bytes of it, and closes the connection.
    Cut(Vec<u8>, usize),
    /// Like `Body`, with support for `Range`.
    Ranged(Vec<u8>),
    /// Redirects with this header.
    Moved(String),
    /// Closes the connection after this time.
    Hang(Duration),
    /// Sends the body after this time.
    Delayed(Vec<u8>, Duration),
    /// Sends the head, then a byte of the body in each such time.
    Drip(Vec<u8>, Duration),
    /// Sends a byte of the head in each such time.
    DripHead(Duration),
}

pub(super) struct Server {
    pub(super) base: String,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Gives each answer once; the last one is repeated.
    pub(super) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
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
        Self { base, requests }
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

pub(super) fn answer_one(mut stream: TcpStream, answer: Answer, log: &Mutex<Vec<String>>) {
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
        // The client may have closed the connection.
        let sent = stream.write_all(head.as_bytes());
        sent.and_then(|()| stream.write_all(body)).ok();
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
        Answer::Delayed(body, time) => {
            pause(time);
            send("200 OK", "", body.len(), &body);
        }
        Answer::Drip(body, time) => {
            send("200 OK", "", body.len(), b"");
            drip(&mut stream, &body, time);
        }
        Answer::DripHead(time) => {
            drip(&mut stream, b"HTTP/1.1 200 OK\r\nX-Long: ", time);
            drip(&mut stream, &[b'x'; 10_000], time);
        }
    }
}

/// Sends a byte of `bytes` in each `time`, until the client closes the connection.
fn drip(stream: &mut TcpStream, bytes: &[u8], time: Duration) {
    for byte in bytes {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        pause(time);
    }
}

#[expect(clippy::disallowed_methods, reason = "the server has no token")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}
