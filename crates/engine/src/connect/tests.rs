use bollard::API_DEFAULT_VERSION;
use std::future::{pending, ready};
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};

use std::os::unix::net::UnixListener;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::unix_socket::fixture::hung_listener;

fn inputs(dir: &Path) -> EndpointInputs<'static> {
    EndpointInputs {
        docker_host: None,
        docker_context: None,
        docker_config: dir.to_owned(),
        docker_tls_verify: false,
        docker_cert_path: None,
        runtime_dir: None,
    }
}

/// Writes a context file as Docker's client does.
fn write_context(dir: &Path, name: &str, text: &str) {
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let dir = dir.join("contexts/meta").join(digest);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("meta.json"), text).unwrap();
}

fn choose_host(address: &str) -> Result<Endpoint, EngineError> {
    let inputs = inputs(Path::new("/nowhere"));
    choose(&EndpointInputs {
        docker_host: Some(address),
        ..inputs
    })
}

#[test]
fn parses_docker_host_as_docker_does() {
    let unix = Endpoint::Unix("/run/user/1000/docker.sock".into());
    assert_eq!(
        choose_host("unix:///run/user/1000/docker.sock").unwrap(),
        unix
    );
    assert_eq!(
        choose_host("tcp://pi:2375").unwrap(),
        Endpoint::Tcp("pi:2375".into())
    );
    assert_eq!(
        choose_host(" http://pi/ ").unwrap(),
        Endpoint::Tcp("pi:2375".into())
    );
    assert_eq!(
        choose_host("tcp://[::1]").unwrap(),
        Endpoint::Tcp("[::1]:2375".into())
    );
    assert_eq!(
        choose_host("tcp://[::1]:99").unwrap(),
        Endpoint::Tcp("[::1]:99".into())
    );
}

#[test]
fn messages_do_not_contain_passwords() {
    for address in [
        "tcp://u:p4ss@h:1",
        "https://u:p4ss/x@y@h",
        "ssh://u:p4ss@h",
        "u:p4ss@h",
    ] {
        let text = choose_host(address).unwrap_err().to_string();
        assert!(
            text.contains("not supported") && !text.contains("p4ss"),
            "{text}"
        );
    }
}

#[test]
fn finds_contexts_by_the_hash_of_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let meta = r#"{"Name":"pi","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://pi:1"}}}"#;
    write_context(dir.path(), "pi", meta);
    std::fs::write(dir.path().join("config.json"), r#"{"currentContext":"pi"}"#).unwrap();
    let pi = Endpoint::Tcp("pi:1".into());
    assert_eq!(choose(&inputs(dir.path())).unwrap(), pi);
    let named = EndpointInputs {
        docker_context: Some("pi"),
        ..inputs(dir.path())
    };
    assert_eq!(choose(&named).unwrap(), pi);
    let both = EndpointInputs {
        docker_host: Some("tcp://other:2"),
        ..named.clone()
    };
    assert_eq!(choose(&both).unwrap(), Endpoint::Tcp("other:2".into()));
    let empty = EndpointInputs {
        docker_host: Some(""),
        docker_context: None,
        ..named
    };
    assert_eq!(choose(&empty).unwrap(), pi, "empty is unset");
}

#[test]
fn certificates_are_of_the_context_or_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().to_owned();
    let tls = |certificates: &Path| Endpoint::Tls {
        address: "pi:2376".into(),
        certificates: certificates.to_owned(),
    };
    let verified = EndpointInputs {
        docker_host: Some("tcp://pi"),
        docker_tls_verify: true,
        ..inputs(&config)
    };
    assert_eq!(choose(&verified).unwrap(), tls(&config));
    let elsewhere = EndpointInputs {
        docker_cert_path: Some("/certs".into()),
        ..verified
    };
    assert_eq!(choose(&elsewhere).unwrap(), tls(Path::new("/certs")));

    write_context(
        &config,
        "pi",
        r#"{"Endpoints":{"docker":{"Host":"tcp://pi:2376"}}}"#,
    );
    let named = EndpointInputs {
        docker_context: Some("pi"),
        ..inputs(&config)
    };
    assert_eq!(choose(&named).unwrap(), Endpoint::Tcp("pi:2376".into()));
    let digest = hex::encode(Sha256::digest("pi"));
    let material = config.join("contexts/tls").join(digest).join("docker");
    std::fs::create_dir_all(&material).unwrap();
    std::fs::write(material.join("ca.pem"), "").unwrap();
    assert_eq!(choose(&named).unwrap(), tls(&material));

    let blind = r#"{"Endpoints":{"docker":{"Host":"tcp://pi:2376","SkipTLSVerify":true}}}"#;
    write_context(&config, "pi", blind);
    let refusal = choose(&named).unwrap_err().to_string();
    assert!(refusal.contains("disables the verification"), "{refusal}");
}

#[test]
fn a_context_with_certificates_never_falls_back_to_plain_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().to_owned();
    let meta = r#"{"Endpoints":{"docker":{"Host":"tcp://pi:2376"}}}"#;
    write_context(&config, "pi", meta);
    let named = EndpointInputs {
        docker_context: Some("pi"),
        ..inputs(&config)
    };
    let digest = hex::encode(Sha256::digest("pi"));
    let tls = config.join("contexts/tls");
    let material = tls.join(digest).join("docker");
    let refused = || {
        choose(&named)
            .map_err(|error| error.to_string())
            .unwrap_err()
    };

    std::fs::create_dir_all(&material).unwrap();
    let plain = Endpoint::Tcp("pi:2376".into());
    assert_eq!(choose(&named).unwrap(), plain, "the directory is empty");
    std::fs::write(material.join("cert.pem"), "").unwrap();
    let text = refused();
    assert!(
        text.contains("`pi`") && text.contains("no ca.pem"),
        "{text}"
    );
    std::fs::create_dir(material.join("ca.pem")).unwrap();
    let text = refused();
    assert!(text.contains("not a plain file"), "{text}");
    // Root may read any directory, but not a file as one.
    std::fs::remove_dir_all(&tls).unwrap();
    std::fs::write(&tls, "").unwrap();
    let text = refused();
    assert!(text.contains("look for its certificates"), "{text}");
}

