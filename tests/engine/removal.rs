//! Removing containers, volumes and images: only sdbuild's own, and until they are gone.

use std::sync::atomic::{AtomicU32, Ordering};

use sdbuild::engine::EngineError;

use crate::scripted;
use crate::server::{default_reply, ok, refused};

/// A container with sdbuild's label.
const OURS: &str = r#"{"Config":{"Labels":{"dev.sdbuild.run":"0123456789ab"}}}"#;
/// Podman's message for a container that ended between Podman's check and its signal.
const ENDED: &str = "cannot remove container x as it could not be stopped: sending SIGKILL to container x: \
                     container state improper: stopped";

#[tokio::test]
async fn a_temporary_refusal_is_retried() {
    for (status, message) in [
        (409, "removal of container x is already in progress"),
        (500, ENDED),
    ] {
        assert_is_retried(status, message).await;
    }
}

async fn assert_is_retried(status: u16, message: &'static str) {
    let inspections = AtomicU32::new(0);
    let (engine, server) = scripted::engine(move |request| match request {
        delete if delete.starts_with("DELETE") => refused(status, message),
        inspect if inspect.contains("/json") => match inspections.fetch_add(1, Ordering::SeqCst) {
            0..3 => ok(OURS),
            _ => refused(404, "no such container: x"),
        },
        _ => default_reply(),
    })
    .await;
    engine.remove_container("x").await.unwrap();
    let deletions = server
        .requests()
        .iter()
        .filter(|r| r.starts_with("DELETE"))
        .count();
    assert_eq!(deletions, 3);
}

#[tokio::test]
async fn objects_without_our_labels_are_never_removed() {
    let (engine, server) = scripted::engine(|request| match request {
        inspect if inspect.starts_with("GET /containers/x") => {
            ok(r#"{"Config":{"Labels":{"a":"b"}}}"#)
        }
        inspect if inspect.starts_with("GET /volumes/x") => {
            ok(r#"{"Name":"x","Driver":"local","Mountpoint":"/x","Labels":{},"Options":{},"Scope":"local"}"#)
        }
        inspect if inspect.starts_with("GET /images/x") => {
            ok(r#"{"Id":"sha256:1","RepoTags":["x:1"]}"#)
        }
        _ => default_reply(),
    })
    .await;
    for refusal in [
        engine.remove_container("x").await,
        engine.stop_container("x", 1).await,
        engine.remove_volume("x").await,
        engine.ensure_volume("x", [].into()).await,
        engine.remove_image("x").await,
    ] {
        let error = refusal.unwrap_err();
        assert!(matches!(error, EngineError::NotOurs { .. }), "{error}");
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.starts_with("GET")),
        "{:?}",
        server.requests()
    );
}

#[tokio::test]
async fn removing_a_missing_object_succeeds() {
    let (engine, _server) = scripted::engine(|_| refused(404, "no such thing")).await;
    engine.remove_container("x").await.unwrap();
    engine.stop_container("x", 1).await.unwrap();
    engine.remove_volume("x").await.unwrap();
    engine.remove_image("x").await.unwrap();
    assert_eq!(engine.image("x").await.unwrap(), None);
}

/// An image that a user built `FROM` one of ours carries our labels too.
#[tokio::test]
async fn only_our_own_names_are_removed_from_images() {
    const LABELS: &str = r#""Config":{"Labels":{"dev.sdbuild.role":"builder","dev.sdbuild.definition":"0123456789abcdef"}}"#;
    let (engine, server) = scripted::engine(|request| match request {
        list if list.starts_with("GET /images/json") => ok(r#"[
            {"Id":"sha256:ours","ParentId":"","RepoTags":[],"RepoDigests":[],"Created":0,"Size":0,"SharedSize":0,"Labels":{},"Containers":0},
            {"Id":"sha256:theirs","ParentId":"","RepoTags":[],"RepoDigests":[],"Created":0,"Size":0,"SharedSize":0,"Labels":{},"Containers":0}]"#),
        inspect if inspect.starts_with("GET /images/sha256:ours") => ok(format!(
            r#"{{"Id":"sha256:ours","RepoTags":["mine:1","sdbuild/builder:0123456789ab"],{LABELS}}}"#
        )),
        inspect if inspect.starts_with("GET /images/sha256:theirs") => ok(format!(
            r#"{{"Id":"sha256:theirs","RepoTags":["precious:1"],{LABELS}}}"#
        )),
        delete if delete.starts_with("DELETE") => ok("[]"),
        _ => default_reply(),
    })
    .await;
    let images = engine.our_images().await.unwrap();
    let tags: Vec<_> = images.iter().map(|image| image.tags.clone()).collect();
    assert_eq!(tags, [["sdbuild/builder:0123456789ab", "mine:1"]]);
    let error = engine.remove_image("sha256:theirs").await.unwrap_err();
    assert!(matches!(error, EngineError::NotOurs { .. }), "{error}");
    engine.remove_image("sha256:ours").await.unwrap();
    let requests = server.requests();
    let deletions: Vec<_> = requests
        .iter()
        .filter(|r| r.starts_with("DELETE"))
        .collect();
    assert_eq!(
        deletions,
        ["DELETE /images/sdbuild/builder:0123456789ab complete"],
        "by name, not by id, not forced"
    );
}
