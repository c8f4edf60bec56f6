//! git's own server for HTTP (`git http-backend`, a CGI program), as forges have it: the smart protocol, in version 2.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::http::Request;

/// Where Debian's git has the program.
const PROGRAM: &str = "/usr/lib/git-core/git-http-backend";

/// Its answer to `request` for the repositories in `dir`: status, header lines and body.
pub fn git_backend(request: &Request, dir: &Path) -> (String, String, Vec<u8>) {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let header = |name: &str| request.header(name).unwrap_or_default();
    let mut child = Command::new(PROGRAM)
        .env("GIT_PROJECT_ROOT", dir)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, body) = (child.stdin.take().unwrap(), request.body.clone());
    // It may answer before it has read everything.
    let sent = std::thread::spawn(move || stdin.write_all(&body).unwrap_or(()));
    let answer = child.wait_with_output().unwrap().stdout;
    sent.join().unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.unwrap() + 4);
    let head = String::from_utf8_lossy(head);
    let (status, lines): (Vec<&str>, Vec<&str>) =
        head.lines().partition(|line| line.starts_with("Status: "));
    let status = status.first().map_or("200 OK", |line| &line["Status: ".len()..]);
    let lines = lines.join("\r\n").trim_end().to_owned() + "\r\n";
    (status.to_owned(), lines, body.to_owned())
}
