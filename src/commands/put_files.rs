//! The files that `--put` and `--host-key` name, read into memory.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cli::{PutArgs, PutFile};
use crate::commands::Session;
use crate::commands::confirm::read_hidden;
use sdbuild_card::{MAX_CONTENT_BYTES, Put, Wifi};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::host_name;
use sdbuild_core::new_ssh_key::KeyPair;
use sdbuild_core::plain_file;
use sdbuild_core::ssh_key;
use sdbuild_image::image_name::host_of;
use sdbuild_nix::wifi_passphrase::has_valid_length;

/// Bytes of a file with a key.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// Bytes of the name of a wireless network (IEEE 802.11, 9.4.2.2).
const MAX_SSID_BYTES: usize = 32;
/// Directories of a tree below each other.
const MAX_DEPTH: usize = 64;
/// The list of keys with which root can log in, beside that of the configuration.
const ROOT_KEYS: &str = "/root/.ssh/authorized_keys";
/// The keys of an SSH server that NixOS has unless its configuration names others, and where.
const HOST_KEYS: [(&str, &str); 2] = [
    ("ssh-ed25519", "/etc/ssh/ssh_host_ed25519_key"),
    ("ssh-rsa", "/etc/ssh/ssh_host_rsa_key"),
];

/// What is put onto a card.
#[derive(Debug, Default)]
pub(super) struct PutFiles {
    /// The files.
    pub(super) puts: Vec<Put>,
    /// The wireless network with its passphrase, which the image itself has a place for.
    pub(super) wifi: Option<Wifi>,
    /// The public key by which the board is known: its type and the key.
    pub(super) host_key: Option<String>,
}

impl PutFiles {
    /// Reads what `args` name, and asks for a passphrase that is in no file.
    pub(super) async fn prepare(args: &PutArgs, session: Session<'_>) -> Result<Self, Failure> {
        let passphrase = match (&args.wifi, &args.wifi_passphrase) {
            (Some(ssid), None) => Some(ask_passphrase(ssid, session).await?),
            _ => None,
        };
        let args = args.clone();
        // A terminal as standard input may be waited for.
        let read = tokio::task::spawn_blocking(move || {
            let mut files = Self::read(&args)?;
            if let (Some(ssid), Some(passphrase)) = (&args.wifi, passphrase) {
                files.wifi = Some(wifi(ssid, passphrase)?);
            }
            Ok(files)
        });
        session
            .context
            .cancel
            .race(read)
            .await?
            .or_internal("read the files")?
    }

