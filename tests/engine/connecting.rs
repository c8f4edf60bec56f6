//! Connecting: what listens at an endpoint, and whether an engine still responds.

use std::net::TcpListener;
use std::time::Duration;

use sdbuild_core::failure::{Class, Failure};
use sdbuild_engine::{Endpoint, Engine};

use crate::scripted;
use crate::server::{Reply, Server, default_reply, ok, refused};

async fn connect_to(endpoint: &Endpoint) -> Failure {
    Engine::connect(endpoint).await.unwrap_err().into()
}

#[tokio::test]
async fn an_absent_engine_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap().to_string());
    drop(listener);
    let failure = connect_to(&endpoint).await;
    assert_eq!(failure.class, Class::Environment);
    let text = failure.to_string();
    assert!(text.contains(&endpoint.to_string()) && text.contains("Connection refused"), "{text}");
    let failure = connect_to(&Endpoint::Unix("/nonexistent/docker.sock".into())).await;
    assert!(failure.to_string().contains("No such file"), "{failure}");
    assert!(failure.hints.iter().any(|hint| hint.contains("systemctl start docker")));
}

#[tokio::test]
async fn servers_that_are_no_engine_are_distinguished() {
    for (reply, words) in [
        (
            r#"{"Version":"19.03","ApiVersion":"1.40"}"#,
            "has API 1.40, but sdbuild needs 1.41 or later",
        ),
        (r#"{"hello":"world"}"#, "not a Docker-compatible engine"),
        ("<html>welcome</html>", "not a Docker-compatible engine"),
    ] {
        let server = Server::new(move |_| ok(reply));
        let text = connect_to(&server.endpoint).await.to_string();
        assert!(text.contains(words), "{text}");
    }
    let tls = Server::new(|_| {
        Reply::Whole(400, "Client sent an HTTP request to an HTTPS server.\n".into())
    });
    let failure = connect_to(&tls.endpoint).await;
    assert!(failure.to_string().contains("requires TLS"), "{failure}");
    let web = Server::new(|_| Reply::Whole(404, "<html>not here</html>".into()));
    assert!(connect_to(&web.endpoint).await.to_string().contains("not here"));
}

#[tokio::test]
async fn reads_the_facts_of_an_engine() {
    let server = Server::new(|request| match request {
        "GET /version" => ok(
            r#"{"Version":"5.4.2","ApiVersion":"1.41","Components":[{"Name":"Podman Engine","Version":"5"}]}"#,
        ),
        "GET /info" => ok(
            r#"{"OSType":"linux","Architecture":"arm64","SecurityOptions":["name=rootless"],"NCPU":4}"#,
        ),
        _ => default_reply(),
    });
    let engine = Engine::connect(&server.endpoint).await.unwrap();
    let facts = engine.facts();
    assert!(facts.podman && facts.rootless);
    assert_eq!((facts.architecture.to_string().as_str(), facts.cpus), ("aarch64", 4));
    let client = format!("podman --url {}", server.endpoint);
    assert_eq!(engine.address().client(), client);
}

/// A connection that was refused counted as a response.
#[tokio::test]
async fn an_error_is_a_response_and_a_refused_connection_is_not() {
    let limit = Duration::from_secs(5);
    let (engine, server) = scripted::engine(|_| refused(500, "busy")).await;
    assert!(engine.answers(limit).await && !engine.is_silent(limit).await);
    server.close();
    assert!(!engine.answers(limit).await);
    assert!(!engine.is_silent(limit).await, "the refusal came at once");
    let (engine, _server) = scripted::engine(|_| {
        std::thread::sleep(Duration::from_hours(1));
        default_reply()
    })
    .await;
    let moment = Duration::from_millis(300);
    assert!(!engine.answers(moment).await && engine.is_silent(moment).await);
}
