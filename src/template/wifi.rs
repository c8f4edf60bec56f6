//! A wireless network to join. What the configuration gets is the key that is computed from name and pass
//! phrase: the phrase itself is neither in it nor in the image.

use std::fmt;
use std::num::NonZeroU32;

use ring::pbkdf2;

use crate::common::failure::Failure;
use crate::common::nix_string::nix_string;

/// IEEE 802.11, annex J.4.
const ROUNDS: NonZeroU32 = match NonZeroU32::new(4096) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};
/// What a network's name may have, in bytes.
const LONGEST_NAME: usize = 32;

/// A network and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Wifi {
    name: String,
    key: [u8; 32],
}

impl fmt::Debug for Wifi {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wifi").field(&self.name).finish()
    }
}

impl Wifi {
    /// The network `name` with its passphrase.
    pub fn new(name: &str, phrase: &str) -> Result<Self, Failure> {
        Self::check(name)?;
        let printable = phrase.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if !(8..=63).contains(&phrase.len()) || !printable {
            return Err(
                Failure::usage("that is no passphrase of a wireless network")
                    .hint("it has 8 to 63 characters of ASCII"),
            );
        }
        let mut key = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
        pbkdf2::derive(
            algorithm,
            ROUNDS,
            name.as_bytes(),
            phrase.as_bytes(),
            &mut key,
        );
        let name = name.to_owned();
        Ok(Self { name, key })
    }

    /// Whether a network may be called `name`.
    pub fn check(name: &str) -> Result<(), Failure> {
        if (1..=LONGEST_NAME).contains(&name.len()) && !name.contains(char::is_control) {
            return Ok(());
        }
        Err(
            Failure::usage(format!("`{name}` is no name of a wireless network"))
                .hint("it has 32 bytes at most"),
        )
    }

    /// What stands in the configuration.
    pub(super) fn lines(&self) -> String {
        let (name, key) = (nix_string(&self.name), hex::encode(self.key));
        format!(
            "\n\n  # The wireless network to join. Its key is in the image, for whoever holds the card, and in the store\n  \
             # of every machine that builds it. To keep it out: networking.wireless.secretsFile with a file that you\n  \
             # put on the card, and pskRaw = \"ext:NAME\". A network that takes WPA3 alone needs `psk` with the phrase.\n  \
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
    fn the_key_is_that_of_name_and_phrase() {
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
    fn what_no_network_has_is_refused() {
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