#[test]
fn an_invalid_context_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for (text, part) in [
        ("{", "EOF"),
        (r#"{"Endpoints":{}}"#, "names no docker host"),
    ] {
        write_context(dir.path(), "pi", text);
        let named = EndpointInputs {
            docker_context: Some("pi"),
            ..inputs(dir.path())
        };
        let text = choose(&named).unwrap_err().to_string();
        assert!(
            text.contains("docker context `pi`") && text.contains(part),
            "{text}"
        );
    }
    let missing = EndpointInputs {
        docker_context: Some("nas"),
        ..inputs(dir.path())
    };
    assert!(
        choose(&missing)
            .unwrap_err()
            .to_string()
            .contains("docker context `nas`: there is no context of this name")
    );
}

#[test]
fn pipes_instead_of_dockers_files_do_not_block() {
    let dir = tempfile::tempdir().unwrap();
    let make_pipe = |path: &Path| {
        std::fs::remove_file(path).ok();
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    make_pipe(&dir.path().join("config.json"));
    assert_eq!(endpoint::current(dir.path()), None);
    write_context(dir.path(), "pi", "");
    let digest = hex::encode(Sha256::digest("pi"));
    make_pipe(
        &dir.path()
            .join("contexts/meta")
            .join(digest)
            .join("meta.json"),
    );
    let error = endpoint::read(dir.path(), "pi").unwrap_err().to_string();
    assert!(error.contains("not a plain file"), "{error}");
}

#[test]
fn chooses_the_first_listening_socket() {
    let dir = tempfile::tempdir().unwrap();
    let sockets = ["none", "closed", "first", "second"].map(|name| dir.path().join(name));
    drop(UnixListener::bind(&sockets[1]).unwrap());
    assert_eq!(first_listening(&sockets), None);
    let listeners = [2, 3].map(|at| UnixListener::bind(&sockets[at]).unwrap());
    assert_eq!(first_listening(&sockets), Some(&*sockets[2]));
    drop(listeners);
    // It hangs, and is found rather than waited for.
    let hung = hung_listener(&sockets[0]);
    assert_eq!(first_listening(&sockets), Some(&*sockets[0]));
    drop(hung);
}

proptest! {
    #[test]
    fn parses_any_address(address in ".{0,60}") {
        choose_host(&address).map_err(|error| error.to_string()).ok();
    }
}

/// bollard's timeout counts the time in which this process is stopped: after a stop of a minute an engine that was
/// removing a container was reported as silent, and the container was left (fault injection, seed 86189).
#[tokio::test]
async fn the_timeout_of_bollard_never_elapses() {
    let endpoint = Endpoint::Tcp("127.0.0.1:1".into());
    let client = client(&endpoint, API_DEFAULT_VERSION).unwrap();
    assert_eq!(client.timeout(), NEVER);
}

#[test]
fn a_forwarding_that_failed_is_reported_by_ssh() {
    let endpoint = Endpoint::Tcp("x".into());
    let explained = |message: &str| {
        let operation = "ask x for its version".into();
        let silent = EngineError::Silent { operation };
        explain_by_ssh(&endpoint, silent, Some(message.into())).to_string()
    };
    let refused = "channel 2: open failed: connect failed: open failed";
    assert!(explained(refused).contains(refused));
    let warning = "Warning: Permanently added 'x' to the list of known hosts.";
    assert!(explained(warning).contains("did not answer in time"));
}

/// A server that answers with a body without end.
fn endless_server() -> Endpoint {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap().to_string());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut sent = stream.write_all(head.as_bytes());
        while sent.is_ok() {
            std::thread::yield_now();
            sent = stream.write_all(b"1\r\n \r\n");
        }
    });
    endpoint
}

#[tokio::test]
async fn the_timeout_covers_a_body_without_end() {
    let docker = client(&endless_server(), API_DEFAULT_VERSION).unwrap();
    let version = within(Duration::from_millis(300), "ask", docker.version());
    let version = timeout(Duration::from_secs(20), version);
    let error = version.await.unwrap().unwrap_err();
    assert!(matches!(error, EngineError::Silent { .. }), "{error}");
}

const QUICK_KEEPALIVE: KeepAlive = KeepAlive {
    interval: Duration::from_millis(1),
    timeout: Duration::from_millis(1),
    max_failures: 3,
};

#[tokio::test]
async fn a_vanished_end_is_given_up_and_a_busy_one_is_not() {
    assert!(
        QUICK_KEEPALIVE
            .watch(pending::<()>(), pending)
            .await
            .is_none()
    );
    assert!(
        QUICK_KEEPALIVE
            .watch(pending::<()>(), || ready(false))
            .await
            .is_none()
    );
    let probes = AtomicU32::new(0);
    // Two of three probes fail, for as long as the work takes.
    let probe = || ready(probes.fetch_add(1, Ordering::SeqCst) % 3 == 2);
    let work = async {
        while probes.load(Ordering::SeqCst) < 30 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(QUICK_KEEPALIVE.watch(work, probe).await.is_some());
}
