//! The SSH host key that a board gets, and how `ssh` knows the board by it.

use std::path::Path;

use sdbuild_core::failure::Failure;
use sdbuild_core::host_name;
use sdbuild_core::new_ssh_key::KeyPair;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::ssh_key::{self, HOST_KEYS};
use sdbuild_image::image_name::host_of;

/// A host key.
pub(super) struct HostKey {
    /// The private half, as sshd reads it: with one line break at the end of each line.
    pub(super) private: String,
    /// Type and key of the public half.
    pub(super) public: String,
    /// Where NixOS looks for the private half.
    pub(super) path: &'static str,
}

impl HostKey {
    /// A new one.
    pub(super) fn generate() -> Result<Self, Failure> {
        let pair = KeyPair::generate("")?;
        Self::new(pair.private, pair.public.trim().to_owned())
    }

    /// The private key `text` of the file that is `shown` so.
    pub(super) fn parse(text: &str, shown: &str) -> Result<Self, Failure> {
        let refused = |why: &str| Failure::usage(format!("{shown} cannot be a host key: {why}"));
        if !ssh_key::is_private(text) {
            return Err(refused("it is not a private SSH key"));
        }
        if ssh_key::has_passphrase(text) {
            return Err(refused(
                "it has a passphrase, which an SSH server cannot ask for",
            ));
        }
        let key = ssh_key::public_half(text);
        let key = key.ok_or_else(|| {
            refused("it is not in OpenSSH's format")
                .hint("`ssh-keygen -p -N '' -f FILE` converts it")
        })?;
        let mut types = ssh_key::KEY_TYPES.iter();
        let kind = types.find(|kind| ssh_key::is_complete(kind, &key));
        let kind = kind.ok_or_else(|| refused("its type is not known"))?;
        let lines = text.lines().map(|line| format!("{}\n", line.trim_end()));
        Self::new(lines.collect(), format!("{kind} {key}"))
    }

    fn new(private: String, public: String) -> Result<Self, Failure> {
        let kind = public.split(' ').next().unwrap_or_default();
        let Some((_, path)) = HOST_KEYS.iter().find(|(known, _)| *known == kind) else {
            let text = format!("NixOS looks for no host key of the type {kind}");
            return Err(Failure::usage(text).hint(
                "make one with `ssh-keygen -t ed25519 -N '' -f FILE`, or give --host-key generate",
            ));
        };
        Ok(Self {
            private,
            public,
            path,
        })
    }
}

/// The host name of the board that `image` is for: the `given` one, or that in the image's name.
pub(super) fn name_of(image: &Path, given: Option<&str>) -> Option<String> {
    let file = image.file_name().unwrap_or_default().to_string_lossy();
    let name = given.or_else(|| host_of(&file));
    name.filter(|name| host_name::is_valid(name))
        .map(str::to_owned)
}

/// The line of `known_hosts` for the board `name` with the public host key `key`.
pub(super) fn known_hosts_line(name: &str, key: &str) -> String {
    format!("{name},{name}.local {key}")
}

/// The command that logs in to the board `name` at any address, and compares its host key with that in `known_hosts`, or in the user's
/// own file.
pub(super) fn ssh_command(name: &str, known_hosts: Option<&str>) -> String {
    let file = known_hosts.map_or_else(String::new, |path| {
        // ssh splits what has blanks, unless it is in quotes, and replaces what follows a percent sign.
        let is_plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
        let value = if path.chars().all(is_plain) {
            path.to_owned()
        } else {
            let escaped = path.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", escaped.replace('%', "%%"))
        };
        format!(" -o {}", quoted(&format!("UserKnownHostsFile={value}")))
    });
    format!("ssh -o HostKeyAlias={name}{file} root@BOARD")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshd_can_load_a_key_from_another_editor() {
        let pair = KeyPair::generate("me").unwrap();
        for text in [
            pair.private.replace('\n', "\r\n"),
            pair.private.trim_end().to_owned(),
        ] {
            let key = HostKey::parse(&text, "key").unwrap();
            assert_eq!(key.private, pair.private);
            assert!(pair.public.starts_with(&key.public), "{}", key.public);
        }
        assert!(HostKey::parse(&pair.public, "key").is_err());
    }

    /// A key for any host would be trusted for every host.
    #[test]
    fn only_a_host_name_gets_into_known_hosts() {
        let built = Path::new("out/nixos-kitchen-sd-card-26.05-aarch64-linux.img.zst");
        assert_eq!(name_of(built, None).as_deref(), Some("kitchen"));
        assert_eq!(name_of(built, Some("barn")).as_deref(), Some("barn"));
        assert_eq!(name_of(built, Some("*")), None);
        assert_eq!(name_of(Path::new("nixos-*-sd-card-26.05.img"), None), None);
        assert_eq!(name_of(Path::new("card.img"), None), None);
    }

    #[test]
    fn ssh_gets_the_path_of_the_file_as_one() {
        let command = ssh_command("kitchen", Some("my cards/100%.known_hosts"));
        assert!(
            command.contains("'UserKnownHostsFile=\"my cards/100%%.known_hosts\"'"),
            "{command}"
        );
    }
}
