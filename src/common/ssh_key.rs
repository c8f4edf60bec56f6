//! What a public SSH key looks like. Part of the hall.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What today's servers take; the best first.
pub const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// Whether `key` is whole: it begins with its kind's length and name, else it is another one's or damaged.
pub fn is_whole(kind: &str, key: &str) -> bool {
    let Ok(bytes) = BASE64_STANDARD.decode(key) else {
        return false;
    };
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return false;
    };
    let named = usize::try_from(u32::from_be_bytes(*length)).ok() == Some(kind.len());
    named && rest.starts_with(kind.as_bytes()) && rest.len() > kind.len()
}

/// Whether a line of `authorized_keys` holds a whole key; options may stand before it.
pub fn is_in(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if let Some(key) = words.peek()
            && KINDS.contains(&word)
            && is_whole(word, key)
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_in;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    #[test]
    fn a_key_is_found_behind_options_and_a_placeholder_is_none() {
        assert!(is_in(ED));
        assert!(is_in(&format!("from=\"10.0.0.1\",no-pty {ED} me@here")));
        for none in [
            "",
            "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY",
            "~/.ssh/id_ed25519.pub",
            "ssh-ed25519",
            &ED.replace("ssh-ed25519", "ssh-rsa"),
        ] {
            assert!(!is_in(none), "{none}");
        }
    }
}
