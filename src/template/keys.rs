//! The user's public SSH keys, in files and in the running ssh-agent (draft-miller-ssh-agent). Private key files are never opened, and
//! private keys never leave the agent. Considered for that: ssh-agent-lib 0.5, an async client and server for the whole protocol, where
//! one request and its reply are needed.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::invisible_chars::is_format_char;
use sdbuild_core::plain_file;
use sdbuild_core::ssh_key::{
    KEY_TYPES, UNREADABLE_KEY_HINT, hint_to_public_half, is_complete, is_in_place_of_file,
};
use sdbuild_engine::unix_socket;

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

/// `SSH_AGENTC_REQUEST_IDENTITIES`.
const REQUEST_IDENTITIES: u8 = 11;
/// `SSH_AGENT_IDENTITIES_ANSWER`.
const IDENTITIES_ANSWER: u8 = 12;
/// Largest reply in bytes; one with a hundred keys is smaller.
const MAX_REPLY_BYTES: u32 = 256 << 10;
/// Timeout of each read and write: a local agent replies at once, a forwarded one after a round trip.
const IO_TIMEOUT: Duration = Duration::from_secs(2);

/// The keys of the agent at `socket`; empty when no agent answers there.
pub fn agent_keys(socket: &Path) -> Vec<PublicKey> {
    list_identities(socket)
        .ok()
        .and_then(|reply| parse_identities(&reply))
        .unwrap_or_default()
}

/// The agent's reply, without its length.
fn list_identities(socket: &Path) -> io::Result<Vec<u8>> {
    let mut stream = unix_socket::connect(socket)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES])?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_REPLY_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut reply = Vec::new();
    stream.take(length.into()).read_to_end(&mut reply)?;
    Ok(reply)
}

/// The keys in a reply: their number, then the blob and the comment of each. `None` when it is malformed.
fn parse_identities(reply: &[u8]) -> Option<Vec<PublicKey>> {
    let mut rest = reply.strip_prefix(&[IDENTITIES_ANSWER])?;
    let (count, after) = rest.split_first_chunk::<4>()?;
    rest = after;
    let mut keys = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (blob, after) = split_string(rest)?;
        let (comment, after) = split_string(after)?;
        rest = after;
        let (kind, _) = split_string(blob)?;
        let line = format!(
            "{} {} {}",
            String::from_utf8_lossy(kind),
            BASE64_STANDARD.encode(blob),
            String::from_utf8_lossy(comment).replace(['\n', '\r'], " ")
        );
        keys.extend(public_key(&line));
    }
    Some(keys)
}

/// Splits off a `string` of the protocol: a length of four bytes and as many bytes.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
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

    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        let part = |bytes: &&[u8]| {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&length[..], bytes].concat()
        };
        parts.iter().flat_map(part).collect()
    }

    #[test]
    fn reads_keys_and_skips_certificates() {
        let good = framed(&[b"ssh-ed25519", &[7; 32]]);
        let certificate = framed(&[b"ssh-ed25519-cert-v01@openssh.com", &[7; 32]]);
        let list = framed(&[&good, b"me\n@here", &certificate, b""]);
        let answer = [&[IDENTITIES_ANSWER, 0, 0, 0, 2][..], &list].concat();
        let found = parse_identities(&answer).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].line.ends_with(" me @here"), "{found:?}");
        for cut in 0..answer.len() {
            assert_eq!(parse_identities(&answer[..cut]), None, "{cut}");
        }
        assert_eq!(parse_identities(&[5]), None);
        assert!(agent_keys(Path::new("/nonexistent")).is_empty());
    }
}
