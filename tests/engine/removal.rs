//! Removing containers, volumes and images: only sdbuild's own, and until they are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::{ContainerGuard, ContainerSpec, EngineError, Role};

use crate::scripted;
use crate::server::{Reply, default_reply, ok, refused};

/// The name of a container of sdbuild's, and its labels.
const NAME: &str = "sdbuild-builder-0123456789ab";
const OURS: &str =
    r#"{"Config":{"Labels":{"dev.sdbuild.run":"0123456789ab","dev.sdbuild.role":"builder"}}}"#;
/// Podman's message for a container that ended between Podman's check and its signal.
const ENDED: &str = "cannot remove container x as it could not be stopped: sending SIGKILL to container x: \
                     container state improper: stopped";

#[tokio::test]
async fn a_temporary_refusal_is_retried() {
    for (status, message) in [(409, "removal of container x is already in progress"), (500, ENDED)]
    {
        assert_is_retried(status, message).await;
    }
}

async fn assert_is_retried(status: u16, message: &'static str) {
    let deletions = AtomicU32::new(0);
    let (engine, server) = scripted::engine(move |request| match request {
        delete if delete.starts_with("DELETE") => match deletions.fetch_add(1, Ordering::SeqCst) {
            0..3 => refused(status, message),
            _ => refused(404, "no such container: x"),
        },
        inspect if inspect.contains("/json") => ok(OURS),
        _ => default_reply(),
    })
    .await;
    engine.remove_container(NAME).await.unwrap();
    let deletions = server.requests().iter().filter(|r| r.starts_with("DELETE")).count();
    assert_eq!(deletions, 4);
}

/// Docker creates the same directories of a new volume for two containers at once, and refuses one of them.
#[tokio::test]
async fn directories_another_container_creates_are_waited_for() {
    const FILLED: &str = "failed to mkdir /var/lib/docker/volumes/x/_data/var: mkdir \
                          /var/lib/docker/volumes/x/_data/var: file exists";
    const UPLOADED: &str =
        "Error processing tar file(exit status 1): mkdir /nix/var/sdbuild: file exists";
    for (refusals, message, attempts) in
        [(2, FILLED, 3), (2, UPLOADED, 3), (9, FILLED, 5), (9, "no such image", 1)]
    {
        let tries = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&tries);
        let (engine, server) = scripted::engine(move |request| {
            if !request.starts_with("POST /containers/create") && !request.starts_with("PUT") {
                return ok(OURS);
            }
            if counter.fetch_add(1, Ordering::SeqCst) < refusals {
                return refused(500, message);
            }
            Reply::Whole(201, r#"{"Id":"c1","Warnings":[]}"#.into())
        })
        .await;
        let run = "0123456789ab".parse().unwrap();
        let spec = ContainerSpec::new(Role::Builder, &run, "image", vec!["/bin/true".into()]);
        let created = engine.create(&spec).await;
        assert_eq!(created.is_ok(), refusals < attempts, "{message}");
        assert_eq!(tries.swap(0, Ordering::SeqCst), attempts, "{message}");
        let Ok(container) = created else { continue };
        let uploaded = container.create_directories("/nix/var", |_| Ok(())).await;
        uploaded.unwrap();
        let uploads = server.requests();
        let uploads = uploads.iter().filter(|r| r.starts_with("PUT")).count();
        assert_eq!(uploads, attempts as usize, "{message}");
    }
}

/// The engine made the container after its guard had reported that nothing is left.
#[tokio::test]
async fn a_container_that_is_still_being_created_is_reported() {
    let (engine, _server) = scripted::engine(|request| match request {
        create if create.starts_with("POST /containers/create") => {
            std::thread::sleep(Duration::from_mins(1));
            default_reply()
        }
        _ => refused(404, "no such container"),
    })
    .await;
    let cancel = Cancel::new();
    let run = "0123456789ab".parse().unwrap();
    let spec = ContainerSpec::new(Role::Builder, &run, "image", vec!["/bin/true".into()]);
    let mut guard = ContainerGuard::arm(&engine, NAME);
    let created = timeout(Duration::from_millis(200), guard.create(&spec)).await;
    assert!(created.is_none());
    cancel.shorten_teardown(Duration::from_secs(5));
    let leftover = guard.remove(&cancel).await.unwrap();
    assert_eq!(leftover.what, format!("container {NAME}"));
}

