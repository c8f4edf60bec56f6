//! The registration of the handler, which follows from the architecture of the programs that it emulates, and the entries
//! that the kernel lists. Pure; the kernel's text is untrusted.

use std::fmt;
use std::ops::Range;

use sdbuild_core::system::Architecture;

use crate::{EngineAddress, RunId};

pub const TABLE_DIR: &str = "/proc/sys/fs/binfmt_misc";
/// What the names of sdbuild's entries begin with; entries with another name are never written to.
const PREFIX: &str = "sdbuild-";
/// `P`: programs see the name that they were called by, which nixpkgs' wrappers need. `F`: the interpreter is opened now.
/// Not `C`, which would let set-user-id programs of any container run as root. Not `O`, which nothing needs.
pub(crate) const FLAGS: &str = "PF";

/// The bytes at the beginning of a program that a handler looks at.
const HEADER: usize = 20;

/// How a handler recognises the programs of one architecture. Masks are those of QEMU's `scripts/qemu-binfmt-conf.sh`.
/// Both ignore the ABI (byte 7), and match executables and position-independent ones (byte 16: 2 and 3).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    architecture: Architecture,
    /// Its number in ELF files, `e_machine`.
    machine: u8,
    mask: [u8; HEADER],
}

const AARCH64: Registration = Registration {
    architecture: Architecture::Aarch64,
    machine: 0xb7,
    mask: [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xfe, 0xff, 0xff, 0xff,
    ],
};
/// Programs of 32 bits, `i386` and x32, have another class (byte 4). Byte order and version (bytes 5 and 6) may be 0: a PC's
/// kernel does not look at them.
const X86_64: Registration = Registration {
    architecture: Architecture::X86_64,
    machine: 0x3e,
    mask: [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xfe, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xfe, 0xff, 0xff, 0xff,
    ],
};

impl Registration {
    /// The registration of a handler for programs of `architecture`.
    pub(crate) fn of(architecture: Architecture) -> &'static Self {
        match architecture {
            Architecture::Aarch64 => &AARCH64,
            Architecture::X86_64 => &X86_64,
        }
    }

    /// The interpreter inside the registrar's container image. The kernel opens it at registration (flag `F`), so other
    /// containers do not need it.
    pub(crate) fn interpreter(&self) -> String {
        format!("/sdbuild/{}", self.architecture.qemu_user())
    }

    /// The first bytes of a 64-bit little-endian ELF file for the architecture.
    fn header(&self) -> [u8; HEADER] {
        let machine = self.machine;
        [
            0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, machine, 0,
        ]
    }

    pub(crate) fn magic(&self) -> String {
        hex::encode(self.header())
    }

    pub(crate) fn mask(&self) -> String {
        hex::encode(self.mask)
    }

    /// The environment of the agent: the registration without its name, its parts as the kernel prints them, and the
    /// architecture as the kernel calls it.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            (
                "SDBUILD_ARCHITECTURE",
                self.architecture.kernel_name().to_owned(),
            ),
            ("SDBUILD_INTERPRETER", self.interpreter()),
            ("SDBUILD_MAGIC", self.magic()),
            ("SDBUILD_MASK", self.mask()),
        ];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
        [self.line()].into_iter().chain(pairs).collect()
    }

    /// The registration without its name, as an environment variable.
    pub(crate) fn line(&self) -> (String, String) {
        ("SDBUILD_REGISTRATION".to_owned(), self.text())
    }

    /// `M::magic:mask:interpreter:flags`, the bytes written as `\xHH` for the kernel to read.
    fn text(&self) -> String {
        let escaped = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(String::new(), |text, b| format!("{text}\\x{b:02x}"))
        };
        format!(
            "M::{}:{}:{}:{FLAGS}",
            escaped(&self.header()),
            escaped(&self.mask),
            self.interpreter()
        )
    }
}

/// The name of a run's entry: `sdbuild-`, the architecture whose programs it runs, and the run's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerName {
    architecture: Architecture,
    run: RunId,
}

