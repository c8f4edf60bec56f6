//! Our engine room against an engine that answers by script: refusals, truncations, strangers.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "tests fail by panicking; each tier uses its own part of the support"
)]

#[path = "../support/mod.rs"]
mod support;

mod binary;
mod doctor;
mod emulation;
mod server;

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sdbuild::common::failure::{Class, Failure};
use sdbuild::engine::{Container, ContainerSpec, Endpoint, Engine, EngineError, Role};
use server::{Reply, Server, ok, refused, usual};

const RUN: &str = "0123456789ab";
const OURS: &str = r#"{"Config":{"Labels":{"dev.sdbuild.run":"0123456789ab"}}}"#;

async fn connect_to(endpoint: &Endpoint) -> Failure {
    Engine::connect(endpoint).await.unwrap_err().into()
}

/// An engine that answers by `script` once it is connected.
async fn engine(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (Engine, Server) {
    let server = Server::new(move |request| match request {
        "GET /version" | "GET /info" => usual(),
        other => script(other),
    });
    (Engine::connect(&server.endpoint).await.unwrap(), server)
}

/// A container that the script made.
async fn container(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (Container, Server) {
    let (engine, server) = engine(move |request| match request {
        made if made.starts_with("POST /containers/create") => {
            Reply::Whole(201, r#"{"Id":"c1","Warnings":[]}"#.into())
        }
        other => script(other),
    })
    .await;
    let spec = ContainerSpec::new(
        Role::Builder,
        &RUN.parse().unwrap(),
        "image",
        vec!["/bin/true".into()],
    );
    (engine.create(&spec).await.unwrap(), server)
}

#[tokio::test]
async fn no_engine_at_all() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap().to_string());
    drop(listener);
    let failure = connect_to(&endpoint).await;
    assert_eq!(failure.class, Class::Environment);
    let text = failure.to_string();
    assert!(
        text.contains(&endpoint.to_string()) && text.contains("Connection refused"),
        "{text}"
    );
    let failure = connect_to(&Endpoint::Unix("/nonexistent/docker.sock".into())).await;
    assert!(failure.to_string().contains("No such file"), "{failure}");
    assert!(
        failure
            .hints
            .iter()
            .any(|hint| hint.contains("systemctl start docker"))
    );
}

#[tokio::test]
async fn strangers_are_told_apart() {
    for (reply, words) in [
        (
            r#"{"Version":"19.03","ApiVersion":"1.40"}"#,
            "speaks API 1.40",
        ),
        (r#"{"hello":"world"}"#, "not a Docker-compatible engine"),
        ("<html>welcome</html>", "not a Docker-compatible engine"),
    ] {
        let server = Server::new(move |_| ok(reply));
        let text = connect_to(&server.endpoint).await.to_string();
        assert!(text.contains(words), "{text}");
    }
    let tls = Server::new(|_| {
        Reply::Whole(
            400,
            "Client sent an HTTP request to an HTTPS server.\n".into(),
        )
    });
    let failure = connect_to(&tls.endpoint).await;
    assert!(failure.to_string().contains("requires TLS"), "{failure}");
    let web = Server::new(|_| Reply::Whole(404, "<html>not here</html>".into()));
    assert!(
        connect_to(&web.endpoint)
            .await
            .to_string()
            .contains("not here")
    );
}

#[tokio::test]
async fn an_engine_is_known_by_its_facts() {
    let server = Server::new(|request| match request {
        "GET /version" => ok(
            r#"{"Version":"5.4.2","ApiVersion":"1.41","Components":[{"Name":"Podman Engine","Version":"5"}]}"#,
        ),
        "GET /info" => ok(
            r#"{"OSType":"linux","Architecture":"arm64","SecurityOptions":["name=rootless"],"NCPU":4}"#,
        ),
        _ => usual(),
    });
    let engine = Engine::connect(&server.endpoint).await.unwrap();
    let facts = engine.facts();
    assert!(facts.podman && facts.rootless);
    assert_eq!(
        (facts.architecture.to_string().as_str(), facts.cpus),
        ("aarch64", 4)
    );
    let client = format!("podman --url {}", server.endpoint);
    assert_eq!(engine.address().client(), client);
}

/// A connection that is refused counted as an answer.
#[tokio::test]
async fn an_engine_that_refuses_a_word_answers_and_one_that_is_gone_does_not() {
    let patience = Duration::from_secs(5);
    let (engine, server) = engine(|_| refused(500, "busy")).await;
    assert!(engine.answers(patience).await && !engine.is_silent(patience).await);
    server.close();
    assert!(!engine.answers(patience).await);
    assert!(!engine.is_silent(patience).await, "nobody waits for it");
    let (engine, _server) = self::engine(|_| {
        std::thread::sleep(Duration::from_secs(3600));
        usual()
    })
    .await;
    let moment = Duration::from_millis(300);
    assert!(!engine.answers(moment).await && engine.is_silent(moment).await);
}

#[tokio::test]
async fn an_engine_that_goes_in_mid_wait_is_lost() {
    let (container, _server) = container(|request| {
        if request.contains("/wait") {
            Reply::Cut(String::new())
        } else {
            usual()
        }
    })
    .await;
    let error = container.wait().await.unwrap_err();
    assert!(matches!(error, EngineError::Lost { .. }), "{error}");
    assert!(error.to_string().contains(container.name()), "{error}");
}

#[tokio::test]
async fn exits_of_every_shape() {
    for (said, code) in [
        (r#"{"StatusCode":0}"#, 0),
        (r#"{"StatusCode":137}"#, 137),
        (r#"{"StatusCode":4,"Error":{}}"#, 4),
        (r#"{"StatusCode":4,"Error":null}"#, 4),
    ] {
        let (container, _server) = container(move |request| match request {
            wait if wait.contains("/wait") => ok(said),
            _ => ok(r#"{"State":{"OOMKilled":true}}"#),
        })
        .await;
        let exit = container.wait().await.unwrap();
        assert_eq!((exit.code, exit.oom_killed), (code, true), "{said}");
    }
}

async fn load(body: &'static str) -> Result<(), EngineError> {
    let (engine, _server) = engine(move |request| match request {
        load if load.starts_with("POST /images/load") => ok(body),
        _ => usual(),
    })
    .await;
    let archive = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
    engine.load_image(archive, drop).await
}

#[tokio::test]
async fn a_load_that_fails_inside_its_stream_is_a_failure() {
    load("{\"stream\":\"Loaded image: x\\n\"}\n").await.unwrap();
    let detail =
        load("{\"errorDetail\":{\"message\":\"invalid diffID\"},\"error\":\"invalid diffID\"}\n");
    assert_eq!(
        detail.await.unwrap_err().to_string(),
        "load container image: invalid diffID"
    );
    let bare = load("{\"stream\":\"…\"}\n{\"error\":\"unexpected EOF\"}\n")
        .await
        .unwrap_err();
    assert!(
        bare.to_string()
            .starts_with("load container image: refused"),
        "{bare}"
    );
    load("{\"stream\":\"Loa").await.unwrap_err();
}

/// Podman's words for a container that ended between its look at it and its signal.
const ENDED: &str = "cannot remove container x as it could not be stopped: sending SIGKILL to container x: \
                     container state improper: stopped";

#[tokio::test]
async fn a_removal_or_an_end_under_way_is_waited_for() {
    for (status, words) in [
        (409, "removal of container x is already in progress"),
        (500, ENDED),
    ] {
        is_waited_for(status, words).await;
    }
}

async fn is_waited_for(status: u16, words: &'static str) {
    let asked = AtomicU32::new(0);
    let (engine, server) = engine(move |request| match request {
        delete if delete.starts_with("DELETE") => refused(status, words),
        inspect if inspect.contains("/json") => match asked.fetch_add(1, Ordering::SeqCst) {
            0..3 => ok(OURS),
            _ => refused(404, "no such container: x"),
        },
        _ => usual(),
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
async fn what_is_not_ours_is_never_removed() {
    let (engine, server) = engine(|request| match request {
        inspect if inspect.starts_with("GET /containers/x") => {
            ok(r#"{"Config":{"Labels":{"a":"b"}}}"#)
        }
        inspect if inspect.starts_with("GET /volumes/x") => {
            ok(r#"{"Name":"x","Driver":"local","Mountpoint":"/x","Labels":{},"Options":{},"Scope":"local"}"#)
        }
        inspect if inspect.starts_with("GET /images/x") => {
            ok(r#"{"Id":"sha256:1","RepoTags":["x:1"]}"#)
        }
        _ => usual(),
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
async fn what_is_not_there_is_removed_already() {
    let (engine, _server) = engine(|_| refused(404, "no such thing")).await;
    engine.remove_container("x").await.unwrap();
    engine.stop_container("x", 1).await.unwrap();
    engine.remove_volume("x").await.unwrap();
    engine.remove_image("x").await.unwrap();
    assert_eq!(engine.image("x").await.unwrap(), None);
}

/// What carries our labels because it was built `FROM` an image of ours, and that image itself.
#[tokio::test]
async fn only_our_own_names_are_taken_from_images() {
    const LABELS: &str = r#""Config":{"Labels":{"dev.sdbuild.role":"builder","dev.sdbuild.definition":"0123456789abcdef"}}"#;
    let (engine, server) = engine(|request| match request {
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
        _ => usual(),
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

/// A builder that was removed while sdbuild looked into it: the error spoke of an empty store volume,
/// and advised to remove it.
#[tokio::test]
async fn a_path_is_not_missing_because_its_container_is_being_removed() {
    for (status, there) in [("created", true), ("removing", false), ("dead", false)] {
        let (container, _server) = container(move |request| match request {
            look if look.starts_with("HEAD ") => refused(404, "no such file"),
            _ => Reply::Whole(
                200,
                format!(r#"{{"Id":"c1","State":{{"Status":"{status}"}}}}"#),
            ),
        })
        .await;
        match container.stat("/nix/var").await {
            Ok(stat) => assert!(there && stat.is_none(), "{status}"),
            Err(error) => assert!(!there && error.is_not_found(), "{status}: {error}"),
        }
    }
}

#[tokio::test]
async fn half_an_archive_is_never_sent_as_a_whole_one() {
    let (container, server) = container(|_| ok("")).await;
    let error = container
        .upload("/build", |writer| {
            writer.write_all(&vec![0; 1 << 20])?;
            Err(std::io::Error::other("the directory changed"))
        })
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the directory changed"),
        "{error}"
    );
    assert!(
        !server
            .requests()
            .iter()
            .any(|r| r.contains("/archive") && r.ends_with("complete"))
    );
    container
        .upload("/build", |writer| writer.write_all(&vec![0; 1 << 20]))
        .await
        .unwrap();
    assert!(
        server
            .requests()
            .iter()
            .any(|r| r.contains("/archive") && r.ends_with("complete"))
    );
}

#[tokio::test]
async fn a_refused_upload_says_what_the_engine_said() {
    let (container, _server) = container(|request| match request {
        upload if upload.contains("/archive") => Reply::Early(
            400,
            r#"{"message":"container rootfs is marked read-only"}"#.into(),
        ),
        _ => usual(),
    })
    .await;
    let refusal = container
        .upload("/", |writer| writer.write_all(&[0; 1 << 10]))
        .await;
    let text = refusal.unwrap_err().to_string();
    assert!(
        text.contains("marked read-only") && text.contains(container.name()),
        "{text}"
    );
}

#[tokio::test]
async fn a_download_that_is_cut_short_is_an_error() {
    use tokio::io::AsyncReadExt as _;
    let (container, _server) = container(|_| Reply::Cut("some bytes".into())).await;
    let mut download = container.download("/x").await.unwrap();
    let mut bytes = Vec::new();
    let error = download.read_to_end(&mut bytes).await.unwrap_err();
    assert!(error.to_string().contains("download /x"), "{error}");
    let (container, _server) = self::container(|_| refused(404, "no such path")).await;
    let error = container.download("/x").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}
