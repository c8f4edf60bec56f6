//! Loading container images.

use std::io::{Seek as _, Write as _};
use std::sync::{Arc, Mutex};

use sdbuild_engine::{EngineError, Loading};

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
async fn what_the_engine_says_of_its_layers_is_reported() {
    let layer = |id, current| {
        format!(
            "{{\"status\":\"Loading layer\",\"progressDetail\":{{\"current\":{current},\"total\":900}},\"id\":\"{id}\"}}\n"
        )
    };
    let body = [layer("a", 300), layer("a", 900), layer("b", 50)].concat();
    let body = format!("{body}{{\"stream\":\"Loaded image: x\\n\"}}\n");
    let (engine, _server) = scripted::engine(move |request| match request {
        load if load.starts_with("POST /images/load") => {
            assert!(!load.contains("quiet=true"), "{load}");
            ok(&body)
        }
        _ => default_reply(),
    })
    .await;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[0; 700]).unwrap();
    file.rewind().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let report = move |loading| sink.lock().unwrap().push(loading);
    let archive = tokio::fs::File::from_std(file);
    engine.load_image(archive, report).await.unwrap();
    let unpacked = [300, 900, 950].map(Loading::Unpacked);
    let expected = [vec![Loading::Sent(700)], unpacked.to_vec()].concat();
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_error_inside_the_stream_of_a_load_is_an_error() {
    load("{\"stream\":\"Loaded image: x\\n\"}\n").await.unwrap();
    let detail =
        load("{\"errorDetail\":{\"message\":\"invalid diffID\"},\"error\":\"invalid diffID\"}\n");
    assert_eq!(detail.await.unwrap_err().to_string(), "load container image: invalid diffID");
    let bare = load("{\"stream\":\"…\"}\n{\"error\":\"unexpected EOF\"}\n").await.unwrap_err();
    assert!(bare.to_string().starts_with("load container image: refused"), "{bare}");
    load("{\"stream\":\"Loa").await.unwrap_err();
}
