//! Parses the kernel's description of an entry, and decides who owns the entry. Pure; the text is untrusted.

use std::ops::Range;

use crate::binfmt::registration::{HandlerName, Registration};
use sdbuild_core::system::Architecture;

/// Age in seconds from which an entry counts as abandoned: its agent touches it every five seconds, and a busy host may be
/// ten times as slow.
const ABANDONED_AGE: u64 = 60;
/// Digits 36 to 39 of a magic in hexadecimal are the machine's number in an ELF header (`e_machine`, little-endian).
const ELF_MACHINE: Range<usize> = 36..40;

/// One entry of the table, as the kernel prints it; fields that it does not print are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether the handler is enabled in the kernel.
    pub enabled: bool,
    /// The program that runs what matches.
    pub interpreter: String,
    /// `P`, `F`, `OC`, …
    pub flags: String,
    /// Offset of the magic bytes in a file.
    pub offset: u64,
    /// Magic bytes as hex digits; empty for an entry by file name extension.
    pub magic: String,
    /// Mask as hex digits.
    pub mask: String,
    /// Seconds since its agent last touched it, if known.
    pub age: Option<u64>,
}

impl Entry {
    /// Whether an agent touched it recently. The agent of an older sdbuild, or one that is stopped, does not.
    pub fn is_kept(&self) -> bool {
        self.age.is_some_and(|age| age < ABANDONED_AGE)
    }

    /// Whether it is a handler for programs of `architecture`, and the kernel uses it.
    pub fn runs(&self, architecture: Architecture) -> bool {
        let magic = Registration::of(architecture).magic();
        self.enabled && self.magic.get(ELF_MACHINE) == magic.get(ELF_MACHINE)
    }

    /// Whether it is what `registration` registers, but for the flags: another version of sdbuild may use others.
    fn is(&self, registration: &Registration) -> bool {
        self.interpreter == registration.interpreter()
            && self.offset == 0
            && self.magic == registration.magic()
            && self.mask == registration.mask()
    }
}

/// The owner of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Registered by sdbuild, under this name.
    Ours(HandlerName),
    /// Registered by something else, and never written to.
    Foreign,
}

/// Parses the text of the entry `name`. Unknown lines are ignored.
pub fn parse(name: &str, text: &str) -> Entry {
    let mut entry = Entry {
        name: name.to_owned(),
        ..Entry::default()
    };
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "enabled" => entry.enabled = true,
            "interpreter" => value.clone_into(&mut entry.interpreter),
            "flags:" => value.trim().clone_into(&mut entry.flags),
            "offset" => entry.offset = value.trim().parse().unwrap_or(u64::MAX),
            "magic" => value.clone_into(&mut entry.magic),
            "mask" => value.clone_into(&mut entry.mask),
            _ => {}
        }
    }
    entry
}

/// The owner of `entry`: sdbuild only if both the name and the content are as sdbuild registers them.
pub fn classify(entry: &Entry) -> Owner {
    match HandlerName::parse(&entry.name) {
        Some(name) if entry.is(name.registration()) => Owner::Ours(name),
        Some(_) | None => Owner::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: &str = "enabled\ninterpreter /sdbuild/qemu-aarch64\nflags: PF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\n\
        mask ffffffffffffff00fffffffffffffffffeffffff\n";
    const NAME: &str = "sdbuild-aarch64-0123456789ab";

    #[test]
    fn recognizes_our_entry() {
        let entry = parse(NAME, OURS);
        assert!(entry.enabled);
        assert_eq!(
            classify(&entry),
            Owner::Ours(HandlerName::parse(NAME).unwrap())
        );
        assert_eq!(
            classify(&parse(NAME, &OURS.replace("enabled", "disabled"))),
            classify(&entry)
        );
    }

    #[test]
    fn name_or_content_alone_is_not_enough() {
        assert_eq!(classify(&parse("qemu-aarch64", OURS)), Owner::Foreign);
        for (from, to) in [
            ("/sdbuild/qemu-aarch64", "/usr/bin/qemu-aarch64-static"),
            ("offset 0", "offset 4"),
            ("0200b700", "0200f300"),
            ("mask ff", "mask 00"),
        ] {
            assert_eq!(
                classify(&parse(NAME, &OURS.replace(from, to))),
                Owner::Foreign,
                "{to}"
            );
        }
    }

    #[test]
    fn an_entry_is_ours_for_the_architecture_of_its_name() {
        let pc = OURS
            .replace("qemu-aarch64", "qemu-x86_64")
            .replace("0200b700", "02003e00")
            .replace("ffffffffffffff00", "fffffffffffefe00");
        let name = NAME.replace("aarch64", "x86_64");
        let owner = |name: &str, text: &str| classify(&parse(name, text));
        let ours = HandlerName::parse(&name).unwrap();
        assert_eq!(owner(&name, &pc), Owner::Ours(ours));
        assert_eq!(owner(NAME, &pc), Owner::Foreign);
        assert_eq!(owner(&name, OURS), Owner::Foreign);
        let entry = parse(&name, &pc);
        assert!(entry.runs(Architecture::X86_64) && !entry.runs(Architecture::Aarch64));
    }

    #[test]
    fn parses_an_entry_by_extension() {
        let entry = parse(
            "jar",
            "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n",
        );
        assert_eq!((entry.flags.as_str(), entry.magic.as_str()), ("", ""));
        assert_eq!(classify(&entry), Owner::Foreign);
    }

    #[test]
    fn a_recently_touched_entry_is_kept() {
        let aged = |age| Entry {
            age,
            ..parse(NAME, OURS)
        };
        assert!(aged(Some(0)).is_kept() && aged(Some(59)).is_kept());
        assert!(!aged(Some(60)).is_kept() && !aged(None).is_kept());
    }

    proptest! {
        #[test]
        fn parses_any_text(name in ".{0,40}", text in "(.|\n){0,200}") {
            prop_assert_eq!(classify(&parse(&name, &text)), Owner::Foreign);
        }
    }
}