impl HandlerName {
    /// The name of the entry of `run` for programs of `architecture`.
    pub fn new(architecture: Architecture, run: &RunId) -> Self {
        let run = run.clone();
        Self { architecture, run }
    }

    /// Parses a name of this form; `None` for any other.
    pub fn parse(name: &str) -> Option<Self> {
        let (architecture, run) = name.strip_prefix(PREFIX)?.split_once('-')?;
        Some(Self {
            architecture: Architecture::by_kernel_name(architecture)?,
            run: run.parse().ok()?,
        })
    }

    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// What an entry of this name registers.
    pub(crate) fn registration(&self) -> &'static Registration {
        Registration::of(self.architecture)
    }

    /// The command that removes the entry from the table of the engine at `address`.
    pub fn remedy(&self, address: &EngineAddress) -> String {
        address.as_root(&format!("sh -c 'echo -1 > {TABLE_DIR}/{self}'"))
    }
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { architecture, run } = self;
        write!(f, "{PREFIX}{}-{run}", architecture.kernel_name())
    }
}

/// Age in seconds from which an entry counts as abandoned: its agent touches it every five seconds, and a busy host may be
/// ten times as slow.
const ABANDONED_AGE: u64 = 60;
/// Digits 36 to 39 of a magic in hexadecimal are the machine's number in an ELF header (`e_machine`, little-endian).
const ELF_MACHINE: Range<usize> = 36..40;

/// One entry of the table, as the kernel prints it; fields that it does not print are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// Whether the handler is enabled in the kernel.
    pub enabled: bool,
    /// The program that runs what matches.
    pub interpreter: String,
    pub flags: String,
    pub offset: u64,
    /// Magic bytes as hex digits; empty for an entry by file name extension.
    pub magic: String,
    pub mask: String,
    /// Seconds since its agent last touched it, if known.
    pub age: Option<u64>,
}

impl Entry {
    fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self {
            name,
            ..Self::default()
        }
    }

    /// Adds what the kernel prints in `line`. Unknown lines are ignored.
    fn add(&mut self, line: &str) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "enabled" => self.enabled = true,
            "interpreter" => value.clone_into(&mut self.interpreter),
            "flags:" => value.trim().clone_into(&mut self.flags),
            "offset" => self.offset = value.trim().parse().unwrap_or(u64::MAX),
            "magic" => value.clone_into(&mut self.magic),
            "mask" => value.clone_into(&mut self.mask),
            _ => {}
        }
    }

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Registered by sdbuild, under this name.
    Ours(HandlerName),
    /// Registered by something else, and never written to.
    Foreign,
}

/// Parses the text of the entry `name`.
pub fn parse(name: &str, text: &str) -> Entry {
    let mut entry = Entry::named(name);
    text.lines().for_each(|line| entry.add(line));
    entry
}

/// The owner of `entry`: sdbuild only if both the name and the content are as sdbuild registers them.
pub fn classify(entry: &Entry) -> Owner {
    match HandlerName::parse(&entry.name) {
        Some(name) if entry.is(name.registration()) => Owner::Ours(name),
        Some(_) | None => Owner::Foreign,
    }
}

#[derive(Debug, Default)]
pub(super) struct EntryList(Vec<Entry>);

impl EntryList {
    /// Adds a line of the agent's; those that belong to no list are ignored.
    pub(super) fn push(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("entry ") {
            // A list that was requested twice: the later one counts.
            self.0.retain(|entry| entry.name != name);
            self.0.push(Entry::named(name));
        } else if let Some(entry) = self.0.last_mut() {
            if let Some(line) = line.strip_prefix("| ") {
                entry.add(line);
            } else if let Some(age) = line.strip_prefix("age ") {
                entry.age = age.parse().ok();
            }
        }
    }

