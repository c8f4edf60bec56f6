//! The closure of a system that was built.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::net::IpAddr;
use std::str::Lines;

use crate::board::store_path_of;
use crate::firmware::Firmware;
use crate::store_path::StorePath;
use sdbuild_core::failure::Failure;

/// Paths of a system, and references of a path, at most: ten times as many as a large system has.
const MAX_PATHS: usize = 100_000;
/// Bytes of an archive at most.
const MAX_ARCHIVE_BYTES: u64 = 1 << 40;
/// Hexadecimal digits of SHA-256.
const HASH_DIGITS: usize = 64;
/// The line before the registrations.
const REGISTRATIONS: &str = "registrations";

/// What a store registers about a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its archive, in hexadecimal.
    pub nar_hash: String,
    /// Bytes of its archive (NAR), at least one.
    pub nar_size: u64,
    /// The derivation that made it, if that is known.
    pub deriver: Option<StorePath>,
    /// What it refers to, which may be itself.
    pub references: Vec<StorePath>,
}

/// All paths of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    /// The system.
    pub system: StorePath,
    /// References before what refers to them; also those of the firmware, which are no part of the system.
    paths: Vec<PathInfo>,
    /// What the image has in its firmware partition, if that is known.
    pub firmware: Option<Firmware>,
    /// Kernel, initial RAM disk and modules, as far as the system names them.
    pub boot: BTreeMap<String, StorePath>,
    /// The static addresses of the machine.
    pub addresses: Vec<String>,
    /// The machines (of ELF) of the programs that activate it.
    activation: BTreeSet<u16>,
}

/// What a description begins with.
#[derive(Default)]
struct Head {
    system: Option<StorePath>,
    firmware: Option<Firmware>,
    boot: BTreeMap<String, StorePath>,
    addresses: Vec<String>,
    activation: BTreeSet<u16>,
}

impl Head {
    fn read(lines: &mut Lines<'_>) -> Result<Self, String> {
        let mut head = Self::default();
        loop {
            let line = lines.next().ok_or("it has no registrations")?;
            match line.split_once(' ') {
                None if line == REGISTRATIONS => return Ok(head),
                Some((key, value)) => head.note(key, value)?,
                None => return Err(format!("the line {line:?}")),
            }
        }
    }

    fn note(&mut self, key: &str, value: &str) -> Result<(), String> {
        match (key, &mut self.firmware) {
            ("system", _) => self.system = Some(path_in(value)?),
            ("firmware", None) => self.firmware = Some(Firmware::new(path_in(value)?)),
            ("size" | "hash", Some(firmware)) => firmware.note(key, value)?,
            ("kernel" | "initrd" | "kernel-modules", _) => {
                self.boot.insert(key.to_owned(), path_in(value)?);
            }
            ("address", _) => {
                let address: Result<IpAddr, _> = value.parse();
                let address = address.map_err(|_| format!("the address {value:?}"))?;
                self.addresses.push(address.to_string());
            }
            ("activation", _) => {
                let machine = value.parse();
                let machine = machine.map_err(|_| format!("the machine {value:?}"))?;
                self.activation.insert(machine);
            }
            _ => return Err(format!("the line {:?}", format!("{key} {value}"))),
        }
        Ok(())
    }
}

impl Closure {
    /// Reads the description of a closure that `containers/builder/export-closure` writes.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        Self::read(text).map_err(|why| {
            let text = format!("the description of the system is damaged: {why}");
            Failure::environment(text)
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let head = Head::read(&mut lines)?;
        let mut paths = Vec::new();
        let mut known = BTreeSet::new();
        while let Some(first) = lines.next() {
            let info = registration(first, &mut lines)?;
            let is_known = |other: &&StorePath| **other == info.path || known.contains(*other);
            if let Some(other) = info.references.iter().find(|other| !is_known(other)) {
                return Err(format!(
                    "{} refers to {other}, which is not before it",
                    info.path
                ));
            }
            known.insert(info.path.clone());
            paths.push(info);
            if paths.len() > MAX_PATHS {
                return Err("it does not end".to_owned());
            }
        }
        let system = head.system.ok_or("it names no system")?;
        let firmware = head.firmware.as_ref().map(|firmware| &firmware.dir);
        let mut tops = iter::once(&system).chain(firmware);
        if let Some(path) = tops.find(|path| !known.contains(*path)) {
            return Err(format!("it lacks {path}"));
        }
        Ok(Self {
            system,
            paths,
            firmware: head.firmware.filter(|firmware| !firmware.is_empty()),
            boot: head.boot,
            addresses: head.addresses,
            activation: head.activation,
        })
    }

    /// Refuses a system that the machine `uname` cannot activate. `host` is what the user calls it.
    pub fn check_machine(&self, uname: &str, host: &str) -> Result<(), Failure> {
        let Some(own) = elf_machine(uname) else {
            let text = format!("{host} is a machine that sdbuild does not know: {uname}");
            return Err(Failure::usage(text));
        };
        let Some(other) = self.activation.iter().find(|other| **other != own) else {
            return Ok(());
        };
        let names = MACHINES.iter().find(|(_, number)| number == other);
        let name = names.map_or("another machine", |(name, _)| *name);
        let text = format!(
            "the system has programs for {name} that activate it, and {host} is {uname}: nothing was copied"
        );
        Err(Failure::usage(text).hint("build the system for the machine's architecture (--system, or nixpkgs.hostPlatform); a boot loader or activation script of a cross-built system may have a shell of the machine that built it"))
    }

    /// What a machine needs: the paths of the system, and of the firmware if it gets that.
    pub(crate) fn needed(&self, firmware: bool) -> Vec<&PathInfo> {
        let dir = self.firmware.as_ref().filter(|_| firmware);
        let tops = iter::once(&self.system).chain(dir.map(|firmware| &firmware.dir));
        let mut needed: BTreeSet<_> = tops.collect();
        for info in self.paths.iter().rev() {
            if needed.contains(&info.path) {
                needed.extend(&info.references);
            }
        }
        let paths = self.paths.iter();
        paths.filter(|info| needed.contains(&info.path)).collect()
    }

    /// The paths of the system with their bytes.
    pub fn sizes(&self) -> BTreeMap<StorePath, u64> {
        let sizes = self.needed(false).into_iter();
        sizes
            .map(|info| (info.path.clone(), info.nar_size))
            .collect()
    }
}

