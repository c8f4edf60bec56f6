//! How large a configuration's directory is, and what makes it large. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;

/// Bytes from which on the user is warned: configurations are small, larger files are there by mistake.
const WARN_BYTES: u64 = 64 << 20;
/// Largest directory in bytes.
const MAX_UPLOAD_BYTES: u64 = 2 << 30;
/// Most files and directories; with more it is not a configuration's directory but a whole disk.
const MAX_ENTRIES: u64 = 200_000;
/// Files or directories that a message names.
const MAX_NAMED: usize = 5;
/// Smaller files are not named.
const LARGE_FILE: u64 = 1_000_000;
/// Directories whose files are counted.
const MAX_COUNTED: usize = 10_000;
const OWN_DIR_HINT: &str = "move the configuration into its own directory";
const OWN_INPUT_HINT: &str = "name a directory that has only the input";

/// Sizes and number of files.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    bytes: u64,
    entries: u64,
    /// Size and name of the largest files, the largest first.
    largest: Vec<(u64, String)>,
    /// Files and directories by the first component of their path.
    by_top: BTreeMap<String, u64>,
}

impl Sizes {
    /// Counts the file `name` of `size` bytes, or something else without a size.
    pub(super) fn add(&mut self, name: &str, size: u64) {
        self.bytes = self.bytes.saturating_add(size);
        self.entries += 1;
        let top = name.split('/').next().unwrap_or(name);
        if let Some(count) = self.by_top.get_mut(top) {
            *count += 1;
        } else if self.by_top.len() < MAX_COUNTED {
            self.by_top.insert(top.to_owned(), 1);
        }
        let smallest = self.largest.get(MAX_NAMED - 1).map_or(0, |(size, _)| *size);
        if size >= LARGE_FILE.max(smallest) {
            self.largest.push((size, name.to_owned()));
            self.largest.sort_by(|a, b| b.cmp(a));
            self.largest.truncate(MAX_NAMED);
        }
    }

    /// The size of all files in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the directory is too large to be uploaded.
    pub(super) fn are_too_large(&self) -> bool {
        self.bytes > MAX_UPLOAD_BYTES || self.entries > MAX_ENTRIES
    }

    /// The failure for the directory `root`, which is too large: the configuration's, or that of an input of a flake.
    pub(super) fn failure(&self, root: &Path, is_input: bool) -> Failure {
        let root = root.display();
        let (excess, largest) = if self.bytes > MAX_UPLOAD_BYTES {
            ("more than 2 GiB", self.largest())
        } else {
            ("more than 200,000 files", self.fullest())
        };
        let (whose, what_to_do) = if is_input {
            ("the input's", OWN_INPUT_HINT)
        } else {
            ("the configuration's", OWN_DIR_HINT)
        };
        let text = format!("{whose} directory {root} has {excess}");
        Failure::usage(text)
            .hint(format!("{what_to_do}: the whole directory is uploaded"))
            .hint(format!(
                "or list what the build does not need in .sdbuildignore; largest: {largest}"
            ))
    }

    /// The warning of a directory that is larger than it should be.
    pub(super) fn warning(&self) -> Option<String> {
        (self.bytes > WARN_BYTES).then(|| {
            format!(
                "the configuration's directory has {}, and sdbuild uploads all of it: {OWN_DIR_HINT}, or list what the build \
                 does not need in .sdbuildignore; largest: {}",
                human_bytes(self.bytes),
                self.largest()
            )
        })
    }

    /// The largest files; if none is large, where most files are.
    fn largest(&self) -> String {
        if self.largest.is_empty() {
            return self.fullest();
        }
        let shown = |(size, name): &(u64, String)| format!("{name} ({})", human_bytes(*size));
        self.largest
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The directory with the most files, for a hint.
    fn fullest(&self) -> String {
        let mut tops: Vec<_> = self.by_top.iter().collect();
        tops.sort_by(|(_, a), (_, b)| b.cmp(a));
        let shown = |(name, count): &(&String, &u64)| format!("{name} ({count} files)");
        let several = tops.iter().filter(|(_, count)| **count > 1);
        let several: Vec<_> = several.take(MAX_NAMED).map(shown).collect();
        if several.is_empty() {
            return format!("{} files in the directory itself", self.entries);
        }
        several.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_files_are_named_the_largest_first() {
        let mut sizes = Sizes::default();
        sizes.add("sd-card.nix", 700);
        assert_eq!(sizes.warning(), None);
        for n in 1..8 {
            sizes.add(&format!("big/{n}.mp4"), n * 20_000_000);
        }
        sizes.add(".gitignore", 3);
        let warning = sizes.warning().unwrap();
        let (_, largest) = warning.split_once("largest: ").unwrap();
        assert_eq!(
            largest,
            "big/7.mp4 (140 MB), big/6.mp4 (120 MB), big/5.mp4 (100 MB), big/4.mp4 (80 MB), big/3.mp4 (60 MB)"
        );
        assert!(warning.contains("has 560 MB"), "{warning}");
        assert!(!sizes.are_too_large());
    }

    #[test]
    fn the_directory_with_most_files_is_named() {
        let mut sizes = Sizes::default();
        sizes.add("sd-card.nix", 700);
        for n in 0..MAX_ENTRIES {
            sizes.add(&format!("node_modules/{n}"), 1);
        }
        assert!(sizes.are_too_large());
        let failure = sizes.failure(Path::new("/home/me/pi"), false);
        let text = format!("{failure} {:?}", failure.hints);
        assert!(
            text.contains("/home/me/pi has more than 200,000 files"),
            "{text}"
        );
        assert!(
            text.contains("largest: node_modules (200000 files)\""),
            "{text}"
        );
        let failure = sizes.failure(Path::new("/home/me/src"), true).to_string();
        assert!(
            failure.starts_with("the input's directory /home/me/src"),
            "{failure}"
        );
    }
}
