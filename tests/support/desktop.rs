//! A SIMULATION of Docker Desktop: this machine's engine behind a proxy that gives the answers which the
//! documentation and bug reports of Docker Desktop describe. It reports a virtual machine of its own, and starts no
//! container with a directory of the host that is not shared. It was never compared with the real product.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{TestUser, docker};

/// The socket of the engine behind the proxy.
const ENGINE: &str = "/var/run/docker.sock";

/// What the simulation refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuses {
    /// Directories of its host.
    Dirs,
    /// Directories of its host, and seccomp profiles of its clients.
    Profiles,
}

/// The running proxy; its threads end with the test's process.
pub struct DockerDesktop {
    dir: tempfile::TempDir,
}

impl DockerDesktop {
    pub fn start(refuses: Refuses) -> Self {
        let desktop = Self { dir: tempfile::tempdir().unwrap() };
        let listener = UnixListener::bind(desktop.socket()).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(stream, refuses));
            }
        });
        desktop
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// A user whose Docker context names the simulation, as Docker Desktop sets it up.
    pub fn user(&self) -> TestUser {
        let host = format!("host=unix://{}", self.socket().display());
        TestUser::new().with_context("desktop-linux", &host)
    }
}

/// Handles one request per connection: answers it, or passes it on to the engine.
fn serve(mut client: UnixStream, refuses: Refuses) {
    // A connection that only probes the socket sends no head.
    let Some(head) = head(&mut client) else { return };
    let request = head.lines().next().unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let start = path.strip_suffix("/start").and_then(|path| path.rsplit('/').next());
    let answer = match start {
        Some(container) => refusal(container, refuses).map(|message| (500, message)),
        None if path.ends_with("/info") => Some((200, info())),
        None => None,
    };
    match answer {
        Some((status, body)) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} Simulated\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            // Some tests kill the client before.
            client.write_all(answer.as_bytes()).unwrap_or(());
        }
        None => pass_on(client, &head),
    }
}

/// Reads the request's head, with its empty line.
fn head(client: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn info() -> String {
    let text = docker(&["info", "--format", "{{json .}}"]);
    let mut info: Value = serde_json::from_str(&text).unwrap();
    for (key, value) in [
        ("OperatingSystem", "Docker Desktop"),
        ("Name", "docker-desktop"),
        ("KernelVersion", "6.12.54-linuxkit"),
    ] {
        info[key] = value.into();
    }
    info.to_string()
}

/// The error with which the simulation refuses to start `container`, if it does.
fn refusal(container: &str, refuses: Refuses) -> Option<String> {
    let told = |template: &str| {
        let text = docker(&["inspect", "--format", template, container]);
        text.trim().to_owned()
    };
    let dir = told(r#"{{range .Mounts}}{{if eq .Type "bind"}}{{.Source}}{{end}}{{end}}"#);
    let profile = told("{{.HostConfig.SecurityOpt}}").contains("seccomp=");
    let message = match refuses {
        _ if !dir.is_empty() => format!(
            "Mounts denied: \nThe path {dir} is not shared from the host and is not known to Docker.\n\
             You can configure shared paths from Docker -> Preferences... -> Resources -> File Sharing."
        ),
        Refuses::Profiles if profile => "seccomp profile: not allowed".to_owned(),
        Refuses::Profiles | Refuses::Dirs => return None,
    };
    Some(serde_json::json!({ "message": message }).to_string())
}

/// Copies both ways until both have ended.
fn pass_on(client: UnixStream, head: &str) {
    let mut engine = UnixStream::connect(Path::new(ENGINE)).unwrap();
    // A request that upgrades to a stream must keep its connection.
    let head = if head.to_lowercase().contains("\r\nupgrade:") {
        head.to_owned()
    } else {
        head.replacen("\r\n", "\r\nConnection: close\r\n", 1)
    };
    if engine.write_all(head.as_bytes()).is_err() {
        return;
    }
    let copy = |mut from: UnixStream, mut to: UnixStream| {
        // Either end may close at any time.
        std::io::copy(&mut from, &mut to).unwrap_or(0);
        to.shutdown(Shutdown::Write).unwrap_or(());
    };
    let (from, to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
    std::thread::spawn(move || copy(from, to));
    copy(engine, client);
}
