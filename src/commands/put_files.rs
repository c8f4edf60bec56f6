//! The files that `--put`, `--host-key` and a list of boards name, read into memory.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cli::{PutArgs, PutFile};
use crate::commands::Session;
use crate::commands::confirm::read_hidden;
use crate::commands::host_key::HostKey;
use crate::commands::put_place::Place;
use crate::template::key_in;
use sdbuild_card::{MAX_CONTENT_BYTES, Put, Wifi};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::host_name;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::plain_file;
use sdbuild_core::ssh_key;
use sdbuild_nix::wifi_passphrase::has_valid_length;

/// Bytes of a file with a key.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// Files that are put onto a card at once.
const MAX_FILES: usize = 4096;
/// Paths that are shown.
const MAX_SHOWN: usize = 20;
/// Bytes of the name of a wireless network (IEEE 802.11, 9.4.2.2).
const MAX_SSID_BYTES: usize = 32;
/// Directories of a tree below each other.
const MAX_DEPTH: usize = 64;
/// The list of keys with which root can log in, beside that of the configuration.
const ROOT_KEYS: &str = "/root/.ssh/authorized_keys";
/// The permissions that are taken for standard input: it may be a secret.
const MODE_OF_INPUT: u32 = 0o600;

/// What is to be put onto a card, and where its files may be.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// What is to be put.
    pub(super) args: PutArgs,
    /// Where the files may be.
    pub(super) place: Place,
}

impl Given {
    /// What the user's own flags name.
    pub(super) fn by_user(args: PutArgs) -> Self {
        Self {
            args,
            place: Place::Anywhere,
        }
    }
}

/// What is put onto a card.
#[derive(Debug, Default)]
pub(super) struct PutFiles {
    /// The files.
    pub(super) puts: Vec<Put>,
    /// The wireless network with its passphrase, which the image itself has a place for.
    pub(super) wifi: Option<Wifi>,
    /// The public key by which the board is known: its type and the key.
    pub(super) host_key: Option<String>,
    /// The host name that is put there.
    pub(super) hostname: Option<String>,
    room: Room,
}

/// What else can be read.
#[derive(Debug)]
struct Room {
    bytes: u64,
    files: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            bytes: MAX_CONTENT_BYTES,
            files: MAX_FILES,
        }
    }
}

impl PutFiles {
    /// Reads what each of `given` names, and asks for a passphrase that is in no file.
    pub(super) async fn prepare(given: &[Given], session: Session<'_>) -> Result<Self, Failure> {
        let mut networks = given.iter().map(|given| &given.args);
        let network = networks.find_map(|args| args.wifi.as_ref().zip(Some(args)));
        let asked = match network {
            Some((ssid, args)) if args.wifi_passphrase.is_none() => {
                let passphrase = ask_passphrase(ssid, session).await?;
                Some(wifi(ssid, passphrase)?)
            }
            _ => None,
        };
        let given = given.to_owned();
        // A terminal as standard input may be waited for.
        let read = tokio::task::spawn_blocking(move || Self::read(&given));
        let read = session.context.cancel.race(read).await?;
        let mut files = read.or_internal("read the files")??;
        files.wifi = files.wifi.or(asked);
        Ok(files)
    }

