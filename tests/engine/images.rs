//! Loading container images.

use sdbuild::engine::EngineError;

use crate::scripted;
use crate::server::{default_reply, ok};

async fn load(body: &'static str) -> Result<(), EngineError> {
    let (engine, _server) = scripted::engine(move |request| match request {
        load if load.starts_with("POST /images/load") => ok(body),
        _ => default_reply(),
    })
    .await;
    let archive = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
    engine.load_image(archive, drop).await
}

#[tokio::test]
async fn an_error_inside_the_stream_of_a_load_is_an_error() {
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
