//! The path of a file on an image as users write it: `/path`, or `2:/path` for partition 2.

use super::boot::Volume;
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

/// That no file system has `path`, and why not if NixOS makes it.
fn missing(path: &str) -> String {
    let rest = path.trim_start_matches('/');
    let top = rest.split('/').next().unwrap_or_default();
    let why = match top {
        "etc" | "bin" | "usr" => {
            ": NixOS makes that directory when it starts, and its files are in /nix/store"
        }
        "dev" | "proc" | "run" | "sys" | "tmp" | "var" | "root" | "home" => {
            ": NixOS makes that directory when it starts"
        }
        _ => "",
    };
    format!("no file system on it has {path}{why}")
}

/// The number of the partition, if given, and the path.
pub(super) fn parse(text: &str) -> (Option<u32>, &str) {
    match text.split_once(':').map(|(n, path)| (n.parse(), path)) {
        Some((Ok(number), path)) => (Some(number), path),
        Some((Err(_), _)) | None => (None, text),
    }
}

impl ImagePath {
    /// The path that `text` names; without a number it is on the root file system of NixOS if that has it, else on the first one
    /// that does: `/` is not the firmware's.
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
        let problem = || layout.problems.first().cloned().map(Error::Damaged);
        Err(first
            .or_else(problem)
            .unwrap_or_else(|| Error::refused(missing(path))))
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
    fn what_nixos_makes_at_boot_is_said() {
        assert!(missing("/etc/hostname").ends_with("its files are in /nix/store"));
        assert!(missing("run/current-system").ends_with("when it starts"));
        assert_eq!(missing("/etcetera"), "no file system on it has /etcetera");
    }

    #[test]
    fn number_before_the_colon_is_a_partition() {
        assert_eq!(parse("2:/a:b"), (Some(2), "/a:b"));
        assert_eq!(parse("/a:b"), (None, "/a:b"));
        assert_eq!(parse("x:/b"), (None, "x:/b"));
        assert_eq!(parse("99999999999:/b"), (None, "99999999999:/b"));
    }
}
