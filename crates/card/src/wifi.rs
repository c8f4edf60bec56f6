//! Where the NixOS in an image reads the passphrase of a wireless network, and in which form.

use std::fmt;

use sdbuild_core::failure::Failure;
use sdbuild_image::Error;
use sdbuild_image::boot::Volume;

use crate::put::Put;

/// The networks of `networking.wireless`, below the directory of a system (`nixos/modules/services/networking/wpa_supplicant.nix`).
const WPA_SUPPLICANT: &str = "etc/wpa_supplicant/nixos.conf";
/// Bytes of it that are read: more than a thousand networks.
const MAX_CONFIG_BYTES: usize = 256 << 10;
const NETWORK_MANAGER: &str = "etc/NetworkManager/NetworkManager.conf";
const IWD: &str = "etc/systemd/system/iwd.service";
/// What precedes the name of a secret in the `psk` of `wpa_supplicant`, and the path of the file with the secrets.
const SECRET: &str = "ext:";
const SECRETS_FILE: &str = "ext_password_backend=file:";

/// A wireless network with a passphrase.
#[derive(Clone, PartialEq, Eq)]
pub struct Wifi {
    /// Its name.
    pub ssid: String,
    /// The passphrase.
    pub passphrase: String,
}

impl fmt::Debug for Wifi {
    /// Without the passphrase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wifi").field(&self.ssid).finish()
    }
}

impl Wifi {
    /// The file from which the NixOS at the path `system` on one of `volumes` takes the passphrase.
    pub(super) fn file(&self, volumes: &[Volume], system: &str) -> Result<Put, Failure> {
        let read = |error: Error| error.fail("read the image");
        for volume in volumes {
            let path = |name: &str| format!("{system}/{name}");
            let networks = volume.fs.start_of(&path(WPA_SUPPLICANT), MAX_CONFIG_BYTES);
            if let Some(networks) = networks.map_err(read)? {
                return self.in_secrets(&String::from_utf8_lossy(&networks));
            }
            let has = |name: &str| {
                volume
                    .fs
                    .find(&path(name))
                    .map(|found| found.is_some())
                    .map_err(read)
            };
            if has(NETWORK_MANAGER)? {
                return Ok(self.for_network_manager());
            }
            if has(IWD)? {
                return Ok(self.for_iwd());
            }
        }
        let text = format!(
            "the image is not known to read the passphrase of {} anywhere",
            self.ssid
        );
        Err(Failure::usage(text).hint("it needs networking.networkmanager, networking.wireless.iwd, or networking.wireless.networks with a secretsFile; of NixOS before 25.11, write that file yourself and give --put FILE:PATH:0600"))
    }

    /// The file of secrets that the `networks` of `wpa_supplicant` name.
    fn in_secrets(&self, networks: &str) -> Result<Put, Failure> {
        let ssid = &self.ssid;
        let lines = || networks.lines().map(str::trim);
        let named = |line: &str| {
            line.strip_prefix("ssid=\"")?
                .strip_suffix('"')
                .map(str::to_owned)
        };
        let known: Vec<String> = lines().filter_map(named).collect();
        if !known.contains(ssid) {
            let text = format!("the configuration has no wireless network {ssid}");
            return Err(Failure::usage(text).hint(format!("it has {}", known.join(", "))));
        }
        let block = lines().skip_while(|line| named(line).as_ref() != Some(ssid));
        let mut block = block.take_while(|line| *line != "}");
        let name = block.find_map(|line| line.strip_prefix("psk=")?.strip_prefix(SECRET));
        let file = lines().find_map(|line| line.strip_prefix(SECRETS_FILE));
        let (Some(name), Some(file)) = (name, file) else {
            let text = format!("the configuration takes the passphrase of {ssid} from no file");
            let hint = "write networking.wireless.networks.NAME.pskRaw = \"ext:NAME\"; and networking.wireless.secretsFile";
            return Err(Failure::usage(text).hint(hint));
        };
        Ok(secret(
            file.to_owned(),
            format!("{name}={}\n", self.passphrase),
        ))
    }

