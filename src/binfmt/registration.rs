//! The registration of the handler: name, magic, mask, interpreter, flags. Pure.

use std::fmt;

use crate::engine::{EngineAddress, RunId};

/// Where Linux mounts the table of handlers.
pub const TABLE_DIR: &str = "/proc/sys/fs/binfmt_misc";
/// Prefix of the names of sdbuild's entries; entries with another one are never written to.
pub(crate) const PREFIX: &str = "sdbuild-aarch64-";
/// The interpreter inside the registrar's container image. The kernel opens it at registration (flag `F`), so other
/// containers do not need it.
pub(crate) const INTERPRETER: &str = "/sdbuild/qemu-aarch64";
/// `P`: programs see the name that they were called by, which nixpkgs' wrappers need. `F`: the interpreter is opened now.
/// Not `C`, which would let set-user-id programs of any container run as root. Not `O`, which nothing needs.
pub(crate) const FLAGS: &str = "PF";

/// The first 20 bytes of a 64-bit little-endian ELF file for `AArch64`.
const MAGIC: [u8; 20] = [
    0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xb7, 0,
];
/// Ignores the ABI (byte 7), and matches executables and position-independent ones (byte 16: 2 and 3).
const MASK: [u8; 20] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xfe, 0xff, 0xff, 0xff,
];

/// The name of a run's entry: `sdbuild-aarch64-` and the run's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerName(RunId);

impl HandlerName {
    /// The name of the entry of `run`.
    pub fn new(run: &RunId) -> Self {
        Self(run.clone())
    }

    /// Parses a name of this form; `None` for any other.
    pub fn parse(name: &str) -> Option<Self> {
        name.strip_prefix(PREFIX)?.parse().ok().map(Self)
    }

    /// The run that registered it.
    pub fn run(&self) -> &RunId {
        &self.0
    }

    /// The command that removes the entry from the table of the engine at `address`.
    pub fn remedy(&self, address: &EngineAddress) -> String {
        address.as_root(&format!("sh -c 'echo -1 > {TABLE_DIR}/{self}'"))
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

/// The magic as the kernel prints it.
pub(crate) fn magic() -> String {
    hex::encode(MAGIC)
}

/// The mask as the kernel prints it.
pub(crate) fn mask() -> String {
    hex::encode(MASK)
}

/// The environment of the agent: the registration without its name, and its parts as the kernel prints them.
pub(crate) fn environment() -> Vec<(String, String)> {
    let pairs = [
        ("SDBUILD_INTERPRETER", INTERPRETER.to_owned()),
        ("SDBUILD_MAGIC", magic()),
        ("SDBUILD_MASK", mask()),
    ];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
    [line()].into_iter().chain(pairs).collect()
}

/// The registration without its name, as an environment variable.
pub(crate) fn line() -> (String, String) {
    ("SDBUILD_REGISTRATION".to_owned(), registration())
}

/// `M::magic:mask:interpreter:flags`, the bytes written as `\xHH` for the kernel to read.
fn registration() -> String {
    let escaped = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(String::new(), |text, b| format!("{text}\\x{b:02x}"))
    };
    format!(
        "M::{}:{}:{INTERPRETER}:{FLAGS}",
        escaped(&MAGIC),
        escaped(&MASK)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn magic_and_mask_are_as_the_kernel_prints_them() {
        assert_eq!(magic(), "7f454c460201010000000000000000000200b700");
        assert_eq!(mask(), "ffffffffffffff00fffffffffffffffffeffffff");
    }

    #[test]
    fn an_entry_is_removed_on_the_engines_machine() {
        let name = HandlerName::new(&"0123456789ab".parse().unwrap());
        let remedy = "sudo sh -c 'echo -1 > /proc/sys/fs/binfmt_misc/sdbuild-aarch64-0123456789ab'";
        assert_eq!(name.remedy(&EngineAddress::local_docker()), remedy);
        assert_eq!(
            name.remedy(&EngineAddress::behind_ssh()),
            format!("ssh -t ssh://pi@board:2222 \"{remedy}\"")
        );
    }

    #[test]
    fn the_registration_fits_into_one_write() {
        let line = format!(":{PREFIX}0123456789ab:{}", registration());
        assert!(line.len() < 1920, "the kernel's limit for one write");
        assert_eq!(line.matches(':').count(), 7);
        assert!(line.ends_with("/sdbuild/qemu-aarch64:PF"));
        assert!(registration().starts_with(r"M::\x7f\x45\x4c\x46\x02"));
    }

    #[test]
    fn parses_only_our_names() {
        let name = HandlerName::parse("sdbuild-aarch64-0123456789ab").unwrap();
        assert_eq!(name.run().as_str(), "0123456789ab");
        for other in [
            "qemu-aarch64",
            "sdbuild-aarch64-",
            "sdbuild-aarch64-0123456789aB",
            "sdbuild",
        ] {
            assert_eq!(HandlerName::parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn names_round_trip(id in "[0-9a-f]{12}") {
            let name = HandlerName::new(&id.parse().unwrap());
            prop_assert_eq!(HandlerName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn parsed_names_print_as_they_were(text in ".{0,40}") {
            if let Some(name) = HandlerName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