    /// Whether nothing is put.
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.wifi.is_none()
    }

    /// Reads the files that `args` name.
    pub(super) fn read(args: &PutArgs) -> Result<Self, Failure> {
        let mut files = Self::default();
        let from_input = args.files.iter().filter(|file| file.from == Path::new("-"));
        if from_input.count() > 1 {
            return Err(Failure::usage("--put takes standard input once"));
        }
        for file in &args.files {
            files.add(file)?;
        }
        if let Some(name) = &args.hostname {
            host_name::check(name)?;
            files.push_own("/etc/hostname", format!("{name}\n"), 0o644);
        }
        if !args.ssh_key.is_empty() {
            let lines = args.ssh_key.iter().map(|key| public_key(key));
            let lines = lines.collect::<Result<String, _>>()?;
            files.push_own(ROOT_KEYS, lines, 0o600);
        }
        if let Some(key) = &args.host_key {
            files.add_host_key(key)?;
        }
        if let (Some(ssid), Some(file)) = (&args.wifi, &args.wifi_passphrase) {
            let text = plain_file::read_text(file, MAX_KEY_BYTES);
            let text = text.or_usage(format!("read {}", file.display()))?;
            let line = text.lines().next().unwrap_or_default();
            files.wifi = Some(wifi(ssid, line.to_owned())?);
        }
        Ok(files)
    }

    fn add(&mut self, file: &PutFile) -> Result<(), Failure> {
        let from = &file.from;
        if from == Path::new("-") {
            let mut content = Vec::new();
            let input = std::io::stdin().lock().take(MAX_CONTENT_BYTES + 1);
            { input }
                .read_to_end(&mut content)
                .or_environment("read standard input")?;
            self.push(file, file.path.clone(), content, false);
            return Ok(());
        }
        let operation = || format!("read {}", from.display());
        if fs::metadata(from).or_usage(operation())?.is_dir() {
            return self.add_tree(from, &file.path, file, 0);
        }
        self.add_file(from, file.path.clone(), file)
    }

    fn add_file(&mut self, from: &Path, path: String, file: &PutFile) -> Result<(), Failure> {
        let operation = || format!("read {}", from.display());
        let mode = fs::metadata(from)
            .or_usage(operation())?
            .permissions()
            .mode();
        let content = plain_file::read(from, MAX_CONTENT_BYTES).or_usage(operation())?;
        self.push(file, path, content, mode & 0o100 != 0);
        Ok(())
    }

    fn add_tree(
        &mut self,
        dir: &Path,
        path: &str,
        file: &PutFile,
        depth: usize,
    ) -> Result<(), Failure> {
        let operation = || format!("read {}", dir.display());
        if depth > MAX_DEPTH {
            return Err(
                Failure::usage("it has too many directories in each other").context(operation())
            );
        }
        let entries = fs::read_dir(dir).or_usage(operation())?;
        let mut entries = entries
            .collect::<Result<Vec<_>, _>>()
            .or_usage(operation())?;
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
                self.add_tree(&from, &path, file, depth + 1)?;
            } else {
                self.add_file(&from, path, file)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, file: &PutFile, path: String, content: Vec<u8>, is_program: bool) {
        let is_secret = ssh_key::is_private(&String::from_utf8_lossy(&content));
        let mode = file.mode.unwrap_or(match (is_secret, is_program) {
            (true, _) => 0o600,
            (false, true) => 0o755,
            (false, false) => 0o644,
        });
        self.puts.push(Put {
            path,
            content,
            mode,
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

    /// Adds both halves of the key in the file `given`, or of a new one.
    fn add_host_key(&mut self, given: &Path) -> Result<(), Failure> {
        let (private, public) = if given == Path::new("generate") {
            let pair = KeyPair::generate("")?;
            (pair.private, pair.public.trim().to_owned())
        } else {
            read_host_key(given)?
        };
        let kind = public.split(' ').next().unwrap_or_default();
        let Some((_, path)) = HOST_KEYS.iter().find(|(known, _)| *known == kind) else {
            let text = format!("NixOS looks for no host key of the type {kind}");
            return Err(Failure::usage(text).hint(
                "make one with `ssh-keygen -t ed25519 -N '' -f FILE`, or give --host-key generate",
            ));
        };
        self.push_own(path, private, 0o600);
        self.push_own(&format!("{path}.pub"), format!("{public}\n"), 0o644);
        self.host_key = Some(public);
        Ok(())
    }
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

/// The line of the public key in the file `given`.
fn public_key(given: &Path) -> Result<String, Failure> {
    let shown = given.display();
    let text = plain_file::read_text(given, MAX_KEY_BYTES).or_usage(format!("read {shown}"))?;
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    if ssh_key::contains_key(line) && !line.contains(char::is_control) {
        return Ok(format!("{line}\n"));
    }
    let hint = ssh_key::hint_to_public_half(given);
    let hint = hint.unwrap_or_else(|| ssh_key::UNREADABLE_KEY_HINT.to_owned());
    Err(Failure::usage(format!("{shown} is not a public SSH key")).hint(hint))
}

/// The private key in the file `given`, and its public half: type and key.
fn read_host_key(given: &Path) -> Result<(String, String), Failure> {
    let shown = given.display();
    let refused = |why: &str| Failure::usage(format!("{shown} cannot be a host key: {why}"));
    let text = plain_file::read_text(given, MAX_KEY_BYTES).or_usage(format!("read {shown}"))?;
    if !ssh_key::is_private(&text) {
        return Err(refused("it is not a private SSH key"));
    }
    if ssh_key::has_passphrase(&text) {
        return Err(refused(
            "it has a passphrase, which an SSH server cannot ask for",
        ));
    }
    let key = ssh_key::public_half(&text);
    let key = key.ok_or_else(|| {
        refused("it is not in OpenSSH's format").hint("`ssh-keygen -p -N '' -f FILE` converts it")
    })?;
    let mut types = ssh_key::KEY_TYPES.iter();
    let kind = types.find(|kind| ssh_key::is_complete(kind, &key));
    let kind = kind.ok_or_else(|| refused("its type is not known"))?;
    Ok((text, format!("{kind} {key}")))
}

/// The names in `known_hosts` of the board that `image` is for: any if neither a flag nor the image's name has its host name.
pub(super) fn names_of(image: &Path, hostname: Option<&str>) -> String {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let host = hostname.or_else(|| host_of(&name));
    host.map_or_else(|| "*".to_owned(), |host| format!("{host},{host}.local"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(files: &[&str], host_key: Option<&Path>) -> PutArgs {
        PutArgs {
            files: files.iter().map(|file| file.parse().unwrap()).collect(),
            host_key: host_key.map(Path::to_owned),
            ..PutArgs::default()
        }
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
        let files = PutFiles::read(&args(
            &[&format!("{from}:/srv")],
            Some(Path::new("generate")),
        ))
        .unwrap();
        let found: Vec<_> = files
            .puts
            .iter()
            .map(|put| (put.path.as_str(), put.mode))
            .collect();
        assert_eq!(
            found,
            [
                ("/srv/sub/key", 0o600),
                ("/srv/tool", 0o755),
                ("/etc/ssh/ssh_host_ed25519_key", 0o600),
                ("/etc/ssh/ssh_host_ed25519_key.pub", 0o644),
            ]
        );
        let key = dir.path().join("sub/key");
        let public = dir.path().join("key.pub");
        fs::write(&public, format!("\n{}\n", pair.public)).unwrap();
        let own = PutArgs {
            hostname: Some("kitchen".to_owned()),
            ssh_key: vec![public.clone(), public],
            ..PutArgs::default()
        };
        let own = PutFiles::read(&own).unwrap().puts;
        let [name, keys] = &own[..] else {
            panic!("{own:?}")
        };
        assert_eq!(
            (name.path.as_str(), name.content.as_slice()),
            ("/etc/hostname", &b"kitchen\n"[..])
        );
        let lines = String::from_utf8_lossy(&keys.content).lines().count();
        assert_eq!((lines, keys.mode), (2, 0o600));
        assert!(public_key(&key).is_err(), "a private key");
        let known = PutFiles::read(&args(&[], Some(&key)))
            .unwrap()
            .host_key
            .unwrap();
        assert!(pair.public.starts_with(&known), "{known}");
        assert!(PutFiles::read(&args(&[], Some(&dir.path().join("tool")))).is_err());
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        assert!(PutFiles::read(&args(&[&format!("{from}:/srv")], None)).is_err());
    }
}
