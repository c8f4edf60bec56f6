//! What servers of the tests read from a connection.

use std::collections::BTreeMap;
use std::io::{BufRead, Error, ErrorKind, Result};

/// A request as a server receives it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The target: a path, or a URL when the server is used as a proxy.
    pub target: String,
    /// The header lines; their names are in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// Reads a request without its body. A connection that was only opened has none.
    pub fn read_head(reader: &mut dyn BufRead) -> Result<Self> {
        let first = read_line(reader)?;
        let mut words = first.split(' ').map(str::to_owned);
        let mut word = || words.next().ok_or(Error::from(ErrorKind::UnexpectedEof));
        let (method, target) = (word()?, word()?);
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = read_line(reader)?.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        Ok(Self { method, target, headers, body: Vec::new() })
    }

    /// Reads the body, which has a length or comes in chunks; an error is one that ends too early.
    pub fn read_body(&mut self, reader: &mut dyn BufRead) -> Result<()> {
        if self.header("transfer-encoding") != Some("chunked") {
            let length = self.header("content-length").map_or(0, |text| text.parse().unwrap());
            self.body.resize(length, 0);
            return reader.read_exact(&mut self.body);
        }
        loop {
            let size = read_line(reader)?;
            let length = usize::from_str_radix(&size, 16).map_err(Error::other)?;
            // Behind each chunk is the end of a line.
            let mut chunk = vec![0; length + 2];
            reader.read_exact(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            self.body.extend_from_slice(&chunk[..length]);
        }
    }

    /// Reads a whole request.
    pub fn read(reader: &mut dyn BufRead) -> Result<Self> {
        let mut request = Self::read_head(reader)?;
        request.read_body(reader)?;
        Ok(request)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The name of the file that is asked for, such as `nar/….nar`.
    pub fn file(&self) -> &str {
        let path = match self.target.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => &self.target,
        };
        path.trim_start_matches('/')
    }

    pub fn is_nar(&self) -> bool {
        self.file().starts_with("nar/")
    }
}

fn read_line(reader: &mut dyn BufRead) -> Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
