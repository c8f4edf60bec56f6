//! The format of public SSH keys (RFC 4253, section 6.6), and of `authorized_keys` (`sshd(8)`).
//!
//! The crate `ssh-key` reads keys of ECDSA only with two more crates, and accepts options that the SSH server does not know.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use jiff::{Timestamp, ToSpan as _};
use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;

use super::hash::Sha256Hash;
use super::shell_word::quoted;
use super::shown_path::shown_path;

/// Key types that current OpenSSH servers accept, the preferred ones first.
pub const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// The keys of an SSH server that NixOS has unless its configuration names others: their types, and where they are.
pub const HOST_KEYS: [(&str, &str); 2] = [
    ("ssh-ed25519", "/etc/ssh/ssh_host_ed25519_key"),
    ("ssh-rsa", "/etc/ssh/ssh_host_rsa_key"),
];

/// Where the public half of the key in `private` is, if it is beside it, for a flag that takes that half.
pub fn hint_to_public_half(private: &Path) -> Option<String> {
    let mut public = private.as_os_str().to_owned();
    public.push(".pub");
    let public = Path::new(&public);
    let is_there = public.is_file();
    is_there.then(|| {
        format!(
            "name the public key beside it: --ssh-key {}",
            quoted(&shown_path(public))
        )
    })
}

/// What to do about a file of a public key that cannot be read.
pub const UNREADABLE_KEY_HINT: &str =
    "`ls -l ~/.ssh/*.pub` lists your public keys, `ssh-keygen -t ed25519` makes one";

/// Whether `key`, in Base64, is a complete key of type `key_type`: its blob consists of fields, of which the first is the name of the
/// type, and more follow.
pub fn is_complete(key_type: &str, key: &str) -> bool {
    let blob = BASE64_STANDARD.decode(key).unwrap_or_default();
    let mut rest = blob.as_slice();
    let is_of_type = field(&mut rest) == Some(key_type.as_bytes()) && !rest.is_empty();
    while !rest.is_empty() {
        if field(&mut rest).is_none() {
            return false;
        }
    }
    is_of_type
}

/// The field at the start of `blob`, which begins with its length (RFC 4251, section 5); `blob` has what follows it then.
fn field<'a>(blob: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, rest) = rest.split_at_checked(length)?;
    *blob = rest;
    Some(field)
}

/// The fingerprint of a public key in Base64, as OpenSSH shows it: `SHA256:…`. Empty for what is not Base64.
pub fn fingerprint(key: &str) -> String {
    let bytes = BASE64_STANDARD.decode(key);
    let digest = bytes.map(|bytes| <[u8; 32]>::from(Sha256Hash::of(&bytes)));
    digest.map_or_else(
        |_| String::new(),
        |digest| format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest)),
    )
}

/// Whether `text` is a private key in PEM, as ssh-keygen writes it.
pub fn is_private(text: &str) -> bool {
    has_private(text.as_bytes())
}

