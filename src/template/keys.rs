//! The user's public SSH keys, in files and in the running ssh-agent. Private key files are never opened, and private keys never leave
//! the agent.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::invisible_chars::is_format_char;
use sdbuild_core::plain_file;
use sdbuild_core::program::find_program;
use sdbuild_core::ssh_key::{
    KEY_TYPES, UNREADABLE_KEY_HINT, hint_to_public_half, is_complete, is_in_place_of_file,
};
use sdbuild_core::timeout::timeout;

/// Largest `.pub` file that is read, in bytes; an RSA key of 16,384 bits takes 3 kB.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Characters at the end of a key that are shown, in Base64.
const SHOWN_CHARS: usize = 10;

/// A complete public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Type, key and comment, as in `authorized_keys`: one line without control characters.
    pub line: String,
}

impl PublicKey {
    /// Type, end and comment of the key, for a message: RSA keys have several lines, and the end distinguishes keys.
    pub fn shown(&self) -> String {
        let mut words = self.line.split_whitespace();
        let (key_type, key) = (words.next(), words.next().unwrap_or_default());
        let start = key.len().saturating_sub(SHOWN_CHARS);
        let end = format!("…{}", key.get(start..).unwrap_or_default());
        let comment = words.collect::<Vec<_>>().join(" ");
        let words = key_type.into_iter().chain([end.as_str(), &comment]);
        words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    }
}

/// The keys in the `.pub` files of `dir`, [sorted]. Files without a complete key are skipped: no login could use
/// them.
pub fn public_keys(dir: &Path) -> Vec<PublicKey> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "pub"))
        .collect();
    // Those that ssh tries by itself come first: `id_ed25519.pub`.
    let has_own_name = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        !name.as_encoded_bytes().starts_with(b"id_")
    };
    paths.sort_by_cached_key(|path| (has_own_name(path), path.clone()));
    let texts = paths
        .iter()
        .filter_map(|path| plain_file::read_text(path, MAX_FILE_BYTES).ok());
    sorted(texts.filter_map(|text| public_key(&text)).collect())
}

/// The key in the `.pub` file at `path`; a usage error when it has none.
pub fn key_in(path: &Path) -> Result<PublicKey, Failure> {
    if is_in_place_of_file(path) {
        return Err(Failure::usage("--ssh-key takes a file, not the key itself")
            .hint("write the key into a file whose name ends in .pub, and give that"));
    }
    let shown = path.display();
    let text = plain_file::read(path, MAX_FILE_BYTES)
        .or_usage(format!("read the SSH key {shown}"))
        .map_err(|failure| failure.hint(UNREADABLE_KEY_HINT))?;
    public_key(&String::from_utf8_lossy(&text)).ok_or_else(|| {
        let hint = hint_to_public_half(path).unwrap_or_else(|| {
            "name the .pub file: one line that begins with the key's type, for instance ssh-ed25519".to_owned()
        });
        Failure::usage(format!("{shown} is not a public SSH key")).hint(hint)
    })
}

/// The keys in `text`, one per line, [sorted]; other lines are skipped.
pub fn keys_listed(text: &str) -> Vec<PublicKey> {
    sorted(text.lines().filter_map(public_key).collect())
}

/// `keys` in the order of [`KEY_TYPES`], without duplicates; comments do not distinguish keys.
pub fn sorted(mut keys: Vec<PublicKey>) -> Vec<PublicKey> {
    let without_comment = |key: &PublicKey| {
        let words: Vec<&str> = key.line.split_whitespace().take(2).collect();
        words.join(" ")
    };
    let mut seen = std::collections::BTreeSet::new();
    keys.retain(|key| seen.insert(without_comment(key)));
    let rank = |key: &PublicKey| {
        let key_type = key.line.split_whitespace().next();
        KEY_TYPES.iter().position(|known| Some(*known) == key_type)
    };
    keys.sort_by_key(rank);
    keys
}

