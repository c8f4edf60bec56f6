//! The SSH keys that the NixOS system of a running container accepts.

use std::io::Read as _;

use tokio::io::AsyncReadExt;

use crate::common::plain_tar::{PlainEntry, plain_entries};
use crate::engine::{Container, EngineError};
use crate::image::{MAX_KEY_LIST_BYTES, key_list_path};

/// Links that are followed from NixOS's path of the list: one leads to the file.
const MAX_LINKS: usize = 8;
/// Bytes of an archive with one file besides the file: its header and the end of the archive.
const ARCHIVE_BYTES: usize = 64 * 1024;

/// What is at a path of a container.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    File(String),
    /// A link to this path.
    Link(String),
}

/// The lines of NixOS's list of keys for `user` in `container`, which was started with the program `init`, its system's or a link
/// to it; `None` if there is no such list.
pub(super) async fn authorized_keys(
    container: &Container,
    init: &str,
    user: &str,
) -> Result<Option<String>, EngineError> {
    list_of(init, user, async |path| look(container, path).await).await
}

/// The same, where `look` tells what is at a path.
async fn list_of<E>(
    init: &str,
    user: &str,
    look: impl AsyncFn(&str) -> Result<Option<Found>, E>,
) -> Result<Option<String>, E> {
    let init = follow(init.to_owned(), &look).await?;
    let system = init
        .as_ref()
        .and_then(|(init, _)| Some(init.rsplit_once('/')?.0));
    let Some(list) = system.and_then(|system| key_list_path(system, user)) else {
        return Ok(None);
    };
    let list = follow(list, &look).await?;
    Ok(list.map(|(_, text)| text))
}

/// The path and text of the file that `path` leads to.
async fn follow<E>(
    mut path: String,
    look: impl AsyncFn(&str) -> Result<Option<Found>, E>,
) -> Result<Option<(String, String)>, E> {
    for _ in 0..=MAX_LINKS {
        match look(&path).await? {
            Some(Found::File(text)) => return Ok(Some((path, text))),
            // Links of a Nix store are absolute.
            Some(Found::Link(target)) if target.starts_with('/') => path = target,
            Some(Found::Link(_)) | None => return Ok(None),
        }
    }
    Ok(None)
}

/// What is at `path`; `None` if nothing is.
async fn look(container: &Container, path: &str) -> Result<Option<Found>, EngineError> {
    let download = match container.download(path).await {
        Err(error) if error.is_not_found() => return Ok(None),
        download => download?,
    };
    let limit = (MAX_KEY_LIST_BYTES + ARCHIVE_BYTES) as u64;
    let mut archive = Vec::new();
    let mut download = AsyncReadExt::take(download, limit);
    // What came of an archive that ends early is looked at all the same.
    AsyncReadExt::read_to_end(&mut download, &mut archive)
        .await
        .ok();
    Ok(first_entry(&archive))
}

/// The first entry of a tar archive if it is a link, or a file that is whole or has [`MAX_KEY_LIST_BYTES`] there.
fn first_entry(archive: &[u8]) -> Option<Found> {
    let mut archive = tar::Archive::new(archive);
    let PlainEntry { entry, link, .. } = plain_entries(archive.entries().ok()?).next()?.ok()?;
    let kind = entry.header().entry_type();
    if kind.is_symlink() {
        return Some(Found::Link(String::from_utf8_lossy(&link).into_owned()));
    }
    kind.is_file().then_some(())?;
    let mut text = Vec::new();
    let length = entry.size().min(MAX_KEY_LIST_BYTES as u64);
    entry.take(length).read_to_end(&mut text).ok()?;
    let is_whole = text.len() as u64 == length;
    is_whole.then(|| Found::File(String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::*;

    fn archive(kind: EntryType, target: Option<&str>, text: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o444);
        header.set_size(text.len() as u64);
        if let Some(target) = target {
            header.set_link_name(target).unwrap();
        }
        tar.append_data(&mut header, "root", text.as_bytes())
            .unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn list_and_the_link_to_it_are_distinguished() {
        let file = archive(EntryType::Regular, None, "ssh-ed25519 AAAA me\n");
        let text = "ssh-ed25519 AAAA me\n".to_owned();
        assert_eq!(first_entry(&file), Some(Found::File(text)));
        let link = archive(EntryType::Symlink, Some("/nix/store/x-root"), "");
        let target = "/nix/store/x-root".to_owned();
        assert_eq!(first_entry(&link), Some(Found::Link(target)));
        let directory = archive(EntryType::Directory, None, "");
        assert_eq!(first_entry(&directory), None);
        assert_eq!(first_entry(b"no archive"), None);
        assert_eq!(first_entry(&file[..520]), None, "half of a list");
        let long = archive(
            EntryType::Regular,
            None,
            &"x".repeat(MAX_KEY_LIST_BYTES + 1),
        );
        let Some(Found::File(text)) = first_entry(&long) else {
            panic!("no file");
        };
        assert_eq!(text.len(), MAX_KEY_LIST_BYTES);
    }

    #[tokio::test]
    async fn links_are_followed_to_an_end() {
        let at = async |path: &str| {
            let link = |target: &str| Some(Found::Link(target.to_owned()));
            Ok::<_, EngineError>(match path {
                "/sbin/init" => link("/nix/store/x-system/init"),
                "/nix/store/x-system/init" => Some(Found::File("#!".to_owned())),
                "/nix/store/x-system/etc/ssh/authorized_keys.d/root" => link("/nix/store/x-root"),
                "/nix/store/x-root" => Some(Found::File("key".to_owned())),
                "/loop" => link("/loop"),
                "/relative" => link("x-root"),
                _ => None,
            })
        };
        let list = async |init: &str, user: &str| list_of(init, user, at).await.unwrap();
        for init in ["/sbin/init", "/nix/store/x-system/init"] {
            assert_eq!(list(init, "root").await.as_deref(), Some("key"));
            assert_eq!(list(init, "../root").await, None);
        }
        for init in ["/loop", "/relative", "/nothing", ""] {
            assert_eq!(list(init, "root").await, None, "{init}");
        }
    }
}