/// Whether a private key in PEM is in `bytes`, which need not be text.
pub fn has_private(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY-----";
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

/// Whether the private key `text` is encrypted with a passphrase.
pub fn has_passphrase(text: &str) -> bool {
    // Formats before OpenSSH's own say it in a header, PKCS #8 in the first line.
    let cipher =
        openssh_blob(text).and_then(|blob| field(&mut blob.as_slice()).map(<[u8]>::to_vec));
    text.contains("ENCRYPTED") || cipher.is_some_and(|cipher| cipher != b"none")
}

/// The public half, in Base64, of the private key `text`, if that is in OpenSSH's format: it is not encrypted there.
pub fn public_half(text: &str) -> Option<String> {
    let blob = openssh_blob(text)?;
    let mut rest = blob.as_slice();
    // Cipher, derivation of its key, and options of that; then the number of keys, which is 1.
    for _ in 0..3 {
        field(&mut rest)?;
    }
    let public = field(&mut rest.get(4..)?)?;
    Some(BASE64_STANDARD.encode(public))
}

/// What follows the magic in the private key `text` in OpenSSH's format (PROTOCOL.key of OpenSSH).
fn openssh_blob(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let blob = BASE64_STANDARD.decode(lines.collect::<String>()).ok()?;
    blob.strip_prefix(b"openssh-key-v1\0").map(<[u8]>::to_vec)
}

/// Whether the file `given` is a key in its place: a type of keys, a space, and the beginning of each key in Base64.
pub fn is_in_place_of_file(given: &Path) -> bool {
    let text = given.to_string_lossy();
    let mut types = KEY_TYPES.iter();
    types.any(|kind| text.contains(&format!("{kind} AAAA"))) && !given.exists()
}

/// Whether a line of `text`, as in `authorized_keys`, is one with which an SSH server lets somebody in: a complete key, and
/// before it nothing but options.
pub fn contains_key(text: &str) -> bool {
    key_of(text).is_some()
}

/// The first complete key in `text`, as in `authorized_keys`: in Base64, without its type, options and comment.
pub fn key_of(text: &str) -> Option<&str> {
    entries(text).next().map(|entry| entry.key)
}

/// Whether a key in `text` lets its owner in: it is not that of a certification authority, which signs the keys of others.
pub fn lets_owner_in(text: &str) -> bool {
    entries(text).any(|entry| {
        !entry
            .options
            .iter()
            .any(|(name, _)| name == "cert-authority")
    })
}

/// Whether no key in `text` is accepted at the time `now`, whatever the time zone of the machine, because the time of each is over.
pub fn is_expired(text: &str, now: Timestamp) -> bool {
    let is_over = |entry: Entry<'_>| {
        let mut options = entry.options.iter();
        options.any(|(name, value)| name == "expiry-time" && is_past(value, now))
    };
    contains_key(text) && entries(text).all(is_over)
}

/// Whether `time`, as in `expiry-time`, is over at `now`: a date, or one with hours, minutes and maybe seconds, of an unknown time zone
/// unless `Z` follows.
fn is_past(time: &str, now: Timestamp) -> bool {
    let (digits, latest) = match time.strip_suffix('Z') {
        Some(digits) => (digits, Some(now)),
        // The zones that are last to reach a time are twelve hours behind.
        None => (time, now.checked_sub(12.hours()).ok()),
    };
    let is_over = |latest: Timestamp| {
        let latest = latest.strftime("%Y%m%d%H%M%S").to_string();
        format!("{digits:0<14}") < latest
    };
    is_time(digits) && latest.is_some_and(is_over)
}

/// Whether `digits` are a date, or one with hours, minutes and maybe seconds.
fn is_time(digits: &str) -> bool {
    [8, 12, 14].contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A line of `authorized_keys`.
struct Entry<'a> {
    /// The names of its options in lower case, and what is between the quotes behind each.
    options: Vec<(String, &'a str)>,
    /// The key in Base64.
    key: &'a str,
}

/// An option that the SSH server knows, the second group of which is its value.
const OPTION: &str = r#"(restrict|cert-authority|(?:no-)?(?:agent-forwarding|port-forwarding|pty|touch-required|user-rc|verify-required|x11-forwarding)|(?:command|environment|expiry-time|from|permitlisten|permitopen|principals|tunnel)="((?:[^"\\]|\\.)*)")"#;
static OPTIONS: LazyLock<Option<[Regex; 2]>> = LazyLock::new(|| {
    // The server accepts a comma at the end.
    let all = Regex::new(&format!("^(?i:{OPTION}(?:,{OPTION})*),?[ \t]+")).ok()?;
    Some([all, Regex::new(&format!("(?i){OPTION}")).ok()?])
});

impl<'a> Entry<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let line = line.trim_start_matches(is_blank);
        if let Some(key) = key_at_start(line) {
            let options = Vec::new();
            return Some(Self { options, key });
        }
        let [all, each] = OPTIONS.as_ref()?;
        let (options, rest) = line.split_at(all.find(line)?.end());
        let option = |groups: Captures| {
            let text = |group: usize| options.get(groups.get_group(group)?.range());
            let name = text(1)?.split('=').next()?.to_ascii_lowercase();
            Some((name, text(2).unwrap_or_default()))
        };
        Some(Self {
            options: each.captures_iter(options).filter_map(option).collect(),
            key: key_at_start(rest)?,
        })
    }
}

/// The lines of `text` with a complete key, and nothing but options before it.
fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines().filter_map(Entry::of)
}