/// The key in the first line of `text` that is not empty. Further lines are ignored: a `.pub` file has one line,
/// and a second key in it would be let in unnoticed.
pub(super) fn public_key(text: &str) -> Option<PublicKey> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let mut words = line.split_whitespace();
    let (key_type, key) = (words.next()?, words.next()?);
    if !KEY_TYPES.contains(&key_type) {
        return None;
    }
    let comment = words.collect::<Vec<_>>().join(" ");
    let is_visible = |c: &char| !c.is_control() && !is_format_char(*c);
    let comment: String = comment.chars().filter(is_visible).collect();
    let line = format!("{key_type} {key} {comment}").trim_end().to_owned();
    is_complete(key_type, key).then_some(PublicKey { line })
}

/// How long the agent may take: a local one replies at once, a forwarded one after a round trip.
const AGENT_TIMEOUT: Duration = Duration::from_secs(4);

/// The keys of the agent at `socket`, as the program `ssh-add` in `path` lists them; empty when no agent answers there.
pub async fn agent_keys(socket: &Path, path: &OsStr) -> Vec<PublicKey> {
    let Some(program) = find_program("ssh-add", path) else {
        return Vec::new();
    };
    let mut list = Command::new(program);
    list.arg("-L").env("SSH_AUTH_SOCK", socket);
    let listed = timeout(AGENT_TIMEOUT, list.kill_on_drop(true).output()).await;
    let listed = listed.and_then(Result::ok).filter(|it| it.status.success());
    listed.map_or_else(Vec::new, |it| {
        keys_listed(&String::from_utf8_lossy(&it.stdout))
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    /// A complete key of type `key_type`.
    fn key_of_type(key_type: &str) -> String {
        let length = u32::try_from(key_type.len()).unwrap().to_be_bytes();
        let bytes = [&length[..], key_type.as_bytes(), &[0, 0, 0, 40], &[7; 40]].concat();
        format!("{key_type} {}", BASE64_STANDARD.encode(bytes))
    }

    fn keys_in_dir_with(files: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let keys = public_keys(dir.path());
        keys.into_iter().map(|key| key.line).collect()
    }

    #[test]
    fn sorts_by_key_type_and_removes_duplicates() {
        let rsa = key_of_type("ssh-rsa");
        let keys = keys_in_dir_with(&[
            ("a_rsa.pub", &format!("{rsa} me@old\n")),
            ("id_ed25519.pub", &format!("{ED} me@here\n")),
            ("twin.pub", &format!("{ED} me@here\n")),
            ("id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----"),
            ("known_hosts", &key_of_type("ssh-rsa")),
        ]);
        assert_eq!(keys, [format!("{ED} me@here"), format!("{rsa} me@old")]);
    }

    #[test]
    fn skips_files_without_a_key() {
        let dss = key_of_type("ssh-dss");
        let cert = key_of_type("ssh-ed25519-cert-v01@openssh.com");
        let wrong = key_of_type("ssh-rsa").replace("ssh-rsa", "ssh-ed25519");
        for text in [
            "",
            "\n\n",
            "ssh-ed25519",
            "ssh-ed25519 %%%",
            &dss,
            &cert,
            &wrong,
        ] {
            assert_eq!(public_key(text), None, "{text}");
        }
        let pipe = tempfile::tempdir().unwrap();
        let path = pipe.path().join("x.pub");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(public_keys(pipe.path()).is_empty());
        assert!(public_keys(Path::new("/nonexistent")).is_empty());
    }

    #[test]
    fn a_hostile_comment_adds_no_key_and_no_control_char() {
        let text = format!(
            "{ED} \"${{evil}} ''\\\x1b[2J\u{202e}\rssh-rsa AAAA\n{} attacker\n",
            key_of_type("ssh-rsa")
        );
        let key = public_key(&text).unwrap();
        assert!(
            !key.line.contains(['\n', '\r', '\x1b', '\u{202e}']),
            "{key:?}"
        );
        assert!(!key.line.contains("attacker"), "{key:?}");
        assert!(
            key.line.starts_with(&format!("{ED} \"${{evil}} ''\\")),
            "{key:?}"
        );
    }
}
