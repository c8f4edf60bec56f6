//! The directory that a path names something in.

use std::path::Path;

/// The directory that `path` names something in: `.` for a name alone, and for paths that name nothing in a directory (`/`, the empty
/// one).
pub fn parent_dir(path: &Path) -> &Path {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    dir.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_directory() {
        for (path, dir) in [
            ("a", "."),
            ("b/a", "b"),
            ("/a", "/"),
            ("./a", "."),
            ("", "."),
        ] {
            assert_eq!(parent_dir(Path::new(path)), Path::new(dir), "{path}");
        }
    }
}
