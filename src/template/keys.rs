//! The person's public SSH keys. Private keys are never opened.

use std::fs;
use std::path::Path;

use crate::plain_file;
use crate::ssh_key::{KINDS, is_whole};
use crate::steering::steers;

/// A key of 16,384 bits takes 3 kB.
const LONGEST: u64 = 64 << 10;

/// One public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Kind, key and comment, as in `authorized_keys`: one line without control characters.
    pub line: String,
}

/// The keys in the `.pub` files of `folder`, the best kind first, each once. A file that is none, or is
/// damaged, is passed over: it could not let anybody in.
pub fn public_keys(folder: &Path) -> Vec<PublicKey> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<_> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "pub"))
        .collect();
    paths.sort();
    let texts = paths
        .iter()
        .filter_map(|path| plain_file::read_text(path, LONGEST).ok());
    let mut found: Vec<(usize, PublicKey)> = Vec::new();
    for key in texts.filter_map(|text| public_key(&text)) {
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, key)| key).collect()
}

/// The key in a `.pub` file's text and its kind's rank. The file holds one line: what follows it would be
/// somebody else's way in.
fn public_key(text: &str) -> Option<(usize, PublicKey)> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let mut words = line.split_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    let rank = KINDS.iter().position(|known| *known == kind)?;
    let comment = words.collect::<Vec<_>>().join(" ");
    let shown = |c: &char| !c.is_control() && !steers(*c);
    let comment: String = comment.chars().filter(shown).collect();
    let line = format!("{kind} {key} {comment}").trim_end().to_owned();
    is_whole(kind, key).then_some((rank, PublicKey { line }))
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

    fn folder(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let keys = public_keys(folder.path());
        keys.into_iter().map(|key| key.line).collect()
    }

    #[test]
    fn the_best_kind_comes_first_and_each_key_once() {
        let rsa = of("ssh-rsa");
        let keys = folder(&[
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
        let (_, key) = public_key(&text).unwrap();
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
