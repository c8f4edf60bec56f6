//! Where the SSH server of the NixOS system of an image takes keys from.

use super::boot::Volume;
use super::error::Error;
use super::ssh_port::server_configuration;

/// The file with the keys of a user that NixOS writes, as the server's configuration names it.
const LIST: &str = "/etc/ssh/authorized_keys.d/%u";
/// Keywords of further sources of keys, or of a part of the configuration that may have some.
const OTHER_SOURCES: [&str; 4] = [
    "authorizedkeyscommand",
    "include",
    "match",
    "trustedusercakeys",
];

/// Whether the server of the system at the path `system` on one of `volumes` accepts only the keys in NixOS's lists: what the system
/// writes into home directories while it runs does not count. `false` where that is not known.
pub(super) fn takes_only_lists(volumes: &[Volume], system: &str) -> Result<bool, Error> {
    let config = server_configuration(volumes, system)?;
    Ok(config.is_some_and(|config| has_only_lists(&config)))
}

/// The same of the text of an `sshd_config`.
fn has_only_lists(config: &str) -> bool {
    let mut is_list = false;
    for line in config.lines() {
        // As in `sshd_config(5)`: a keyword has no case, and `=` may stand behind it.
        let words = line.split(|c: char| c.is_whitespace() || c == '=');
        let mut words = words.filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default().to_lowercase();
        let values: Vec<&str> = words.collect();
        if OTHER_SOURCES.contains(&keyword.as_str()) && values != ["none"] {
            return false;
        }
        if keyword == "authorizedkeysfile" {
            if values != [LIST] {
                return false;
            }
            is_list = true;
        }
    }
    is_list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_from_elsewhere_are_noticed() {
        let only = format!("UsePAM yes\nAuthorizedKeysFile {LIST}\nAuthorizedKeysCommand none\n");
        assert!(has_only_lists(&only));
        assert!(has_only_lists(&format!("authorizedkeysfile={LIST}\n")));
        for other in [
            "",
            "UsePAM yes\n",
            "AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u\n",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\nAuthorizedKeysCommand /bin/keys\n",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\nMatch User bob\n",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\nTrustedUserCAKeys=/ca.pub\n",
            "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\nInclude /etc/more\n",
        ] {
            assert!(!has_only_lists(other), "{other}");
        }
    }
}
