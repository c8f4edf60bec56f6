//! The names of files in a repository, which the author of its index or commits has chosen.

use std::path::{Component, Path};

use sdbuild_core::failure::Failure;

/// The path `name` of a file. Git itself checks names only when files are added: an index or a commit from elsewhere may
/// have any. A usage error for one that is not below its directory, or not plain UTF-8.
pub(in crate::nixos) fn plain_path(name: &[u8]) -> Result<String, Failure> {
    let name = utf8(name)?;
    if is_plain(&name) {
        return Ok(name);
    }
    Err(Failure::usage(format!(
        "the git repository is damaged; its index lists the file `{name}`, which is outside the repository"
    ))
    .hint("clone it again from a source that you trust"))
}

pub(super) fn utf8(name: &[u8]) -> Result<String, Failure> {
    String::from_utf8(name.to_vec()).map_err(|_| {
        let shown = String::from_utf8_lossy(name);
        Failure::usage(format!("the name of {shown} is not plain UTF-8")).hint("rename it")
    })
}

/// Whether `name` is a relative path that never leads above its start.
pub(super) fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_below_their_directory() {
        for name in ["a", "a/.b", "..c"] {
            assert_eq!(plain_path(name.as_bytes()).unwrap(), name);
        }
        for name in [&b"../x"[..], b"a/../../x", b"/etc/x", b"a\xff"] {
            plain_path(name).unwrap_err();
        }
    }
}
