//! A file to be put onto a card.

use std::collections::BTreeSet;
use std::fmt;

use sdbuild_core::failure::Failure;

/// Bytes of all files together: they are in memory here and in the container.
pub const MAX_CONTENT_BYTES: u64 = 256 << 20;
/// Bytes of a name, and of a path, as in Linux.
const MAX_NAME_BYTES: usize = 255;
const MAX_PATH_BYTES: usize = 4095;
/// Directories whose content does not come from the card, and why.
const NOT_ON_THE_CARD: [(&str, &str); 6] = [
    (
        "/nix/store",
        "everybody can read it, and Nix checks what is in it",
    ),
    ("/dev", "Linux mounts another file system there"),
    ("/proc", "Linux mounts another file system there"),
    ("/run", "NixOS mounts another file system there"),
    ("/sys", "Linux mounts another file system there"),
    ("/etc/static", "NixOS replaces it at each start"),
];

/// A file to be put onto a card.
#[derive(Clone, PartialEq, Eq)]
pub struct Put {
    /// The absolute path on the board.
    pub path: String,
    /// The content.
    pub content: Vec<u8>,
    /// The mode.
    pub mode: u32,
    /// The numbers of its user and its group.
    pub owner: (u32, u32),
}

impl fmt::Debug for Put {
    /// Without the content, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Put").field(&self.path).finish()
    }
}

impl Put {
    /// Refuses a path at which nothing can be put, or stays.
    fn check(&self) -> Result<(), Failure> {
        let path = &self.path;
        let refused =
            |why: &str| Failure::usage(format!("{path:?} cannot be put onto the card: {why}"));
        let Some(rest) = path.strip_prefix('/') else {
            return Err(refused("the path on the board must begin with /"));
        };
        if path.contains('"') || path.chars().any(char::is_control) {
            return Err(refused(
                "names with quotation marks or control characters cannot be passed to the programs that write it",
            ));
        }
        let mut names = rest.split('/');
        if names.any(|name| matches!(name, "" | "." | "..") || name.len() > MAX_NAME_BYTES)
            || path.len() > MAX_PATH_BYTES
        {
            return Err(refused("that is not the plain path of a file"));
        }
        let mut outside = NOT_ON_THE_CARD.iter();
        match outside.find(|(dir, _)| is_below(path, dir)) {
            Some((dir, why)) => Err(refused(&format!("it is in {dir}, and {why}"))),
            None => Ok(()),
        }
    }
}

/// Whether `path` is `dir` or in it.
pub(super) fn is_below(path: &str, dir: &str) -> bool {
    let rest = path.strip_prefix(dir.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Checks all of `puts` without the card: their paths, and their bytes together.
///
/// # Errors
///
/// One of them can be put onto no card, or not beside the others.
pub fn check(puts: &[Put]) -> Result<(), Failure> {
    puts.iter().try_for_each(Put::check)?;
    let size: u64 = puts.iter().map(|put| put.content.len() as u64).sum();
    if size > MAX_CONTENT_BYTES {
        return Err(Failure::usage(format!(
            "the files to be put onto the card have {size} bytes, and {MAX_CONTENT_BYTES} are allowed"
        )));
    }
    let paths: BTreeSet<&str> = puts.iter().map(|put| put.path.as_str()).collect();
    for put in puts {
        let is_dir = paths
            .iter()
            .any(|other| *other != put.path && is_below(other, &put.path));
        if is_dir {
            return Err(Failure::usage(format!(
                "{} cannot be a file and a directory",
                put.path
            )));
        }
    }
    if paths.len() < puts.len() {
        return Err(Failure::usage("a path on the board is named twice"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &str) -> Put {
        Put {
            path: path.to_owned(),
            content: b"secret".to_vec(),
            mode: 0o644,
            owner: (0, 0),
        }
    }

    #[test]
    fn only_plain_paths_outside_the_store_are_taken() {
        let taken = |path: &str| put(path).check().is_ok();
        assert!(taken("/etc/ssh/key") && taken("/a b/c'd$(e)") && taken("/nix/storey"));
        for path in [
            "etc/key",
            "/",
            "/etc/",
            "/a//b",
            "/a/./b",
            "/a/../b",
            "/a\"b",
            "/a\nb",
            "/nix/store",
            "/nix/store/x",
            "/run/key",
            "/dev/null",
        ] {
            assert!(!taken(path), "{path}");
        }
        assert!(!taken(&format!("/{}", "x".repeat(256))));
    }

    #[test]
    fn no_path_is_two_things() {
        assert!(check(&[put("/a/b"), put("/a/c"), put("/ab")]).is_ok());
        assert!(check(&[put("/a/b"), put("/a/b")]).is_err());
        assert!(check(&[put("/a/b"), put("/a")]).is_err());
        assert!(!format!("{:?}", put("/a")).contains("secret"));
    }
}
