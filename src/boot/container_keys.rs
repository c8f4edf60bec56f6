//! The SSH keys that the NixOS system of a running container accepts.

use std::io::Read as _;

use tokio::io::AsyncReadExt;

use crate::common::plain_tar::{PlainEntry, plain_entries};
use crate::engine::{Container, EngineError};
use crate::image::MAX_KEY_LIST_BYTES;

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

/// The lines of NixOS's list of keys for `user` in `container`, which was started with the program `init` of its system;
/// `None` if there is no such list.
pub(super) async fn authorized_keys(
    container: &Container,
    init: &str,
    user: &str,
) -> Result<Option<String>, EngineError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let Some((system, _)) = init.rsplit_once('/') else {
        return Ok(None);
    };
    if !user.chars().all(is_plain) {
        return Ok(None);
    }
    let mut path = format!("{system}/etc/ssh/authorized_keys.d/{user}");
    for _ in 0..MAX_LINKS {
        match look(container, &path).await? {
            Some(Found::File(text)) => return Ok(Some(text)),
            Some(Found::Link(target)) if target.starts_with('/') => path = target,
            _ => return Ok(None),
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
    // An archive that ends early has no such file.
    let mut download = AsyncReadExt::take(download, limit);
    AsyncReadExt::read_to_end(&mut download, &mut archive)
        .await
        .ok();
    Ok(first_entry(&archive))
}

/// The first file or link in a tar archive.
fn first_entry(archive: &[u8]) -> Option<Found> {
    let mut archive = tar::Archive::new(archive);
    let PlainEntry { entry, link, .. } = plain_entries(archive.entries().ok()?).next()?.ok()?;
    let kind = entry.header().entry_type();
    if kind.is_symlink() {
        return Some(Found::Link(String::from_utf8_lossy(&link).into_owned()));
    }
    kind.is_file().then_some(())?;
    let mut text = Vec::new();
    let limit = MAX_KEY_LIST_BYTES as u64;
    entry.take(limit).read_to_end(&mut text).ok()?;
    Some(Found::File(String::from_utf8_lossy(&text).into_owned()))
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
    fn list_and_the_link_to_it_are_told_apart() {
        let file = archive(EntryType::Regular, None, "ssh-ed25519 AAAA me\n");
        let text = "ssh-ed25519 AAAA me\n".to_owned();
        assert_eq!(first_entry(&file), Some(Found::File(text)));
        let link = archive(EntryType::Symlink, Some("/nix/store/x-root"), "");
        let target = "/nix/store/x-root".to_owned();
        assert_eq!(first_entry(&link), Some(Found::Link(target)));
        let directory = archive(EntryType::Directory, None, "");
        assert_eq!(first_entry(&directory), None);
        assert_eq!(first_entry(b"no archive"), None);
    }
}
