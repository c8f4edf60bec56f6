//! The files of a seed, read from where the user has them, checked and put on a volume; and an existing seed: a volume, or user-data from which a
//! volume is made.

use std::io::{self, Cursor, Write as _};
use std::path::Path;

use fatfs::{FormatVolumeOptions, FsOptions};

use super::cloud_config::{SeedFile, SeedLogin, logins, not_followed};
use super::yaml::Node;
use crate::disk::Section;
use crate::files::EntryKind;
use crate::{Error, FileSystem};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_core::host_name;
use sdbuild_core::plain_file;
use sdbuild_core::to_usize::to_usize;

/// Bytes of the largest file of a seed. Clouds allow 16 to 64 KiB of user-data.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// The names under which cloud-init looks for the files.
const USER_DATA: &str = "user-data";
const META_DATA: &str = "meta-data";
const NETWORK_CONFIG: &str = "network-config";
const VENDOR_DATA: &str = "vendor-data";
/// What the meta-data call the machine.
const INSTANCE_ID: &str = "instance-id";

/// Where the files of a new seed are.
#[derive(Clone, Copy, Debug)]
pub struct SeedPaths<'a> {
    /// The configuration or the script.
    pub user_data: &'a Path,
    /// The meta-data; `None` to make them.
    pub meta_data: Option<&'a Path>,
    /// The configuration of the network.
    pub network_config: Option<&'a Path>,
    /// What comes before the user-data.
    pub vendor_data: Option<&'a Path>,
    /// The host name in meta-data that are made, checked by the caller.
    pub host_name: Option<&'a str>,
}

/// A checked seed.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The bytes of the volume.
    pub volume: Vec<u8>,
    /// Names and lengths of the files on it.
    pub files: Vec<(String, u64)>,
    /// The name of the machine in the meta-data: cloud-init configures a machine once for each. `None` if they have none.
    pub instance_id: Option<String>,
    /// The users with an authorized key, in the order of the user-data.
    pub logins: Vec<SeedLogin>,
    /// What of the user-data cloud-init does not follow on NixOS, a sentence each.
    pub not_followed: Vec<String>,
}

impl Seed {
    /// Reads and checks the files at `paths`, and makes the volume: the same one for the same files.
    pub fn make(paths: &SeedPaths<'_>) -> Result<Self, Failure> {
        let (user_data, config) = user_data(USER_DATA, paths.user_data)?;
        let mut files = vec![(USER_DATA, user_data)];
        if let Some(path) = paths.network_config {
            let (text, settings) = mapping(NETWORK_CONFIG, path)?;
            if settings.is_none() {
                let text = format!("{NETWORK_CONFIG} {}: it is empty", path.display());
                return Err(Failure::usage(text).hint("without this file the machine asks DHCP"));
            }
            files.push((NETWORK_CONFIG, text));
        }
        if let Some(path) = paths.vendor_data {
            files.push((VENDOR_DATA, user_data_of(VENDOR_DATA, path)?));
        }
        let (meta_data, instance_id) = if let Some(path) = paths.meta_data {
            let (text, settings) = mapping(META_DATA, path)?;
            let id = settings.as_ref().and_then(|node| node.get(INSTANCE_ID));
            let id = id.and_then(Node::text).map(str::to_owned);
            (text, id)
        } else {
            let named = config.as_ref().and_then(host_name_of);
            let (text, id) = made_meta_data(&files, paths.host_name.or(named));
            (text, Some(id))
        };
        files.push((META_DATA, meta_data));
        let files: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, text)| (*name, text.as_bytes()))
            .collect();
        Ok(Self {
            volume: volume(&files).or_internal("make the file system of the seed")?,
            files: files
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), bytes.len() as u64))
                .collect(),
            instance_id,
            logins: config.as_ref().map(logins).unwrap_or_default(),
            not_followed: config.as_ref().map(not_followed).unwrap_or_default(),
        })
    }
}

/// The host name that `config` sets. On NixOS cloud-init takes it from the meta-data only, if the system has one of its own.
fn host_name_of(config: &Node) -> Option<&str> {
    let name = config.get("hostname")?.text()?;
    host_name::is_valid(name).then_some(name)
}

/// Meta-data whose name of the machine follows from `files` and the host name: with other files cloud-init configures the
/// machine again.
fn made_meta_data(files: &[(&str, String)], host_name: Option<&str>) -> (String, String) {
    let name = host_name.unwrap_or_default().as_bytes();
    let parts = files.iter().map(|(name, text)| (*name, text.as_bytes()));
    let parts: Vec<_> = parts.chain([("local-hostname", name)]).collect();
    let id = format!("sdbuild-{}", hash_of(&parts).short());
    // Quoted, because YAML takes some names for numbers or truth values.
    let line = host_name.map(|name| format!("local-hostname: \"{name}\"\n"));
    let text = format!("{INSTANCE_ID}: {id}\n{}", line.unwrap_or_default());
    (text, id)
}