    pub(super) fn entries(self) -> Vec<Entry> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether a handler for programs of `architecture` runs a file that begins with `header`.
    fn runs(architecture: Architecture, header: [u8; HEADER]) -> bool {
        let registration = Registration::of(architecture);
        let wanted = registration.header().into_iter().zip(registration.mask);
        wanted
            .zip(header)
            .all(|((byte, mask), found)| (byte ^ found) & mask == 0)
    }

    #[test]
    fn magic_and_mask_are_as_the_kernel_prints_them() {
        let arm = Registration::of(Architecture::Aarch64);
        assert_eq!(arm.magic(), "7f454c460201010000000000000000000200b700");
        assert_eq!(arm.mask(), "ffffffffffffff00fffffffffffffffffeffffff");
        let pc = Registration::of(Architecture::X86_64);
        assert_eq!(pc.magic(), "7f454c4602010100000000000000000002003e00");
        assert_eq!(pc.mask(), "fffffffffffefe00fffffffffffffffffeffffff");
    }

    #[test]
    fn each_handler_runs_programs_of_its_architecture_only() {
        for architecture in Architecture::ALL {
            let own = Registration::of(architecture).header();
            let other = Registration::of(architecture.emulates()).header();
            assert!(runs(architecture, own) && !runs(architecture, other));
            let changed = |byte: usize, value: u8| {
                let mut header = own;
                header[byte] = value;
                runs(architecture, header)
            };
            assert!(changed(16, 3), "a position-independent program");
            assert!(changed(7, 3), "one with the ABI of Linux");
            assert!(!changed(4, 1), "one of 32 bits");
            assert!(!changed(18, 3), "one for i386");
            assert!(!changed(16, 1) && !changed(0, 0), "no program");
        }
    }

    #[test]
    fn the_registration_fits_into_one_write() {
        for architecture in Architecture::ALL {
            let text = Registration::of(architecture).text();
            let name = HandlerName::new(architecture, &"0123456789ab".parse().unwrap());
            let line = format!(":{name}:{text}");
            assert!(line.len() < 1920, "the kernel's limit for one write");
            assert_eq!(line.matches(':').count(), 7);
            let interpreter = format!("/sdbuild/qemu-{}:PF", architecture.kernel_name());
            assert!(line.ends_with(&interpreter), "{line}");
            assert!(text.starts_with(r"M::\x7f\x45\x4c\x46\x02"));
        }
    }

    #[test]
    fn parses_only_our_names() {
        for architecture in Architecture::ALL {
            let name = format!("sdbuild-{}-0123456789ab", architecture.kernel_name());
            let name = HandlerName::parse(&name).unwrap();
            assert_eq!(name.run().as_str(), "0123456789ab");
            assert_eq!(name.registration(), Registration::of(architecture));
        }
        for other in [
            "qemu-aarch64",
            "sdbuild-aarch64-",
            "sdbuild-aarch64-0123456789aB",
            "sdbuild-x86-0123456789ab",
            "sdbuild-amd64-0123456789ab",
            "sdbuild-0123456789ab",
            "sdbuild",
        ] {
            assert_eq!(HandlerName::parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn names_round_trip(id in "[0-9a-f]{12}", architecture in prop::sample::select(&Architecture::ALL[..])) {
            let name = HandlerName::new(architecture, &id.parse().unwrap());
            prop_assert_eq!(HandlerName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn parsed_names_print_as_they_were(text in ".{0,40}") {
            if let Some(name) = HandlerName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

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

    #[test]
    fn a_later_list_replaces_an_earlier_one() {
        let mut list = EntryList::default();
        for line in [
            "age 9",
            "entry a",
            "age 7",
            "| enabled",
            "entry b",
            "| enabled",
            "entry a",
            "age 3",
            "| disabled",
            "nonsense",
            "entry c",
            "age -1",
        ] {
            list.push(line);
        }
        let entries = list.entries();
        let seen: Vec<_> = entries
            .iter()
            .map(|e| (e.name.as_str(), e.age, e.enabled))
            .collect();
        assert_eq!(
            seen,
            [("b", None, true), ("a", Some(3), false), ("c", None, false)]
        );
    }
}