/// Names of `uname`, and numbers of ELF.
const MACHINES: [(&str, u16); 5] = [
    ("aarch64", 183),
    ("x86_64", 62),
    ("armv7l", 40),
    ("armv6l", 40),
    ("riscv64", 243),
];

fn elf_machine(uname: &str) -> Option<u16> {
    let mut all = MACHINES.iter();
    all.find_map(|(name, number)| (*name == uname).then_some(*number))
}

fn path_in(text: &str) -> Result<StorePath, String> {
    store_path_of(text).map_err(|error| format!("{text:?} {error}"))
}

/// The registration that begins with the line `first`, as `nix-store --dump-db` writes it: path, hash, size, deriver, number of
/// references, references.
fn registration(first: &str, lines: &mut Lines<'_>) -> Result<PathInfo, String> {
    let path = path_in(first)?;
    let mut next = || lines.next().ok_or_else(|| format!("{path} is cut off"));
    let (hash, size, deriver, count) = (next()?, next()?, next()?, next()?);
    let count: usize = count
        .parse()
        .map_err(|_| format!("{path} has {count:?} references"))?;
    if count > MAX_PATHS {
        return Err(format!("{path} has {count} references"));
    }
    let references: Result<Vec<_>, String> = (0..count).map(|_| path_in(next()?)).collect();
    let references = references?;
    let is_hash = hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = size
        .parse()
        .ok()
        .filter(|size| (1..=MAX_ARCHIVE_BYTES).contains(size));
    Ok(PathInfo {
        nar_hash: Some(hash.to_owned())
            .filter(|_| is_hash)
            .ok_or_else(|| format!("{path} has no hash"))?,
        nar_size: size.ok_or_else(|| format!("{path} has no size"))?,
        deriver: deriver.parse().ok(),
        references,
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::fixture::path;

    fn text(head: &str, entries: &[(&StorePath, &str, &[&StorePath])]) -> String {
        let hash = "a".repeat(HASH_DIGITS);
        let entry = |(path, size, references): &(&StorePath, &str, &[&StorePath])| {
            let lines: Vec<String> = references.iter().map(|path| format!("{path}\n")).collect();
            let lines = lines.concat();
            format!("{path}\n{hash}\n{size}\n\n{}\n{lines}", references.len())
        };
        let entries: String = entries.iter().map(entry).collect();
        format!("{head}registrations\n{entries}")
    }

    #[test]
    fn a_closure_is_read_and_damage_is_named() {
        let (system, libc, kernel) = (
            path('1', "nixos-system-pi"),
            path('2', "glibc-2.40"),
            path('3', "linux-6.12"),
        );
        let firmware = path('4', "firmware");
        let head = format!(
            "system {system}\nkernel {kernel}/Image\naddress 192.168.1.5\nactivation 183\n"
        );
        let both = text(&head, &[(&libc, "5", &[&libc]), (&system, "7", &[&libc])]);
        let closure = Closure::parse(&both).unwrap();
        assert_eq!(
            closure.sizes(),
            BTreeMap::from([(libc.clone(), 5), (system.clone(), 7)])
        );
        assert_eq!(closure.boot["kernel"], kernel);
        assert_eq!(closure.addresses, ["192.168.1.5"]);
        closure.check_machine("aarch64", "pi").unwrap();
        let refused = closure
            .check_machine("x86_64", "pi")
            .unwrap_err()
            .to_string();
        assert!(refused.contains("programs for aarch64"), "{refused}");
        closure.check_machine("mips", "pi").unwrap_err();
        let more = format!("{head}firmware {firmware}\nsize 4 config.txt\n");
        let entries: [(_, _, &[&StorePath]); 3] = [
            (&libc, "5", &[]),
            (&firmware, "9", &[]),
            (&system, "7", &[&libc]),
        ];
        let with = Closure::parse(&text(&more, &entries)).unwrap();
        assert_eq!(
            (with.needed(true).len(), with.sizes()),
            (3, closure.sizes())
        );
        for (damaged, why) in [
            (text(&more, &[(&system, "7", &[])]), "lacks"),
            (text("", &[(&system, "7", &[])]), "names no system"),
            (text("size 4 x\n", &[]), "the line"),
            (text(&head, &[(&libc, "5", &[])]), "lacks"),
            (text(&head, &[(&system, "7", &[&libc])]), "not before it"),
            (text(&head, &[(&system, "0", &[])]), "has no size"),
            (text("x\n", &[(&system, "7", &[])]), "the line"),
            (text("address -x\n", &[(&system, "7", &[])]), "the address"),
            (both.replace(&"a".repeat(64), "b"), "has no hash"),
            (
                both.trim_end().rsplit_once('\n').unwrap().0.to_owned(),
                "cut off",
            ),
            (String::new(), "no registrations"),
        ] {
            let refused = Closure::parse(&damaged).unwrap_err().to_string();
            assert!(refused.contains(why), "{why}: {refused}");
        }
    }
}