/// The text of a file of user-data, and the configuration that it is, if it is one.
fn user_data(name: &str, path: &Path) -> Result<(String, Option<Node>), Failure> {
    let text = read_text(name, path)?;
    let config = checked_user_data(name, path, &text)?;
    Ok((text, config))
}

/// The text of a file that may be whatever user-data may be.
fn user_data_of(name: &str, path: &Path) -> Result<String, Failure> {
    user_data(name, path).map(|(text, _)| text)
}

/// The configuration that `text`, of the file `name` at `path`, is as user-data, if it is one.
fn checked_user_data(name: &str, path: &Path, text: &str) -> Result<Option<Node>, Failure> {
    SeedFile { name, path, text }.checked()
}

/// The text of a file that has to be a mapping of YAML, and the mapping; `None` if it says nothing.
fn mapping(name: &str, path: &Path) -> Result<(String, Option<Node>), Failure> {
    let text = read_text(name, path)?;
    let file = SeedFile {
        name,
        path,
        text: &text,
    };
    let node = file.mapping()?;
    Ok((text, node))
}

fn read_text(name: &str, path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let bytes = plain_file::read(path, MAX_FILE_BYTES).or_usage(format!("read {name} {shown}"))?;
    text_of(name, path, bytes)
}

/// `bytes` as text; a usage error if they are none.
fn text_of(name: &str, path: &Path, bytes: Vec<u8>) -> Result<String, Failure> {
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
    // Images of disks and the like may be UTF-8.
    if !is_gzip && bytes.contains(&0) {
        let text = format!("{name} {}: it contains NUL bytes", path.display());
        return Err(Failure::usage(text).hint("it must be a text file; is this the right file?"));
    }
    let text = String::from_utf8(bytes);
    text.map_err(|_| {
        let text = format!("{name} {}: it is not UTF-8", path.display());
        Failure::usage(text).hint(if is_gzip {
            "it is compressed; unpack it first"
        } else {
            "save it as UTF-8 text"
        })
    })
}

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

/// The label by which cloud-init finds the volume, padded to the length that FAT has.
const LABEL: [u8; 11] = *b"CIDATA     ";
/// The size of a volume is a multiple of this many bytes.
const STEP_BYTES: usize = 1 << 20;
/// Bytes for the boot sector, both tables, the root directory, and the ends of clusters.
const OVERHEAD_BYTES: usize = 128 << 10;

/// A FAT file system with `files`, by their names, in the root directory: the same bytes for the same files.
pub(super) fn volume(files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let content: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let size = (content + OVERHEAD_BYTES).next_multiple_of(STEP_BYTES);
    let mut disk = Cursor::new(vec![0; size]);
    let options = FormatVolumeOptions::new()
        .volume_label(LABEL)
        .volume_id(volume_id(files));
    fatfs::format_volume(&mut disk, options)?;
    {
        let fs = fatfs::FileSystem::new(&mut disk, FsOptions::new().update_accessed_date(false))?;
        for (name, bytes) in files {
            let mut file = fs.root_dir().create_file(name)?;
            file.write_all(bytes)?;
            file.flush()?;
        }
        fs.unmount()?;
    }
    Ok(disk.into_inner())
}

/// A number that changes with the files, as that of two volumes should.
fn volume_id(files: &[(&str, &[u8])]) -> u32 {
    let [a, b, c, d, ..]: [u8; 32] = hash_of(files).into();
    u32::from_be_bytes([a, b, c, d])
}

