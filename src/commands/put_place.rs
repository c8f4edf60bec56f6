//! Where the files may be that are put onto a card.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_file;

/// Where the files may be.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Anywhere: the user names each of them.
    Anywhere,
    /// In this directory, whose path has no symbolic link: that of a list, which may come from a stranger. It must not choose which
    /// of the user's other files get onto a card.
    Below(PathBuf),
}

impl Place {
    /// The directory of the file `list`.
    pub(super) fn of_list(list: &Path) -> Result<Self, Failure> {
        let dir = parent_dir(list).canonicalize();
        let dir = dir.or_usage(format!("find the directory of {}", list.display()))?;
        Ok(Self::Below(dir))
    }

    /// The path of the file or directory `named`, if it may be put onto a card.
    pub(super) fn find(&self, named: &Path) -> Result<PathBuf, Failure> {
        let Self::Below(dir) = self else {
            return Ok(named.to_owned());
        };
        let found = dir.join(named).canonicalize();
        let found = found.or_usage(format!("read {}", named.display()))?;
        if found.starts_with(dir) {
            return Ok(found);
        }
        let text = format!(
            "{} is not in the directory of the list, {}",
            named.display(),
            dir.display()
        );
        Err(Failure::usage(text).hint("put it there, or name it with a flag: --put, --host-key"))
    }

    /// Opens the file at the path `found`.
    pub(super) fn open(&self, found: &Path) -> io::Result<File> {
        let Self::Below(dir) = self else {
            return plain_file::open(found);
        };
        let rest = found.strip_prefix(dir).map_err(io::Error::other)?;
        plain_file::open_beneath(&File::open(dir)?, rest)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_list_names_only_files_in_its_own_directory() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("clone/keys")).unwrap();
        fs::create_dir(at("private")).unwrap();
        for file in ["clone/keys/kitchen", "private/key"] {
            fs::write(at(file), file).unwrap();
        }
        symlink("../private", at("clone/way")).unwrap();
        symlink("../private/key", at("clone/link")).unwrap();
        symlink("keys/kitchen", at("clone/inside")).unwrap();
        let place = Place::of_list(&at("clone/boards.toml")).unwrap();
        let read = |named: &Path| {
            let found = place.find(named).ok()?;
            io::read_to_string(place.open(&found).ok()?).ok()
        };
        for inside in ["keys/kitchen", "./keys/../keys/kitchen", "inside"] {
            let text = read(Path::new(inside));
            assert_eq!(text.as_deref(), Some("clone/keys/kitchen"), "{inside}");
        }
        let outside = at("private/key");
        for named in [
            "../private/key",
            "way/key",
            "link",
            outside.to_str().unwrap(),
        ] {
            assert!(place.find(Path::new(named)).is_err(), "{named}");
            assert!(Place::Anywhere.find(&at("clone").join(named)).is_ok());
        }
        // It may have become a link since it was found.
        let found = place.find(Path::new("keys/kitchen")).unwrap();
        fs::remove_file(&found).unwrap();
        symlink(at("private/key"), &found).unwrap();
        assert!(place.open(&found).is_err());
    }
}