/// The complete key at the start of `text`, behind its type.
fn key_at_start(text: &str) -> Option<&str> {
    let mut words = text.split(is_blank).filter(|word| !word.is_empty());
    let (key_type, key) = (words.next()?, words.next()?);
    let is_one = text.starts_with(key_type) && KEY_TYPES.contains(&key_type);
    (is_one && is_complete(key_type, key)).then_some(key)
}

/// Whether `c` separates words in `authorized_keys`: other spaces, such as a no-break space, do not.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use super::contains_key;
    use super::fingerprint;
    use super::is_expired;
    use super::lets_owner_in;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    #[test]
    fn finds_keys_after_options_but_no_placeholders() {
        assert!(contains_key(ED));
        assert!(contains_key(&format!(
            "from=\"10.0.0.1\",no-pty {ED} me@here"
        )));
        assert!(contains_key(&format!("# mine\n  {ED}\r\n")));
        for none in [
            "",
            "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY",
            "~/.ssh/id_ed25519.pub",
            "ssh-ed25519",
            // Text that is no option of the SSH server.
            &format!("ssh-ed25519 {ED}"),
            &format!("~/.ssh/id_ed25519.pub {ED}"),
            &format!("no-ptty {ED}"),
            &format!("# {ED}"),
            &ED.replace(' ', "\u{a0}"),
            &ED.replace("ssh-ed25519", "ssh-rsa"),
            // Cut short, and still Base64.
            ED.split_at(ED.len() - 4).0,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        ] {
            assert!(!contains_key(none), "{none}");
        }
    }

    #[test]
    fn an_expired_key_is_one_in_every_time_zone() {
        let now = "2026-11-27T10:00:00Z".parse().unwrap();
        for (time, is_over) in [
            ("20200101", true),
            ("20200101Z", true),
            ("202001011200", true),
            ("20200101120000Z", true),
            ("20261127095959Z", true),
            ("20261127100000Z", false),
            // Ten o'clock in UTC is ten o'clock of the evening before elsewhere.
            ("20261126215959", true),
            ("20261126220000", false),
            ("20261127", false),
            ("20991231", false),
            // What sshd(8) does not know.
            ("2020", false),
            ("2020-01-01", false),
            ("", false),
        ] {
            let line = format!("no-pty,expiry-time=\"{time}\" {ED} me");
            assert_eq!(is_expired(&line, now), is_over, "{time}");
        }
        let two = format!("expiry-time=\"20991231\",expiry-time=\"20200101\" {ED}");
        assert!(is_expired(&two, now));
        assert!(!is_expired(ED, now) && !is_expired("", now));
        let two = format!("expiry-time=\"20200101\" {ED}\n{ED}");
        assert!(!is_expired(&two, now));
    }

    #[test]
    fn the_key_of_an_authority_does_not_let_its_owner_in() {
        assert!(lets_owner_in(ED));
        assert!(lets_owner_in(&format!("command=\"cert-authority\" {ED}")));
        for options in ["cert-authority", "no-pty,Cert-Authority,principals=\"ann\""] {
            let line = format!("{options} {ED}");
            assert!(contains_key(&line) && !lets_owner_in(&line), "{options}");
        }
        assert!(!lets_owner_in("~/.ssh/id_ed25519.pub"));
    }

    /// The fingerprint is that of `ssh-keygen -l`.
    #[test]
    fn fingerprints_are_those_of_openssh() {
        let (_, key) = ED.split_once(' ').unwrap();
        assert_eq!(
            fingerprint(key),
            "SHA256:Dxh+NEyn8+MZCcNPVI/K0FHc0ZI22ChXmJTyGUGoz2Q"
        );
        assert_eq!(fingerprint("?"), "");
    }

    #[test]
    fn options_are_those_of_sshd() {
        for options in [
            "restrict",
            "No-Pty,X11-FORWARDING",
            r#"command="echo \"a, b\"",no-port-forwarding"#,
            r#"from="10.0.0.1,*.lan""#,
            "pty,",
            "command=\"a \\\" b\",pty \t",
        ] {
            assert!(contains_key(&format!("{options} {ED}")), "{options}");
        }
        for other in [
            ",",
            "no-restrict",
            "command",
            "from=10.0.0.1",
            r#"from="10.0.0.1"#,
            r#"from="a"pty"#,
            "pty,,restrict",
        ] {
            assert!(!contains_key(&format!("{other} {ED}")), "{other}");
        }
    }
}