/// Where it was of no interest to whoever pressed Ctrl-C.
#[tokio::test]
async fn an_interruption_is_not_blamed_on_what_was_going_on() {
    let (engine, _server) = scripted::engine(|_| refused(404, "no such container")).await;
    let message = async |cancel: &Cancel| {
        let guard = ContainerGuard::arm(&engine, NAME);
        let run = guard.run("run a program", cancel, async |_: &mut ContainerGuard| {
            Err::<(), _>(Failure::environment("it is missing"))
        });
        run.await.unwrap_err().to_string()
    };
    assert_eq!(message(&Cancel::new()).await, "run a program: it is missing");
    let cancelled = Cancel::new();
    cancelled.received(2);
    assert_eq!(message(&cancelled).await, "interrupted");
}

/// A second Ctrl-C was spent on waiting for the program's end, and a busy engine had no time left to remove the container.
#[tokio::test]
async fn shortened_teardown_removes_without_stopping_first() {
    let (engine, _server) = scripted::engine(|request| match request {
        stop if stop.contains("/stop") => {
            std::thread::sleep(Duration::from_mins(1));
            default_reply()
        }
        delete if delete.starts_with("DELETE") => {
            std::thread::sleep(Duration::from_millis(500));
            refused(404, "no such container")
        }
        inspect if inspect.contains("/json") => ok(OURS),
        _ => default_reply(),
    })
    .await;
    let cancel = Cancel::new();
    let shorten = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.shorten_teardown(Duration::from_secs(5));
    };
    let release = ContainerGuard::arm(&engine, NAME).release(&cancel);
    let (leftover, ()) = tokio::join!(release, shorten);
    assert!(leftover.is_none(), "{leftover:?}");
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
        engine.ensure_volume("x", [].into()).await.map(drop),
        engine.remove_image("x").await,
    ] {
        let error = refusal.unwrap_err();
        assert!(matches!(error, EngineError::NotOurs { .. }), "{error}");
    }
    assert!(
        server.requests().iter().all(|request| request.starts_with("GET")),
        "{:?}",
        server.requests()
    );
}

/// A container that a user made from a committed builder was once stopped and removed.
#[tokio::test]
async fn containers_made_from_ours_are_neither_listed_nor_removed() {
    let (engine, server) = scripted::engine(|request| match request {
        list if list.starts_with("GET /containers/json") => ok(r#"[
            {"Id":"1","Names":["/mine"],"State":"running","Labels":{"dev.sdbuild.run":"0123456789ab","dev.sdbuild.role":"builder"}},
            {"Id":"2","Names":["/other/alias","/sdbuild-builder-0123456789ab"],"State":"exited",
             "Labels":{"dev.sdbuild.run":"0123456789ab","dev.sdbuild.role":"builder"}}]"#),
        inspect if inspect.starts_with("GET /containers/mine/json") => ok(OURS),
        _ => default_reply(),
    })
    .await;
    let listed = engine.our_containers().await.unwrap();
    let names: Vec<_> = listed.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, [NAME]);
    for refusal in [engine.stop_container("mine", 1).await, engine.remove_container("mine").await] {
        let error = refusal.unwrap_err();
        assert!(matches!(error, EngineError::NotOurs { .. }), "{error}");
    }
    let requests = server.requests();
    let is_read = |request: &String| request.starts_with("GET");
    assert!(requests.iter().all(is_read), "{requests:?}");
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
    let deletions: Vec<_> = requests.iter().filter(|r| r.starts_with("DELETE")).collect();
    assert_eq!(
        deletions,
        ["DELETE /images/sdbuild/builder:0123456789ab complete"],
        "by name, not by id, not forced"
    );
}
