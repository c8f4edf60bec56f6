//! Docker Desktop, SIMULATED: this machine's engine behind answers as its documentation and the reports of those
//! who have it tell them. It says that it is in a virtual machine of its own, and starts no container that is
//! given a directory of its host which is not shared. Never seen for real; whoever has it knows better.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{TestUser, docker};

/// The engine that does the work.
const ENGINE: &str = "/var/run/docker.sock";

/// What it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuses {
    /// Directories of its host.
    Dirs,
    /// Seccomp profiles of its clients as well.
    Profiles,
}

/// The simulation, as long as the value lives; its threads end with the test's process.
pub struct DockerDesktop {
    dir: tempfile::TempDir,
}

impl DockerDesktop {
    pub fn start(refuses: Refuses) -> Self {
        let desktop = Self {
            dir: tempfile::tempdir().unwrap(),
        };
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

    /// A user who has chosen it as Docker Desktop does: by a context.
    pub fn user(&self) -> TestUser {
        let host = format!("host=unix://{}", self.socket().display());
        TestUser::new().with_context("desktop-linux", &host)
    }
}

/// One request per connection: what it answers itself, or the engine's own answer.
fn serve(mut client: UnixStream, refuses: Refuses) {
    // A connection that only looks whether somebody is here has no head.
    let Some(head) = head(&mut client) else {
        return;
    };
    let request = head.lines().next().unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let start = path
        .strip_suffix("/start")
        .and_then(|path| path.rsplit('/').next());
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
            // A client that has gone already is part of some tests.
            client.write_all(answer.as_bytes()).unwrap_or(());
        }
        None => pass_on(client, &head),
    }
}

/// The request's head, with its empty line.
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

/// What it says instead of starting `container`, if it does not.
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
    // What becomes a stream stays one.
    let head = if head.to_lowercase().contains("\r\nupgrade:") {
        head.to_owned()
    } else {
        head.replacen("\r\n", "\r\nConnection: close\r\n", 1)
    };
    if engine.write_all(head.as_bytes()).is_err() {
        return;
    }
    let copy = |mut from: UnixStream, mut to: UnixStream| {
        // Either end may go at any time.
        std::io::copy(&mut from, &mut to).unwrap_or(0);
        to.shutdown(Shutdown::Write).unwrap_or(());
    };
    let (from, to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
    std::thread::spawn(move || copy(from, to));
    copy(engine, client);
}
