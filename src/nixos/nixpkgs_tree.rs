//! A local nixpkgs directory: hashed by several threads, and packed by one walk in a fixed order. Both give the same digest.

mod entry;
mod pack;
mod remembered;
mod scan;
mod stamp;
mod walk;

pub(super) use self::entry::TreeSummary;
pub(super) use self::pack::pack_tree;
pub(super) use self::remembered::{forget, remembered, summarize};

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::entry::MAX_DEPTH;
    use super::scan::hash_tree;
    use super::*;
    use crate::nixos::tar_writer::Owner;
    use sdbuild_core::cancel::Cancel;
    use sdbuild_core::hash::Sha256Hash;

    const OWNER: Owner = Owner {
        uid: 1000,
        gid: 1000,
    };

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("nixos/lib")).unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
        fs::write(dir.path().join("nixos/lib/a"), vec![7; 100_000]).unwrap();
        // After `nixos/…` by directories, before it by bytes: `-` and `.` come before `/`.
        fs::write(dir.path().join("nixos-a"), "").unwrap();
        fs::write(dir.path().join("nixos.a"), "").unwrap();
        symlink("nixos/lib", dir.path().join("l")).unwrap();
        dir
    }

    fn digest(dir: &Path) -> Sha256Hash {
        hash_tree(dir, &Cancel::new()).unwrap().digest
    }

    #[test]
    fn the_digest_follows_paths_modes_and_contents() {
        let (one, two) = (tree(), tree());
        let start = digest(one.path());
        assert_eq!(start, digest(two.path()));
        fs::write(two.path().join(".git/HEAD"), "x").unwrap();
        assert_eq!(start, digest(two.path()));
        let file = two.path().join("nixos/default.nix");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(start, digest(two.path()));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(start, digest(two.path()));
        fs::rename(&file, two.path().join("nixos/other.nix")).unwrap();
        assert_ne!(start, digest(two.path()));
    }

    #[test]
    fn packing_yields_the_same_digest() {
        let dir = tree();
        let mut out = Vec::new();
        let packed = pack_tree(dir.path(), &mut out, OWNER, &Cancel::new()).unwrap();
        assert_eq!(packed, hash_tree(dir.path(), &Cancel::new()).unwrap());
        assert_eq!(packed.archive_size, out.len() as u64);
        let mut archive = tar::Archive::new(&out[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "nixpkgs/",
                "nixpkgs/l",
                "nixpkgs/nixos/",
                "nixpkgs/nixos/default.nix",
                "nixpkgs/nixos/lib/",
                "nixpkgs/nixos/lib/a",
                "nixpkgs/nixos-a",
                "nixpkgs/nixos.a"
            ]
        );
    }

    #[test]
    fn deeply_nested_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let deep = |levels| dir.path().join("d/".repeat(levels));
        fs::create_dir_all(deep(MAX_DEPTH)).unwrap();
        digest(dir.path());
        fs::create_dir_all(deep(1800)).unwrap();
        let error = hash_tree(dir.path(), &Cancel::new()).unwrap_err();
        assert!(
            error.to_string().contains("more than 256 levels"),
            "{error}"
        );
        assert!(error.to_string().len() < 2000, "{error}");
    }

    #[test]
    fn an_error_names_the_file_once() {
        let dir = tree();
        let link = dir.path().join("nixos/lib/b");
        symlink(OsStr::from_bytes(b"\xff"), &link).unwrap();
        let text = "nixos/lib/b: the target is not UTF-8";
        let error = hash_tree(dir.path(), &Cancel::new()).unwrap_err();
        assert_eq!(error.to_string(), text);
        let mut out = Vec::new();
        let error = pack_tree(dir.path(), &mut out, OWNER, &Cancel::new()).unwrap_err();
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn hashing_ends_when_it_is_cancelled() {
        let cancel = Cancel::new();
        cancel.received(2);
        let error = hash_tree(tree().path(), &cancel).unwrap_err();
        assert_eq!(error.to_string(), "interrupted");
    }

    #[test]
    fn a_symbolic_link_to_the_directory_gives_the_same_digest() {
        let dir = tree();
        let link = dir.path().with_extension("link");
        symlink(dir.path(), &link).unwrap();
        let through_link = hash_tree(&link, &Cancel::new()).unwrap();
        fs::remove_file(&link).unwrap();
        assert_eq!(through_link, hash_tree(dir.path(), &Cancel::new()).unwrap());
    }
}
