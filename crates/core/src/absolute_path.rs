//! Absolute paths as messages show them, and paths below the user's home directory.

use std::path::{Component, Path, PathBuf};

/// `path`, which is relative to `dir`, without `.`, double slashes and, where that names the same directory, without `..`:
/// behind a symbolic link `..` leads elsewhere than to the directory before it.
pub fn absolute(path: &Path, dir: &Path) -> PathBuf {
    let full: PathBuf = dir.join(path).components().collect();
    let parts: Vec<Component<'_>> = full.components().collect();
    let is_parent = |part: &Component<'_>| *part == Component::ParentDir;
    let Some(last) = parts.iter().rposition(is_parent) else {
        return full;
    };
    let (above, below) = parts.split_at(last + 1);
    let above: PathBuf = above.iter().collect();
    let short = without_parents(&above);
    match (above.canonicalize(), short.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => short.join(below.iter().collect::<PathBuf>()),
        _ => full,
    }
}

/// `path`, with the directory `home` in place of `~` at its beginning: no shell replaces it in `--output=~/images`, nor in a file.
/// `./~` is not at home.
pub fn below_home(path: &Path, home: Option<&Path>) -> PathBuf {
    let below = path.strip_prefix("~").ok().zip(home);
    below.map_or_else(|| path.to_owned(), |(rest, home)| home.join(rest))
}

fn without_parents(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            out.pop();
        } else {
            out.push(component);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_resolved_unless_a_link_is_before_them() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("far/away")).unwrap();
        std::fs::create_dir(dir.join("pi")).unwrap();
        std::os::unix::fs::symlink(dir.join("far/away"), dir.join("pi/link")).unwrap();
        let pi = dir.join("pi");
        let of = |path: &str| absolute(Path::new(path), &pi);
        assert_eq!(of("./sd-card.nix"), pi.join("sd-card.nix"));
        assert_eq!(of("../semi/sd-card.nix"), dir.join("semi/sd-card.nix"));
        assert_eq!(of("../pi//./none.nix"), pi.join("none.nix"));
        assert!(of("..").starts_with(&dir) && !of("..").ends_with(".."));
        // What does not exist may be anything.
        assert_eq!(of("none/../x.nix"), pi.join("none/../x.nix"));
        // That is far/x.nix.
        assert_eq!(of("link/../x.nix"), pi.join("link/../x.nix"));
    }
}
