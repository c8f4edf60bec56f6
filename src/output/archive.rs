//! Archives as the engine sends them for one path.

use std::io::{self, Read};

use super::failures::unusable_result;
use sdbuild_core::failure::{Failure, OrFail as _};

/// The first entry of `archive`, which must be a regular file, and its length in bytes.
pub(super) fn first_file<R: Read>(
    archive: &mut tar::Archive<R>,
) -> Result<(tar::Entry<'_, R>, u64), Failure> {
    let first = archive.entries().map(|mut entries| entries.next());
    let first = first.and_then(Option::transpose);
    let entry = first
        .or_environment("read the engine's archive")?
        .ok_or_else(|| unusable_result("the engine's archive is empty"))?;
    if entry.header().entry_type() != tar::EntryType::Regular {
        return Err(unusable_result(
            "the engine's archive does not start with a regular file",
        ));
    }
    let size = entry.size();
    Ok((entry, size))
}

/// The whole content of a file of at most `max_bytes` out of `archive`. It may be shorter than the file if the
/// archive is cut off, which is an error.
pub(super) fn small_file(
    archive: impl Read,
    path: &str,
    max_bytes: u64,
) -> Result<Vec<u8>, Failure> {
    let mut archive = tar::Archive::new(archive);
    let (entry, size) = first_file(&mut archive)?;
    let mut content = Vec::new();
    let read: io::Result<usize> = entry.take(max_bytes).read_to_end(&mut content);
    read.or_environment(format!("read {path}"))?;
    if content.len() as u64 == size {
        Ok(content)
    } else {
        Err(unusable_result(format!("{path} is cut off")))
    }
}
