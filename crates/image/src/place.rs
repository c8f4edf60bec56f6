//! The path of a file on an image as users write it: `/path`, or `2:/path` for partition 2.

use std::path::Path;

use super::boot::{BootReport, Volume};
use super::error::Error;
use super::report::Layout;

/// A path on one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePath {
    /// The number of the partition; 0 for an image that is one file system.
    pub partition: u32,
    /// The path on the partition.
    pub path: String,
}

/// The directory that NixOS fills from its system when it starts.
const MADE_AT_START: &str = "/etc";

/// The number of the partition, if given, and the path.
fn parse(text: &str) -> (Option<u32>, &str) {
    match text.split_once(':').map(|(n, path)| (n.parse(), path)) {
        Some((Ok(number), path)) => (Some(number), path),
        Some((Err(_), _)) | None => (None, text),
    }
}

impl ImagePath {
    /// The path that `text` names; without a number it is on the root file system of NixOS if that has it, else on the first one
    /// that does: `/` is not the firmware's. A file in `/etc` that NixOS makes at its start is the one in its system.
    pub fn find(text: &str, layout: &Layout) -> Result<Self, Error> {
        let (number, path) = parse(text);
        let at = |partition| Self {
            partition,
            path: path.to_owned(),
        };
        if let Some(number) = number {
            return Ok(at(number));
        }
        let mut first = None;
        let has_store = |volume: &&Volume| matches!(volume.fs.find("/nix/store"), Ok(Some(_)));
        let (roots, others): (Vec<_>, Vec<_>) = layout.volumes.iter().partition(has_store);
        for volume in roots.into_iter().chain(others) {
            match volume.fs.find(path) {
                Ok(Some(_)) => return Ok(at(volume.number)),
                Ok(None) => {}
                Err(e) if e.is_fatal() => return Err(e),
                Err(e) => first = first.or(Some(e)),
            }
        }
        let whole = format!("/{}", path.trim_start_matches('/'));
        if Path::new(&whole).starts_with(MADE_AT_START)
            && let Some(system) = BootReport::find(&layout.volumes)?.system.path
        {
            return Self::find(&format!("{system}{whole}"), layout);
        }
        let problem = || layout.problems.first().cloned().map(Error::Damaged);
        let missing = || Error::refused(format!("no file system on it has {path}"));
        Err(first.or_else(problem).unwrap_or_else(missing))
    }

    /// The file system of its partition.
    pub fn volume<'a>(&self, layout: &'a Layout) -> Result<&'a Volume, Error> {
        let number = self.partition;
        let found = layout.volumes.iter().find(|volume| volume.number == number);
        found.ok_or_else(|| {
            let exists = layout
                .partitions
                .iter()
                .any(|report| report.partition.number == number);
            Error::refused(if exists {
                format!("partition {number} has no file system that can be read")
            } else {
                format!("there is no partition {number}")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_before_the_colon_is_a_partition() {
        assert_eq!(parse("2:/a:b"), (Some(2), "/a:b"));
        assert_eq!(parse("/a:b"), (None, "/a:b"));
        assert_eq!(parse("x:/b"), (None, "x:/b"));
        assert_eq!(parse("99999999999:/b"), (None, "99999999999:/b"));
    }
}
