//! An engine, or a container of one, whose replies a test scripts.

use sdbuild_engine::{Container, ContainerSpec, Engine, Role};

use crate::server::{Reply, Server, default_reply};

/// An engine whose replies come from `script` once it is connected.
pub(crate) async fn engine(
    script: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Engine, Server) {
    let server = Server::new(move |request| match request {
        "GET /version" | "GET /info" => default_reply(),
        other => script(other),
    });
    (Engine::connect(&server.endpoint).await.unwrap(), server)
}

/// A container of an engine whose other replies come from `script`.
pub(crate) async fn container(
    script: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Container, Server) {
    let (engine, server) = engine(move |request| match request {
        made if made.starts_with("POST /containers/create") => {
            Reply::Whole(201, r#"{"Id":"c1","Warnings":[]}"#.into())
        }
        other => script(other),
    })
    .await;
    let spec = ContainerSpec::new(
        Role::Builder,
        &"0123456789ab".parse().unwrap(),
        "image",
        vec!["/bin/true".into()],
    );
    (engine.create(&spec).await.unwrap(), server)
}
