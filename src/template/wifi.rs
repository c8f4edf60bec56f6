//! A wireless network to join. The configuration contains the key that is derived from name and passphrase;
//! the passphrase itself is neither in it nor in the image.

use std::fmt;
use std::num::NonZeroU32;

use ring::pbkdf2;

use crate::common::wifi_passphrase;
use sdbuild_core::failure::Failure;
use sdbuild_core::nix_string::nix_string;

/// PBKDF2 iterations of a WPA key (IEEE 802.11, annex J.4).
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
/// Bytes of a network's name (SSID).
const MAX_NAME_BYTES: usize = 32;

/// A WPA network: its name (SSID) and the key derived from it and the passphrase.
#[derive(Clone, PartialEq, Eq)]
pub struct Wifi {
    name: String,
    key: [u8; 32],
}

impl fmt::Debug for Wifi {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wifi").field(&self.name).finish()
    }
}

impl Wifi {
    /// The network `name` with `passphrase`; a usage error when either is not valid for WPA.
    pub fn new(name: &str, passphrase: &str) -> Result<Self, Failure> {
        Self::check(name)?;
        let printable = passphrase.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if !wifi_passphrase::has_valid_length(passphrase.len()) || !printable {
            return Err(
                Failure::usage("the passphrase of the wireless network is not valid")
                    .hint("a passphrase has 8 to 63 ASCII characters"),
            );
        }
        let mut key = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
        pbkdf2::derive(
            algorithm,
            ITERATIONS,
            name.as_bytes(),
            passphrase.as_bytes(),
            &mut key,
        );
        let name = name.to_owned();
        Ok(Self { name, key })
    }

    /// A usage error unless `name` is a valid network name.
    pub fn check(name: &str) -> Result<(), Failure> {
        if (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.contains(char::is_control) {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "`{name}` is not a valid name of a wireless network"
        ))
        .hint("a name has 1 to 32 bytes and no control characters"))
    }

    /// The lines of the configuration, with a blank line before them.
    pub(super) fn lines(&self) -> String {
        let (name, key) = (nix_string(&self.name), hex::encode(self.key));
        format!(
            "\n\n  # The wireless network to join. Its key can be read from the card, and in the Nix store of every machine\n  \
             # that builds the image. To keep it out, put a file on the card, name it in\n  \
             # networking.wireless.secretsFile and write pskRaw = \"ext:NAME\". A network that accepts only WPA3\n  \
             # needs `psk` with the passphrase.\n  \
             networking.wireless.enable = true;\n  \
             networking.wireless.networks.{name}.pskRaw = \"{key}\";\n  \
             hardware.enableRedistributableFirmware = true;"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of IEEE 802.11, annex J.4.
    #[test]
    fn the_key_is_derived_from_name_and_passphrase() {
        let wifi = Wifi::new("IEEE", "password").unwrap();
        let key = "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e";
        assert!(
            wifi.lines()
                .contains(&format!("networks.\"IEEE\".pskRaw = \"{key}\";"))
        );
        assert!(!wifi.lines().contains("password") && !format!("{wifi:?}").contains("f4"));
        let odd = Wifi::new("a\"${b}", "password").unwrap().lines();
        assert!(odd.contains("networks.\"a\\\"\\${b}\".pskRaw"), "{odd}");
    }

    #[test]
    fn refuses_invalid_names_and_passphrases() {
        for (name, phrase) in [
            ("", "password"),
            ("x", "short"),
            ("x", "ümlautümlaut"),
            ("x\ny", "password"),
        ] {
            assert!(Wifi::new(name, phrase).is_err(), "{name} {phrase}");
        }
        assert!(Wifi::new(&"n".repeat(33), "password").is_err());
        assert!(Wifi::new("x", &"p".repeat(64)).is_err());
    }
}