    /// Whether nothing is put.
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.wifi.is_none()
    }

    /// The paths on the board, for a message.
    pub(super) fn shown(&self) -> String {
        let paths = self.puts.iter().map(|put| put.path.clone());
        let network = self.wifi.iter();
        let network = network.map(|wifi| format!("the passphrase of {}", wifi.ssid));
        let all: Vec<String> = network.chain(paths).collect();
        let shown = all.iter().take(MAX_SHOWN).cloned();
        let shown = shown.collect::<Vec<_>>().join(", ");
        match all.len().saturating_sub(MAX_SHOWN) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }

    /// Reads the files that each of `given` names, and checks what no card can have.
    pub(super) fn read(given: &[Given]) -> Result<Self, Failure> {
        let mut files = Self::default();
        let named = given.iter().flat_map(|given| &given.args.files);
        if named.filter(|file| file.from == Path::new("-")).count() > 1 {
            return Err(Failure::usage("--put takes standard input once"));
        }
        let mut root_keys = String::new();
        for Given { args, place } in given {
            files.add_all(args, place)?;
            for key in &args.ssh_key {
                root_keys = format!("{root_keys}{}\n", key_in(&place.find(key)?)?.line);
            }
        }
        if !root_keys.is_empty() {
            files.push_own(ROOT_KEYS, root_keys, 0o600);
        }
        sdbuild_card::check(&files.puts)?;
        Ok(files)
    }

    fn add_all(&mut self, args: &PutArgs, place: &Place) -> Result<(), Failure> {
        for file in &args.files {
            self.add(file, place)?;
        }
        if let Some(name) = &args.hostname {
            host_name::check(name)?;
            self.push_own("/etc/hostname", format!("{name}\n"), 0o644);
            self.hostname = Some(name.clone());
        }
        if let Some(given) = &args.host_key {
            let key = if given == Path::new("generate") {
                HostKey::generate()?
            } else {
                HostKey::parse(&read_secret(given, place)?, &given.display().to_string())?
            };
            self.push_own(key.path, key.private, 0o600);
            let public = format!("{}\n", key.public);
            self.push_own(&format!("{}.pub", key.path), public, 0o644);
            self.host_key = Some(key.public);
        }
        if let (Some(ssid), Some(file)) = (&args.wifi, &args.wifi_passphrase) {
            let text = read_secret(file, place)?;
            let line = text.lines().next().unwrap_or_default();
            self.wifi = Some(wifi(ssid, line.to_owned())?);
        }
        Ok(())
    }

    fn add(&mut self, file: &PutFile, place: &Place) -> Result<(), Failure> {
        if file.from == Path::new("-") {
            let content = self.content(std::io::stdin().lock(), "standard input")?;
            self.push(file, file.path.clone(), content, MODE_OF_INPUT);
            return Ok(());
        }
        let from = place.find(&file.from)?;
        let metadata = fs::metadata(&from).or_usage(format!("read {}", from.display()))?;
        if metadata.is_dir() {
            return self.add_tree(&from, &file.path, (file, place), 0);
        }
        self.add_file(&from, file.path.clone(), (file, place))
    }

    fn add_file(
        &mut self,
        from: &Path,
        path: String,
        (file, place): (&PutFile, &Place),
    ) -> Result<(), Failure> {
        let operation = || format!("read {}", from.display());
        let open = place.open(from).or_usage(operation())?;
        let mode = open.metadata().or_usage(operation())?.permissions().mode();
        let content = self.content(open, &from.display().to_string())?;
        self.push(file, path, content, mode);
        Ok(())
    }

    fn add_tree(
        &mut self,
        dir: &Path,
        path: &str,
        (file, place): (&PutFile, &Place),
        depth: usize,
    ) -> Result<(), Failure> {
        let operation = || format!("read {}", dir.display());
        let refused = |why: &str| Err(Failure::usage(why.to_owned()).context(operation()));
        if depth > MAX_DEPTH {
            return refused("it has too many directories in each other");
        }
        let entries = fs::read_dir(dir).or_usage(operation())?;
        let mut entries = entries
            .collect::<Result<Vec<_>, _>>()
            .or_usage(operation())?;
        if entries.is_empty() {
            return refused("it is empty, and only files can be put onto a card");
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let from = entry.path();
            let shown = from.display();
            let name = name
                .to_str()
                .ok_or_else(|| Failure::usage(format!("{shown} has a name that is not UTF-8")))?;
            let path = format!("{}/{name}", path.trim_end_matches('/'));
            let kind = entry.file_type().or_usage(operation())?;
            if kind.is_symlink() {
                return Err(Failure::usage(format!(
                    "{shown} is a symbolic link, and only files can be put onto a card"
                )));
            } else if kind.is_dir() {
                self.add_tree(&from, &path, (file, place), depth + 1)?;
            } else {
                self.add_file(&from, path, (file, place))?;
            }
        }
        Ok(())
    }

    /// What is in `file`, which is `shown` so, if there is room for it beside what was read before.
    fn content(&mut self, file: impl Read, shown: &str) -> Result<Vec<u8>, Failure> {
        let Some(files) = self.room.files.checked_sub(1) else {
            let text = format!("more than {MAX_FILES} files cannot be put onto a card at once");
            return Err(Failure::usage(text));
        };
        let mut content = Vec::new();
        let read = file
            .take(self.room.bytes.saturating_add(1))
            .read_to_end(&mut content);
        read.or_usage(format!("read {shown}"))?;
        let Some(bytes) = self.room.bytes.checked_sub(content.len() as u64) else {
            let most = human_bytes(MAX_CONTENT_BYTES);
            let text = format!("the files to be put onto the card have more than {most} together");
            return Err(Failure::usage(text).context(format!("read {shown}")));
        };
        self.room = Room { bytes, files };
        Ok(content)
    }

    /// Adds a file that has the permissions `mode` here.
    fn push(&mut self, file: &PutFile, path: String, content: Vec<u8>, mode: u32) {
        let (is_program, is_shared) = (mode & 0o100 != 0, mode & 0o077 != 0);
        let usual = match (is_program, is_shared) {
            _ if ssh_key::has_private(&content) => 0o600,
            (true, true) => 0o755,
            (true, false) => 0o700,
            (false, true) => 0o644,
            (false, false) => 0o600,
        };
        self.puts.push(Put {
            path,
            content,
            mode: file.mode.unwrap_or(usual),
            owner: file.owner,
        });
    }

    /// Adds a file of root's.
    fn push_own(&mut self, path: &str, content: String, mode: u32) {
        self.puts.push(Put {
            path: path.to_owned(),
            content: content.into_bytes(),
            mode,
            owner: (0, 0),
        });
    }
}

