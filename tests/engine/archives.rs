//! Files into and out of containers.

use crate::scripted;
use crate::server::{Reply, default_reply, ok, refused};

/// A builder was removed while sdbuild inspected a path in it: the error was about an empty store volume, with the hint to
/// remove it.
#[tokio::test]
async fn a_path_in_a_removed_container_is_not_missing() {
    for (status, exists) in [("created", true), ("removing", false), ("dead", false)] {
        let (container, _server) = scripted::container(move |request| match request {
            look if look.starts_with("HEAD ") => refused(404, "no such file"),
            _ => Reply::Whole(200, format!(r#"{{"Id":"c1","State":{{"Status":"{status}"}}}}"#)),
        })
        .await;
        match container.stat("/nix/var").await {
            Ok(stat) => assert!(exists && stat.is_none(), "{status}"),
            Err(error) => assert!(!exists && error.is_not_found(), "{status}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_failed_archive_is_never_sent_as_a_complete_one() {
    let (container, server) = scripted::container(|_| ok("")).await;
    let error = container
        .upload("/build", |writer| {
            writer.write_all(&vec![0; 1 << 20])?;
            Err(std::io::Error::other("the directory changed"))
        })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the directory changed"), "{error}");
    assert!(!server.requests().iter().any(|r| r.contains("/archive") && r.ends_with("complete")));
    container.upload("/build", |writer| writer.write_all(&vec![0; 1 << 20])).await.unwrap();
    assert!(server.requests().iter().any(|r| r.contains("/archive") && r.ends_with("complete")));
}

#[tokio::test]
async fn a_refused_upload_reports_the_engines_message() {
    let (container, _server) = scripted::container(|request| match request {
        upload if upload.contains("/archive") => {
            Reply::Early(400, r#"{"message":"container rootfs is marked read-only"}"#.into())
        }
        _ => default_reply(),
    })
    .await;
    let refusal = container.upload("/", |writer| writer.write_all(&[0; 1 << 10])).await;
    let text = refusal.unwrap_err().to_string();
    assert!(text.contains("marked read-only") && text.contains(container.name()), "{text}");
}

#[tokio::test]
async fn a_download_that_is_cut_short_is_an_error() {
    use tokio::io::AsyncReadExt as _;
    let (container, _server) = scripted::container(|_| Reply::Cut("some bytes".into())).await;
    let mut download = container.download("/x").await.unwrap();
    let mut bytes = Vec::new();
    let error = download.read_to_end(&mut bytes).await.unwrap_err();
    assert!(error.to_string().contains("download /x"), "{error}");
    let (container, _server) = scripted::container(|_| refused(404, "no such path")).await;
    let error = container.download("/x").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}
