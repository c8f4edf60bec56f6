//! The files in which OpenSSH's client keeps the keys of servers (described in `sshd(8)`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

use sdbuild_core::ssh_key;

/// The port of SSH, which is not part of a host's name in the file.
const PORT: u16 = 22;

/// The name under which the key of `host` at `port` is kept.
pub(crate) fn name(host: &str, port: Option<u16>) -> String {
    match port {
        None | Some(PORT) => host.to_owned(),
        Some(port) => format!("[{host}]:{port}"),
    }
}

/// The keys (type and key) that `text` has for the host called `name`; those that are revoked, and certificates, are left out.
pub(crate) fn keys_of<'a>(text: &'a str, name: &str) -> Vec<String> {
    let entry = |line: &'a str| {
        let mut words = line.split_whitespace();
        let (hosts, kind, key) = (words.next()?, words.next()?, words.next()?);
        let is_plain = !hosts.starts_with(['#', '@']) && ssh_key::is_complete(kind, key);
        (is_plain && matches(hosts, name)).then(|| format!("{kind} {key}"))
    };
    text.lines().filter_map(entry).collect()
}

/// Whether the first field of a line is for the host called `name`.
fn matches(hosts: &str, name: &str) -> bool {
    if hosts.starts_with('|') {
        return is_hash_of(hosts, name);
    }
    let name = name.to_ascii_lowercase();
    let mut found = false;
    for pattern in hosts.split(',') {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix('!') {
            Some(excluded) if fits(excluded.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => found |= fits(pattern.as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// Whether `name` fits a pattern with `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            fits(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, name)| fits(pattern, name))
        }
        ([b'?', rest @ ..], [_, others @ ..]) => fits(rest, others),
        ([one, rest @ ..], [same, others @ ..]) => one == same && fits(rest, others),
        ([], _) | (_, []) => false,
    }
}

/// Whether `field` is `|1|SALT|HASH` of `name`, as with `HashKnownHosts`.
fn is_hash_of(field: &str, name: &str) -> bool {
    let parts = field
        .strip_prefix("|1|")
        .and_then(|rest| rest.split_once('|'));
    let decoded = parts.and_then(|(salt, hash)| {
        Some((
            BASE64_STANDARD.decode(salt).ok()?,
            BASE64_STANDARD.decode(hash).ok()?,
        ))
    });
    decoded.is_some_and(|(salt, hash)| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
        hmac::verify(&key, name.as_bytes(), &hash).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    #[test]
    fn keys_are_found_by_name_pattern_and_port() {
        for (hosts, host, port, found) in [
            ("pi.lan", "pi.lan", None, true),
            ("other,PI.lan", "pi.lan", Some(22), true),
            ("*.lan", "pi.lan", None, true),
            ("*.lan,!pi.lan", "pi.lan", None, false),
            ("p?.lan", "pi.lan", None, true),
            ("[pi.lan]:2222", "pi.lan", Some(2222), true),
            ("pi.lan", "pi.lan", Some(2222), false),
            ("pi", "pi.lan", None, false),
        ] {
            let keys = keys_of(&format!("# x\n{hosts} {KEY} comment\n"), &name(host, port));
            assert_eq!(keys.len(), usize::from(found), "{hosts} {host} {port:?}");
        }
        for line in [
            "@revoked pi {KEY}",
            "@cert-authority pi {KEY}",
            "pi ssh-ed25519 AAAA",
        ] {
            assert!(
                keys_of(&line.replace("{KEY}", KEY), "pi").is_empty(),
                "{line}"
            );
        }
    }

    /// The line was written by `ssh-keygen -H`.
    #[test]
    fn hashed_names_are_found() {
        let line = format!("|1|G3pDzTnF2QEWzTkJPRGB6jKDMng=|Y8s1eFWtpSnwOEvNEe+07i3JCnY= {KEY}");
        assert_eq!(keys_of(&line, "[pi.lan]:2222"), [KEY]);
        assert!(keys_of(&line, "pi.lan").is_empty());
    }
}
