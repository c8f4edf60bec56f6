//! An existing seed: a volume, or user-data from which a volume is made.

use std::path::Path;

use super::files::{MAX_FILE_BYTES, Seed, SeedPaths, USER_DATA, checked_user_data, text_of};
use super::logins::logins;
use super::nixos::not_followed;
use crate::disk::Section;
use crate::entry::EntryKind;
use crate::{Error, FileSystem};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::to_usize::to_usize;

/// Bytes of the largest volume that is read.
const MAX_VOLUME_BYTES: u64 = 64 << 20;
/// The labels by which cloud-init finds a volume.
const LABELS: [&str; 2] = ["cidata", "CIDATA"];
/// What to do about a file that is not a seed.
const HINT: &str =
    "`sdbuild seed --user-data FILE` makes a seed; the file with the user-data will do as well";

/// Reads and checks the seed at `path`.
pub fn read(path: &Path) -> Result<Seed, Failure> {
    let shown = path.display();
    let bytes = plain_file::read(path, MAX_VOLUME_BYTES);
    let bytes = bytes.or_usage(format!("read the seed {shown}"))?;
    let disk = Section::whole(bytes.clone(), bytes.len() as u64, &Cancel::new());
    let fail = |error: Error| error.fail(format!("read the seed {shown}"));
    match FileSystem::detect(&disk).map_err(fail)? {
        Some(fs) => of_volume(&fs, bytes, path),
        None => Seed::make(&SeedPaths {
            user_data: path,
            meta_data: None,
            network_config: None,
            vendor_data: None,
            host_name: None,
        })
        .map_err(|failure| failure.hint(HINT)),
    }
}

/// The seed in the file system `fs`, which is all of `volume`.
fn of_volume(fs: &FileSystem, volume: Vec<u8>, path: &Path) -> Result<Seed, Failure> {
    let shown = path.display();
    let fail = |error: Error| error.fail(format!("read the seed {shown}"));
    let refused = |what: String| Failure::usage(format!("the seed {shown}: {what}")).hint(HINT);
    let summary = fs.summary().map_err(fail)?;
    let kind = &summary.kind;
    if !matches!(fs, FileSystem::Fat(_) | FileSystem::Iso(_)) {
        let what = format!("it is a file system of the kind {kind}, and not FAT or ISO 9660");
        return Err(refused(what));
    }
    let label = summary.label.unwrap_or_default();
    if !LABELS.contains(&label.as_str()) {
        let what = format!("its label is `{label}`, and cloud-init looks for CIDATA");
        return Err(refused(what));
    }
    let limit = to_usize(MAX_FILE_BYTES);
    let Some(user_data) = fs.start_of(USER_DATA, limit).map_err(fail)? else {
        return Err(refused(format!("there is no file {USER_DATA} in it")));
    };
    let text = text_of(USER_DATA, path, user_data)?;
    let config = checked_user_data(USER_DATA, path, &text)?;
    let entries = fs.list("/").map_err(fail)?;
    let files = entries.into_iter().filter(|e| e.kind == EntryKind::File);
    Ok(Seed {
        volume,
        files: files.map(|file| (file.name, file.size)).collect(),
        instance_id: None,
        logins: config.as_ref().map(logins).unwrap_or_default(),
        not_followed: config.as_ref().map(not_followed).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::volume::volume;

    fn of(bytes: &[u8]) -> Result<Seed, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seed");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn refused(bytes: &[u8]) -> String {
        of(bytes).unwrap_err().to_string()
    }

    const CONFIG: &[u8] = b"#cloud-config\nusers: [{name: me, ssh_authorized_keys: [k]}]\n";

    #[test]
    fn volumes_and_user_data_are_seeds() {
        let made = of(CONFIG).unwrap();
        assert_eq!(made.logins[0].user, "me");
        let foreign = of(&made.volume).unwrap();
        assert_eq!(foreign.logins, made.logins);
        assert!(foreign.volume == made.volume);
        let names: Vec<&str> = foreign
            .files
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["meta-data", "user-data"]);
    }

    #[test]
    fn a_volume_has_the_label_and_valid_user_data() {
        let mut other = of(CONFIG).unwrap().volume;
        let labels: Vec<usize> = (0..other.len() - 6)
            .filter(|at| &other[*at..at + 6] == b"CIDATA")
            .collect();
        assert_eq!(labels.len(), 2);
        for at in labels {
            other[at..at + 6].copy_from_slice(b"OTHER ");
        }
        assert!(refused(&other).contains("its label is `OTHER`"));
        let broken = volume(&[("user-data", b"#cloud-config\na: b: c\n")]).unwrap();
        assert!(refused(&broken).contains("line 2"));
        let without = volume(&[("meta-data", b"")]).unwrap();
        assert!(refused(&without).contains("no file user-data"));
        assert!(refused(b"anything").contains("its first line"));
    }
}
