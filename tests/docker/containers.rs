//! The module `engine` with a real engine: uploads and downloads, exit codes, volumes.

use std::io::Read as _;

use sdbuild_core::cancel::Cancel;
use sdbuild_engine::labels::labels;
use sdbuild_engine::{ContainerGuard, ContainerSpec, EngineError, PathKind, Role, RunId};

use crate::single_run::SingleRun;
use crate::support::*;

/// A container of the registrar's image, of which these tests need only busybox.
fn shell(single: &SingleRun, script: &str) -> ContainerSpec {
    let command = ["/bin/busybox", "sh", "-c", script].map(str::to_owned).to_vec();
    ContainerSpec::new(Role::Builder, &single.run, &single.image.reference, command)
}

fn guard(single: &SingleRun) -> ContainerGuard {
    let name = Role::Builder.container_name(&single.run);
    ContainerGuard::arm(&single.engine, name).grace(1)
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

/// A builder without a network has one set up by Docker all the same, see `engine::create_body`; the others have none.
#[test]
fn isolated_containers_have_only_a_loopback_interface() {
    with_engine(async {
        let single = SingleRun::new().await;
        // 9: it is up, and a loopback interface.
        let script = "b=/bin/busybox; set -- $($b tail -n +3 /proc/net/dev | $b grep -o '^ *[^:]*'); \
                      test \"$*\" = lo && test \"$($b cat /sys/class/net/lo/flags)\" = 0x9";
        for role in [Role::Builder, Role::Probe] {
            let spec = ContainerSpec { role, ..shell(&single, script) };
            let mut guard = ContainerGuard::arm(&single.engine, role.container_name(&single.run));
            let container = guard.create(&spec).await.unwrap();
            container.start().await.unwrap();
            assert_eq!(container.wait().await.unwrap().code, 0, "{role:?}");
            assert_eq!(guard.release(&Cancel::new()).await, None);
        }
    });
}

#[test]
fn uploaded_bytes_come_back_unchanged() {
    with_engine(async {
        let single = SingleRun::new().await;
        let mut guard = guard(&single);
        let container =
            guard.create(&shell(&single, "stat -c '%u %g %a' /file > /owner")).await.unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let sent = content.clone();
        container.upload("/", move |writer| pack(writer, &sent)).await.unwrap();
        container.start().await.unwrap();
        assert_eq!(container.wait().await.unwrap().code, 0);
        // All of this is read from the stopped container.
        let kind = async |path: &str| container.stat(path).await.unwrap().map(|stat| stat.kind);
        assert_eq!(kind("/file").await, Some(PathKind::File));
        assert_eq!(kind("/link").await, Some(PathKind::Symlink), "not followed");
        assert_eq!(kind("/link/").await, Some(PathKind::Symlink), "not with a slash either");
        assert_eq!(kind("/").await, Some(PathKind::Directory));
        assert_eq!(kind("/nothing").await, None);
        assert_eq!(container.stat("/file").await.unwrap().unwrap().size, content.len() as u64);
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
        assert!(gone.is_not_found() && gone.to_string().contains(&name), "{gone}");
    });
}

#[test]
fn upload_to_a_missing_directory_gives_the_engines_error() {
    with_engine(async {
        let single = SingleRun::new().await;
        let mut guard = guard(&single);
        let container = guard.create(&shell(&single, "true")).await.unwrap();
        let refusal =
            container.upload("/nowhere", |writer| pack(writer, &[0; 100])).await.unwrap_err();
        assert!(refusal.to_string().contains("upload to /nowhere"), "{refusal}");
        assert!(matches!(refusal, EngineError::Refused { .. }), "{refusal}");
        assert_eq!(guard.release(&Cancel::new()).await, None);
    });
}

#[test]
fn container_exit_codes_are_reported() {
    with_engine(async {
        let single = SingleRun::new().await;
        for (script, code) in [
            ("exit 0", 0),
            ("echo one; echo two >&2; exit 3", 3),
            ("kill -9 $$; sleep 1; exit 5", 5),
        ] {
            let mut guard = guard(&single);
            let container = guard.create(&shell(&single, script)).await.unwrap();
            container.start().await.unwrap();
            assert_eq!(container.wait().await.unwrap().code, code, "{script}");
            assert_eq!(guard.release(&Cancel::new()).await, None);
        }
    });
}

#[test]
fn volumes_are_created_listed_and_removed() {
    with_engine(async {
        let single = SingleRun::new().await;
        let name = format!("sdbuild-test-{}", single.run);
        let (engine, ours) = (&single.engine, labels(Role::Store, &single.run));
        assert!(engine.ensure_volume(&name, ours.clone()).await.unwrap());
        assert!(!engine.ensure_volume(&name, ours).await.unwrap());
        let mut guard = guard(&single);
        let volumes = vec![(name.clone(), "/data".to_owned())];
        let script = "echo data > /data/x";
        let container =
            guard.create(&ContainerSpec { volumes, ..shell(&single, script) }).await.unwrap();
        container.start().await.unwrap();
        container.wait().await.unwrap();
        let listed = engine.our_volumes().await.unwrap();
        let volume = listed.into_iter().find(|volume| volume.name == name).unwrap();
        // The `status` of another test counts the bytes of all volumes in a container of this role.
        let counts = |name: &String| name.starts_with("sdbuild-probe-");
        let users: Vec<_> = volume.users.into_iter().filter(|n| !counts(n)).collect();
        assert_eq!(users, [container.name()]);
        assert!(engine.remove_volume(&name).await.unwrap_err().is_conflict());
        assert_eq!(guard.release(&Cancel::new()).await, None);
        engine.remove_volume(&name).await.unwrap();
        engine.remove_volume(&name).await.unwrap();
    });
}

#[test]
fn foreign_volume_is_neither_used_nor_removed() {
    with_engine(async {
        let single = SingleRun::new().await;
        let name = format!("sdbuild-test-{}", single.run);
        docker(&["volume", "create", &name]);
        let used =
            single.engine.ensure_volume(&name, labels(Role::Store, &single.run)).await.map(drop);
        let removed = single.engine.remove_volume(&name).await;
        remove_volume(&name);
        for error in [used.unwrap_err(), removed.unwrap_err()] {
            assert!(matches!(error, EngineError::NotOurs { .. }), "{error}");
        }
    });
}

/// `status` and `clean` list the volumes, then mount each to count its bytes. The engine creates a volume that was removed
/// in between again, and it stayed.
#[test]
fn volume_created_again_by_a_mount_is_removed() {
    with_engine(async {
        let single = SingleRun::new().await;
        let name = format!("sdbuild-test-{}", single.run);
        let mut guard = guard(&single);
        let spec = ContainerSpec {
            volumes: vec![(name.clone(), "/data".to_owned())],
            ..shell(&single, "exit 0")
        };
        guard.create(&spec).await.unwrap();
        let (engine, other) = (&single.engine, RunId::random().unwrap());
        assert!(!engine.remove_recreated_volume(&name, &other).await.unwrap());
        assert_eq!(guard.release(&Cancel::new()).await, None);
        assert!(docker(&["volume", "ls", "--quiet"]).contains(&name));
        assert!(engine.remove_recreated_volume(&name, &single.run).await.unwrap());
        assert!(!docker(&["volume", "ls", "--quiet"]).contains(&name));
        assert!(!engine.remove_recreated_volume(&name, &single.run).await.unwrap());
    });
}

#[test]
fn own_images_are_found_by_their_labels() {
    with_engine(async {
        let single = SingleRun::new().await;
        let images = single.engine.our_images().await.unwrap();
        let tagged = |tag: &String| tag.ends_with(&single.image.reference);
        let registrar = images.iter().find(|image| image.tags.iter().any(tagged)).unwrap();
        assert!(!registrar.layers.is_empty() && registrar.size > 1_000_000);
    });
}