/// The text of the file `named`.
fn read_secret(named: &Path, place: &Place) -> Result<String, Failure> {
    let operation = format!("read {}", named.display());
    let file = place.open(&place.find(named)?).or_usage(&operation)?;
    let bytes = plain_file::read_all(file, MAX_KEY_BYTES).or_usage(&operation)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The network `ssid` with a passphrase that it can have.
fn wifi(ssid: &str, passphrase: String) -> Result<Wifi, Failure> {
    if ssid.is_empty() || ssid.len() > MAX_SSID_BYTES || ssid.contains(char::is_control) {
        return Err(Failure::usage(
            "the name of a wireless network has 1 to 32 bytes",
        ));
    }
    let is_plain = passphrase.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if !is_plain || !has_valid_length(passphrase.len()) {
        let text = format!("that is no passphrase of {ssid}: it has 8 to 63 characters of ASCII");
        return Err(Failure::usage(text));
    }
    Ok(Wifi {
        ssid: ssid.to_owned(),
        passphrase,
    })
}

async fn ask_passphrase(ssid: &str, session: Session<'_>) -> Result<String, Failure> {
    let Session { ui, context, .. } = session;
    let asked = read_hidden(format!("Passphrase of {ssid}: "), ui, context).await?;
    asked.ok_or_else(|| {
        let text = format!(
            "sdbuild cannot ask for the passphrase of {ssid}, because this is not a terminal"
        );
        Failure::usage(text).hint("give --wifi-passphrase FILE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::new_ssh_key::KeyPair;

    fn args(files: &[&str], host_key: Option<&Path>) -> Given {
        Given::by_user(PutArgs {
            files: files.iter().map(|file| file.parse().unwrap()).collect(),
            host_key: host_key.map(Path::to_owned),
            ..PutArgs::default()
        })
    }

    fn read(given: Given) -> Result<PutFiles, Failure> {
        PutFiles::read(&[given])
    }

    #[test]
    fn values_of_the_flag_are_parsed() {
        let file: PutFile = "a:b:/etc/x y:0640:1000:100".parse().unwrap();
        assert_eq!(file.from, Path::new("a:b"));
        assert_eq!(
            (file.path.as_str(), file.mode, file.owner),
            ("/etc/x y", Some(0o640), (1000, 100))
        );
        let file: PutFile = "dir:/srv/".parse().unwrap();
        assert_eq!(
            (file.path.as_str(), file.mode, file.owner),
            ("/srv", None, (0, 0))
        );
        assert_eq!(
            "a:/b:600:root:root".parse::<PutFile>().unwrap().owner,
            (0, 0)
        );
        for wrong in [
            "a",
            "a:b",
            ":/a",
            "a:/b:9",
            "a:/b:600:1",
            "a:/b:600:kitchen:users",
            "a:/b:600:1:2:3",
            "a:/b:17777",
        ] {
            assert!(wrong.parse::<PutFile>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_directory_is_a_tree_and_keys_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate("me").unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/key"), &pair.private).unwrap();
        fs::write(dir.path().join("tool"), "#!/bin/sh").unwrap();
        fs::set_permissions(dir.path().join("tool"), fs::Permissions::from_mode(0o700)).unwrap();
        let from = dir.path().display();
        let given = args(&[&format!("{from}:/srv")], Some(Path::new("generate")));
        let files = read(given).unwrap();
        let found: Vec<_> = files
            .puts
            .iter()
            .map(|put| (put.path.as_str(), put.mode))
            .collect();
        assert_eq!(
            found,
            [
                ("/srv/sub/key", 0o600),
                ("/srv/tool", 0o700),
                ("/etc/ssh/ssh_host_ed25519_key", 0o600),
                ("/etc/ssh/ssh_host_ed25519_key.pub", 0o644),
            ]
        );
        let key = dir.path().join("sub/key");
        let known = read(args(&[], Some(&key))).unwrap().host_key.unwrap();
        assert!(pair.public.starts_with(&known), "{known}");
        assert!(read(args(&[], Some(&dir.path().join("tool")))).is_err());
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        assert!(read(args(&[&format!("{from}:/srv")], None)).is_err());
    }

    #[test]
    fn name_and_keys_of_root_get_to_where_nixos_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate("me").unwrap();
        let [private, public] = ["key", "key.pub"].map(|name| dir.path().join(name));
        fs::write(&private, &pair.private).unwrap();
        fs::write(&public, format!("\n{}\n", pair.public)).unwrap();
        let own = |keys: &[&Path]| {
            Given::by_user(PutArgs {
                hostname: Some("kitchen".to_owned()),
                ssh_key: keys.iter().map(|key| (*key).to_owned()).collect(),
                ..PutArgs::default()
            })
        };
        let puts = read(own(&[&public, &public])).unwrap().puts;
        let [name, keys] = &puts[..] else {
            panic!("{puts:?}")
        };
        assert_eq!(
            (name.path.as_str(), name.content.as_slice()),
            ("/etc/hostname", &b"kitchen\n"[..])
        );
        let lines = String::from_utf8_lossy(&keys.content).lines().count();
        assert_eq!((lines, keys.mode), (2, 0o600));
        assert!(read(own(&[&private])).is_err(), "a private key");
    }

    #[test]
    fn what_only_its_owner_reads_here_is_private_there() {
        let dir = tempfile::tempdir().unwrap();
        let mode_of = |here: u32, content: &[u8]| {
            let from = dir.path().join("file");
            fs::write(&from, content).unwrap();
            fs::set_permissions(&from, fs::Permissions::from_mode(here)).unwrap();
            let put = format!("{}:/srv/file", from.display());
            read(args(&[&put], None)).unwrap().puts[0].mode
        };
        for (here, there) in [
            (0o600, 0o600),
            (0o700, 0o700),
            (0o640, 0o644),
            (0o755, 0o755),
        ] {
            assert_eq!(mode_of(here, b"text"), there, "{here:o}");
        }
        let key = b"\xff-----BEGIN PRIVATE KEY-----\n";
        assert_eq!(mode_of(0o644, key), 0o600);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::write(dir.path().join("one"), "12345").unwrap();
        let refused = |from: &str, room: Room| {
            let put = format!("{}:/srv", dir.path().join(from).display());
            let mut files = PutFiles {
                room,
                ..PutFiles::default()
            };
            files.add(&put.parse().unwrap(), &Place::Anywhere).is_err()
        };
        assert!(refused("empty", Room::default()));
        assert!(refused(".", Room::default()), "one in it is empty");
        fs::remove_dir(dir.path().join("empty")).unwrap();
        fs::write(dir.path().join("two"), "12345").unwrap();
        let room = |bytes, files| Room { bytes, files };
        assert!(!refused(".", room(10, 2)));
        assert!(refused(".", room(9, 2)));
        assert!(refused(".", room(10, 1)));
        let store = format!("{}:/nix/store/x", dir.path().join("one").display());
        assert!(read(args(&[&store], None)).is_err());
    }
}
