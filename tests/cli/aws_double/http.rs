//! What goes over the connections.

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use super::{Shared, answer};
use crate::support::Request;

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

pub(super) fn serve(stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Ok(call) = Request::read(&mut reader) {
        let reply = answer(&call, shared);
        shared.changed.notify_all();
        let Some(reply) = reply else {
            stream.shutdown(std::net::Shutdown::Both).ok();
            return;
        };
        let mut head =
            format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let mut out = stream;
        if out.write_all(format!("{head}\r\n{}", reply.body).as_bytes()).is_err() {
            return;
        }
    }
}

/// An answer without headers.
pub(super) fn reply(status: u16, body: String) -> Reply {
    Reply { status, headers: Vec::new(), body }
}
