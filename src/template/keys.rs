//! The user's public SSH keys. Private keys are never opened.

use std::fs;
use std::path::Path;

use crate::common::failure::{Failure, OrFail as _};
use crate::common::invisible_chars::is_format_char;
use crate::common::plain_file;
use crate::common::ssh_key::{KINDS, is_whole};

/// A key of 16,384 bits takes 3 kB.
const LONGEST: u64 = 64 << 10;

/// One public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Kind, key and comment, as in `authorized_keys`: one line without control characters.
    pub line: String,
}

/// The keys in the `.pub` files of `dir`. A file that is none, or is damaged, is passed over: it could not
/// let anybody in.
pub fn public_keys(dir: &Path) -> Vec<PublicKey> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "pub"))
        .collect();
    paths.sort();
    let texts = paths
        .iter()
        .filter_map(|path| plain_file::read_text(path, LONGEST).ok());
    sorted(texts.filter_map(|text| public_key(&text)).collect())
}

/// The key in the `.pub` file at `path`.
pub fn key_in(path: &Path) -> Result<PublicKey, Failure> {
    let shown = path.display();
    let text = plain_file::read(path, LONGEST).or_usage(format!("read the SSH key {shown}"))?;
    public_key(&String::from_utf8_lossy(&text)).ok_or_else(|| {
        Failure::usage(format!("{shown} is no public SSH key")).hint(
            "name the .pub file: one line that begins with its kind, for instance ssh-ed25519",
        )
    })
}

/// The keys in a list of them, a line each.
pub fn keys_listed(text: &str) -> Vec<PublicKey> {
    sorted(text.lines().filter_map(public_key).collect())
}

/// The best kind first, each key once, whatever is written behind it.
pub fn sorted(mut keys: Vec<PublicKey>) -> Vec<PublicKey> {
    let bare = |key: &PublicKey| {
        let words: Vec<&str> = key.line.split_whitespace().take(2).collect();
        words.join(" ")
    };
    let mut seen = std::collections::BTreeSet::new();
    keys.retain(|key| seen.insert(bare(key)));
    let rank = |key: &PublicKey| {
        let kind = key.line.split_whitespace().next().unwrap_or_default();
        KINDS.iter().position(|known| *known == kind)
    };
    keys.sort_by_key(rank);
    keys
}

/// The key in a `.pub` file's text. The file holds one line: what follows it would be somebody else's way in.
pub(super) fn public_key(text: &str) -> Option<PublicKey> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let mut words = line.split_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    if !KINDS.contains(&kind) {
        return None;
    }
    let comment = words.collect::<Vec<_>>().join(" ");
    let shown = |c: &char| !c.is_control() && !is_format_char(*c);
    let comment: String = comment.chars().filter(shown).collect();
    let line = format!("{kind} {key} {comment}").trim_end().to_owned();
    is_whole(kind, key).then_some(PublicKey { line })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    /// A key of `kind` that begins as one of that kind does.
    fn of(kind: &str) -> String {
        let length = u32::try_from(kind.len()).unwrap().to_be_bytes();
        let bytes = [&length[..], kind.as_bytes(), &[7; 40]].concat();
        format!("{kind} {}", BASE64_STANDARD.encode(bytes))
    }

    fn dir(files: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let keys = public_keys(dir.path());
        keys.into_iter().map(|key| key.line).collect()
    }

    #[test]
    fn the_best_kind_comes_first_and_each_key_once() {
        let rsa = of("ssh-rsa");
        let keys = dir(&[
            ("a_rsa.pub", &format!("{rsa} me@old\n")),
            ("id_ed25519.pub", &format!("{ED} me@here\n")),
            ("twin.pub", &format!("{ED} me@here\n")),
            ("id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----"),
            ("known_hosts", &of("ssh-rsa")),
        ]);
        assert_eq!(keys, [format!("{ED} me@here"), format!("{rsa} me@old")]);
    }

    #[test]
    fn what_is_no_key_is_passed_over() {
        let dss = of("ssh-dss");
        let cert = of("ssh-ed25519-cert-v01@openssh.com");
        let wrong = of("ssh-rsa").replace("ssh-rsa", "ssh-ed25519");
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
    fn a_hostile_comment_brings_no_second_key_and_no_control_character() {
        let text = format!(
            "{ED} \"${{evil}} ''\\\x1b[2J\u{202e}\rssh-rsa AAAA\n{} attacker\n",
            of("ssh-rsa")
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