    /// A connection of `NetworkManager` (nm-settings-keyfile(5)).
    fn for_network_manager(&self) -> Put {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-_. ".contains(c) {
                c
            } else {
                '_'
            }
        };
        let name: String = self.ssid.chars().map(plain).collect();
        // Blanks at the ends are not part of a value.
        let value = |text: &str| {
            let inner = text.trim_matches(' ');
            let (start, end) = text.split_once(inner).unwrap_or_default();
            let [start, end] = [start, end].map(|blanks| blanks.replace(' ', "\\s"));
            format!("{start}{}{end}", inner.replace('\\', "\\\\"))
        };
        let (ssid, psk) = (value(&self.ssid), value(&self.passphrase));
        let path = format!("/etc/NetworkManager/system-connections/{name}.nmconnection");
        let content = format!(
            "[connection]\nid={ssid}\ntype=wifi\n\n[wifi]\nmode=infrastructure\nssid={ssid}\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk={psk}\n"
        );
        secret(path, content)
    }

    /// A known network of iwd (iwd.network(5)).
    fn for_iwd(&self) -> Put {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_ ".contains(c);
        let name = if self.ssid.chars().all(is_plain) {
            self.ssid.clone()
        } else {
            format!("={}", hex::encode(&self.ssid))
        };
        let psk = self.passphrase.replace('\\', "\\\\").replace(' ', "\\s");
        secret(
            format!("/var/lib/iwd/{name}.psk"),
            format!("[Security]\nPassphrase={psk}\n"),
        )
    }
}

/// A file of root's that nobody else reads.
fn secret(path: String, content: String) -> Put {
    Put {
        path,
        content: content.into_bytes(),
        mode: 0o600,
        owner: (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wifi(ssid: &str, passphrase: &str) -> Wifi {
        Wifi {
            ssid: ssid.to_owned(),
            passphrase: passphrase.to_owned(),
        }
    }

    fn text(put: &Put) -> (&str, &str) {
        (&put.path, std::str::from_utf8(&put.content).unwrap())
    }

    #[test]
    fn the_configurations_file_of_secrets_gets_the_passphrase_by_the_networks_own_name() {
        let networks = "ext_password_backend=file:/etc/wifi-secrets\nnetwork={\n  ssid=\"Other\"\n  psk=ext:other\n}\nnetwork={\n  ssid=\"Home\"\n  key_mgmt=WPA-PSK\n  psk=ext:psk_home\n}\nnetwork={\n  ssid=\"Open\"\n}\n";
        let home = wifi("Home", "correct horse");
        let put = home.in_secrets(networks).unwrap();
        assert_eq!(
            text(&put),
            ("/etc/wifi-secrets", "psk_home=correct horse\n")
        );
        assert!(!format!("{home:?}").contains("correct"));
        for (ssid, networks) in [
            ("Nobody", networks.to_owned()),
            ("Open", networks.to_owned()),
            ("Home", networks.replace("file:", "")),
            ("Home", networks.replace("ext:psk_home", "\"in the store\"")),
        ] {
            let refused = wifi(ssid, "12345678").in_secrets(&networks).unwrap_err();
            assert!(!refused.to_string().contains("12345678"), "{refused}");
        }
    }

    #[test]
    fn names_and_passphrases_are_escaped_as_each_service_reads_them() {
        let odd = wifi("Caf\u{e9}/1", "back\\slash and ");
        let put = odd.for_network_manager();
        assert_eq!(
            put.path,
            "/etc/NetworkManager/system-connections/Caf__1.nmconnection"
        );
        assert!(text(&put).1.contains("ssid=Caf\u{e9}/1\n"));
        assert!(text(&put).1.ends_with("psk=back\\\\slash and\\s\n"));
        let put = odd.for_iwd();
        assert_eq!(
            text(&put),
            (
                "/var/lib/iwd/=436166c3a92f31.psk",
                "[Security]\nPassphrase=back\\\\slash\\sand\\s\n"
            )
        );
        assert_eq!(
            wifi("Home 1", "12345678").for_iwd().path,
            "/var/lib/iwd/Home 1.psk"
        );
    }
}
