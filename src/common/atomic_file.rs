//! Files that get their name when they are complete: a kill leaves the old file, or none.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes `text` to the file `path`, or replaces it, with the permissions `mode`.
pub fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let file = temporary(dir.unwrap_or(Path::new(".")), text, mode, None)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes `content` to the disk in a temporary file in `dir`, with the permissions `mode` and owned by `owner` (user and group id;
/// `None`: this user). The caller gives it its name; otherwise it is removed. No error names the temporary file.
pub fn temporary(
    dir: &Path,
    content: impl AsRef<[u8]>,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix(".sdbuild-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir);
    let mut file = file.map_err(|error| io::Error::from(error.kind()))?;
    file.write_all(content.as_ref())?;
    if let Some((user, group)) = owner {
        fchown(file.as_file(), Some(user), Some(group))?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}
