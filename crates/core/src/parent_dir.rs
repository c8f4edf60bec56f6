//! The directory that a path names something in.

use std::path::Path;

/// The directory that `path` names something in: `.` for a name alone, and for paths that name nothing in a directory (`/`, the empty
/// one).
pub fn parent_dir(path: &Path) -> &Path {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    dir.unwrap_or(Path::new("."))
}