/// The hash of names and contents, with the length before each.
fn hash_of(files: &[(&str, &[u8])]) -> Sha256Hash {
    let mut hasher = Hasher::new();
    for part in files
        .iter()
        .flat_map(|(name, bytes)| [name.as_bytes(), *bytes])
    {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finish().sha256
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileSystem;
    use crate::disk::Section;
    use crate::seed::files::volume;
    use sdbuild_core::cancel::Cancel;
    use std::path::PathBuf;

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    fn only(user_data: &Path) -> SeedPaths<'_> {
        SeedPaths {
            user_data,
            meta_data: None,
            network_config: None,
            vendor_data: None,
            host_name: None,
        }
    }

    fn on_volume(seed: &Seed, name: &str) -> String {
        let len = seed.volume.len() as u64;
        let disk = Section::whole(seed.volume.clone(), len, &Cancel::new());
        let fs = FileSystem::detect(&disk).unwrap().unwrap();
        assert_eq!(fs.summary().unwrap().label.as_deref(), Some("CIDATA"));
        let bytes = fs.start_of(name, 1 << 24).unwrap().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_same_files_make_the_same_volume() {
        let dir = Dir::new();
        let text = format!("#cloud-config\n# {}\nusers: []\n", "x".repeat(2_000_000));
        let user_data = dir.file("u", &text);
        let network = dir.file("n", "version: 2\n");
        let paths = SeedPaths {
            network_config: Some(&network),
            vendor_data: Some(&user_data),
            host_name: Some("kitchen"),
            ..only(&user_data)
        };
        let seed = Seed::make(&paths).unwrap();
        assert!(Seed::make(&paths).unwrap().volume == seed.volume);
        assert_eq!(on_volume(&seed, "user-data"), text);
        assert_eq!(on_volume(&seed, "network-config"), "version: 2\n");
        assert_eq!(on_volume(&seed, "vendor-data"), text);
        let id = seed.instance_id.clone().unwrap();
        let meta_data = format!("instance-id: {id}\nlocal-hostname: \"kitchen\"\n");
        assert_eq!(on_volume(&seed, "meta-data"), meta_data);
        let other = Seed::make(&only(&user_data)).unwrap();
        assert_ne!(other.instance_id.unwrap(), id);
        assert_eq!(other.volume.len() % (1 << 20), 0);
    }

    #[test]
    fn the_host_name_of_the_user_data_is_in_the_meta_data() {
        let dir = Dir::new();
        let line = |name: &str, host_name| {
            let user_data = dir.file("u", format!("#cloud-config\nhostname: {name}\n"));
            let seed = Seed::make(&SeedPaths {
                host_name,
                ..only(&user_data)
            });
            let text = on_volume(&seed.unwrap(), "meta-data");
            text.lines().nth(1).map(str::to_owned)
        };
        let expected = |name| Some(format!("local-hostname: \"{name}\""));
        assert_eq!(line("kitchen", None), expected("kitchen"));
        assert_eq!(line("kitchen", Some("hall")), expected("hall"));
        assert_eq!(line("\"a\\nb: c\"", None), None);
    }

    #[test]
    fn meta_data_of_the_user_stay_as_they_are() {
        let dir = Dir::new();
        let user_data = dir.file("u", "#!/bin/sh\n");
        let meta_data = dir.file("m", "{\"instance-id\": \"mine\"}\n");
        let paths = SeedPaths {
            meta_data: Some(&meta_data),
            ..only(&user_data)
        };
        let seed = Seed::make(&paths).unwrap();
        assert_eq!(seed.instance_id.as_deref(), Some("mine"));
        assert_eq!(
            on_volume(&seed, "meta-data"),
            "{\"instance-id\": \"mine\"}\n"
        );
    }

    #[test]
    fn every_file_is_checked() {
        let dir = Dir::new();
        let good = dir.file("good", "#cloud-config\n");
        let list = dir.file("list", "- a\n");
        let empty = dir.file("empty", "");
        let binary = dir.file("binary", [0x1f, 0x8b, 0xff, 0]);
        let disk = dir.file("disk", [0; 512]);
        let failure = |paths: SeedPaths<'_>| Seed::make(&paths).unwrap_err().to_string();
        let network = failure(SeedPaths {
            network_config: Some(&list),
            ..only(&good)
        });
        assert!(network.starts_with("network-config /"), "{network}");
        assert!(network.contains("line 1: keys with values"), "{network}");
        let network = failure(SeedPaths {
            network_config: Some(&empty),
            ..only(&good)
        });
        assert!(network.contains("it is empty"), "{network}");
        let meta_data = failure(SeedPaths {
            meta_data: Some(&list),
            ..only(&good)
        });
        assert!(meta_data.starts_with("meta-data /"), "{meta_data}");
        let vendor_data = failure(SeedPaths {
            vendor_data: Some(&list),
            ..only(&good)
        });
        assert!(vendor_data.starts_with("vendor-data /"), "{vendor_data}");
        let zeros = failure(only(&disk));
        assert!(zeros.ends_with("it contains NUL bytes"), "{zeros}");
        let text = Seed::make(&only(&binary)).unwrap_err();
        assert!(text.hints.concat().contains("unpack it"), "{text:?}");
        let large = dir.file("large", vec![b'#'; 5 << 20]);
        assert!(failure(only(&large)).contains("larger than"));
    }

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
