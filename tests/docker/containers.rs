//! The module `engine` with a real engine: uploads and downloads, exit codes, volumes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::io::Read as _;

use sdbuild::common::cancel::Cancel;
use sdbuild::engine::labels::labels;
use sdbuild::engine::{ContainerGuard, ContainerSpec, Engine, EngineError, PathKind, Role, RunId};

use crate::registrar::registrar_image;
use crate::support::*;

/// A run with the registrar's image, of which these tests need only busybox.
struct SingleRun {
    engine: Engine,
    run: RunId,
    image: String,
}

impl SingleRun {
    async fn new() -> Self {
        let engine = crate::registrar::engine().await;
        let image = registrar_image(&engine).await.reference;
        Self {
            engine,
            run: RunId::random().unwrap(),
            image,
        }
    }

    fn shell(&self, script: &str) -> ContainerSpec {
        let command = ["/bin/busybox", "sh", "-c", script]
            .map(str::to_owned)
            .to_vec();
        ContainerSpec::new(Role::Builder, &self.run, &self.image, command)
    }

    fn guard(&self) -> ContainerGuard {
        ContainerGuard::arm(&self.engine, Role::Builder.container_name(&self.run)).grace(1)
    }
}

/// A tar archive with one file and one link to it.
fn pack(writer: &mut dyn std::io::Write, content: &[u8]) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(writer);
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o640);
    header.set_uid(1000);
    header.set_gid(100);
    archive.append_data(&mut header, "file", content)?;
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive.append_link(&mut link, "link", "file")?;
    archive.into_inner()?.flush()
}

#[test]
fn uploaded_bytes_come_back_unchanged() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let mut guard = bench.guard();
        let container = guard
            .create(&bench.shell("stat -c '%u %g %a' /file > /owner"))
            .await
            .unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let sent = content.clone();
        container
            .upload("/", move |writer| pack(writer, &sent))
            .await
            .unwrap();
        container.start().await.unwrap();
        assert_eq!(container.wait().await.unwrap().code, 0);
        // All of this is read from the stopped container.
        let kind = async |path: &str| container.stat(path).await.unwrap().map(|stat| stat.kind);
        assert_eq!(kind("/file").await, Some(PathKind::File));
        assert_eq!(kind("/link").await, Some(PathKind::Symlink), "not followed");
        assert_eq!(
            kind("/link/").await,
            Some(PathKind::Symlink),
            "not with a slash either"
        );
        assert_eq!(kind("/").await, Some(PathKind::Directory));
        assert_eq!(kind("/nothing").await, None);
        assert_eq!(
            container.stat("/file").await.unwrap().unwrap().size,
            content.len() as u64
        );
        for (path, expected) in [("/file", content), ("/owner", b"1000 100 640\n".to_vec())] {
            let download = container.download(path).await.unwrap();
            let read = tokio::task::spawn_blocking(move || {
                let mut archive = tar::Archive::new(tokio_util::io::SyncIoBridge::new(download));
                let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map(|_| bytes)
            });
            assert!(read.await.unwrap().unwrap() == expected, "{path}");
        }
        let name = container.name().to_owned();
        assert_eq!(guard.release(&Cancel::new()).await, None);
        let gone = container.stat("/file").await.unwrap_err();
        assert!(
            gone.is_not_found() && gone.to_string().contains(&name),
            "{gone}"
        );
    });
}

#[test]
fn upload_to_a_missing_directory_gives_the_engines_error() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let mut guard = bench.guard();
        let container = guard.create(&bench.shell("true")).await.unwrap();
        let refusal = container
            .upload("/nowhere", |writer| pack(writer, &[0; 100]))
            .await
            .unwrap_err();
        assert!(
            refusal.to_string().contains("upload to /nowhere"),
            "{refusal}"
        );
        assert!(matches!(refusal, EngineError::Refused { .. }), "{refusal}");
        assert_eq!(guard.release(&Cancel::new()).await, None);
    });
}

#[test]
fn container_exit_codes_are_reported() {
    with_engine(async {
        let bench = SingleRun::new().await;
        for (script, code) in [
            ("exit 0", 0),
            ("echo one; echo two >&2; exit 3", 3),
            ("kill -9 $$; sleep 1; exit 5", 5),
        ] {
            let mut guard = bench.guard();
            let container = guard.create(&bench.shell(script)).await.unwrap();
            container.start().await.unwrap();
            assert_eq!(container.wait().await.unwrap().code, code, "{script}");
            assert_eq!(guard.release(&Cancel::new()).await, None);
        }
    });
}

#[test]
fn volumes_are_created_listed_and_removed() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let name = format!("sdbuild-test-{}", bench.run);
        let (engine, ours) = (&bench.engine, labels(Role::Store, &bench.run));
        engine.ensure_volume(&name, ours.clone()).await.unwrap();
        engine.ensure_volume(&name, ours).await.unwrap();
        let mut guard = bench.guard();
        let volumes = vec![(name.clone(), "/data".to_owned())];
        let script = "echo data > /data/x";
        let container = guard
            .create(&ContainerSpec {
                volumes,
                ..bench.shell(script)
            })
            .await
            .unwrap();
        container.start().await.unwrap();
        container.wait().await.unwrap();
        let listed = engine.our_volumes().await.unwrap();
        let volume = listed
            .into_iter()
            .find(|volume| volume.name == name)
            .unwrap();
        assert_eq!(volume.users, [container.name()]);
        assert!(engine.remove_volume(&name).await.unwrap_err().is_conflict());
        assert_eq!(guard.release(&Cancel::new()).await, None);
        engine.remove_volume(&name).await.unwrap();
        engine.remove_volume(&name).await.unwrap();
    });
}

#[test]
fn foreign_volume_is_neither_used_nor_removed() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let name = format!("sdbuild-test-{}", bench.run);
        docker(&["volume", "create", &name]);
        let used = bench
            .engine
            .ensure_volume(&name, labels(Role::Store, &bench.run))
            .await;
        let removed = bench.engine.remove_volume(&name).await;
        docker(&["volume", "rm", &name]);
        for error in [used.unwrap_err(), removed.unwrap_err()] {
            assert!(matches!(error, EngineError::NotOurs { .. }), "{error}");
        }
    });
}

#[test]
fn own_images_are_found_by_their_labels() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let images = bench.engine.our_images().await.unwrap();
        let tagged = |tag: &String| tag.ends_with(&bench.image);
        let registrar = images
            .iter()
            .find(|image| image.tags.iter().any(tagged))
            .unwrap();
        assert!(!registrar.layers.is_empty() && registrar.size > 1_000_000);
    });
}
