//! Waiting for a container's end.

use sdbuild_engine::EngineError;

use crate::scripted;
use crate::server::{Reply, default_reply, ok, refused};

#[tokio::test]
async fn a_connection_that_ends_during_a_wait_is_lost() {
    let (container, _server) = scripted::container(|request| {
        if request.contains("/wait") { Reply::Cut(String::new()) } else { default_reply() }
    })
    .await;
    let error = container.wait().await.unwrap_err();
    assert!(matches!(error, EngineError::Lost { .. }), "{error}");
    assert!(error.to_string().contains(container.name()), "{error}");
}

#[tokio::test]
async fn reads_the_exit_status_of_every_answer() {
    for (answer, code) in [
        (r#"{"StatusCode":0}"#, 0),
        (r#"{"StatusCode":137}"#, 137),
        (r#"{"StatusCode":4,"Error":{}}"#, 4),
        (r#"{"StatusCode":4,"Error":null}"#, 4),
    ] {
        let (container, _server) = scripted::container(move |request| match request {
            wait if wait.contains("/wait") => ok(answer),
            _ => ok(r#"{"State":{"OOMKilled":true}}"#),
        })
        .await;
        let exit = container.wait().await.unwrap();
        assert_eq!((exit.code, exit.oom_killed), (code, true), "{answer}");
    }
}

/// Another run may remove a container that has ended.
#[tokio::test]
async fn a_container_that_is_gone_has_an_exit_status() {
    let (container, _server) = scripted::container(|request| match request {
        wait if wait.contains("/wait") => ok(r#"{"StatusCode":4}"#),
        inspect if inspect.ends_with("/json") => refused(404, "no such container"),
        _ => default_reply(),
    })
    .await;
    let exit = container.wait().await.unwrap();
    assert_eq!((exit.code, exit.oom_killed), (4, false));
}

/// A removal may be faster than the request that waits.
#[tokio::test]
async fn a_container_that_is_gone_before_the_wait_is_an_error() {
    let (container, _server) = scripted::container(|request| match request {
        wait if wait.contains("/wait") => refused(404, "no such container"),
        _ => default_reply(),
    })
    .await;
    let error = container.wait().await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}
