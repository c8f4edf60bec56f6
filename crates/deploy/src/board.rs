//! What a machine is like before it is changed.

use std::collections::BTreeMap;
use std::fmt;

use crate::script::facts;
use crate::store_path::StorePath;
use sdbuild_core::failure::Failure;

/// Paths of a system at most: ten times as many as a large one has.
const MAX_PATHS: usize = 100_000;

/// A way to become root without a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The account is root.
    IsRoot,
    /// `sudo`.
    Sudo,
    /// `doas`.
    Doas,
    /// systemd's `run0`.
    Run0,
}

/// How programs run as root.
#[derive(Clone, PartialEq, Eq)]
pub enum Elevation {
    /// Without a password.
    By(Way),
    /// By `sudo`, which reads this password.
    Password(String),
}

impl Elevation {
    /// The words before a command; the same in every login shell, whatever it looks for programs in.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::By(Way::IsRoot) => "",
            Self::By(Way::Sudo) => "/run/wrappers/bin/sudo -n ",
            Self::By(Way::Doas) => "/run/wrappers/bin/doas -n ",
            Self::By(Way::Run0) => "/run/current-system/sw/bin/run0 --no-ask-password ",
            // Always asks: what it does not read would be the program's input.
            Self::Password(_) => "/run/wrappers/bin/sudo -k -S -p '' ",
        }
    }

    /// What the input begins with.
    pub(crate) fn input(&self) -> String {
        match self {
            Self::By(_) => String::new(),
            Self::Password(password) => format!("{password}\n"),
        }
    }
}

impl fmt::Debug for Elevation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// A machine that runs NixOS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The machine of `uname`, such as `aarch64`.
    pub machine: String,
    /// Identifies the time since its start.
    pub boot_id: String,
    /// The system that runs.
    pub running: StorePath,
    /// The system that starts next.
    pub next: Option<StorePath>,
    /// Its number among the generations: several can have the same system.
    pub generation: Option<u32>,
    /// The system with which it was started.
    pub started: Option<StorePath>,
    /// Kernel, initial RAM disk and modules with which it was started, as far as its system names them.
    pub booted: BTreeMap<String, StorePath>,
    /// Free bytes of the store's file system.
    pub free: Option<u64>,
    /// How to become root without a password.
    pub way: Option<Way>,
    /// Whether `sudo` can be asked with a password.
    pub asks_password: bool,
    /// The paths of the system that runs, with their bytes.
    pub has: BTreeMap<StorePath, u64>,
}

impl Board {
    /// Reads what `look.sh` said of `host`. A usage error if no system can be deployed there.
    pub(crate) fn parse(said: &str, host: &str) -> Result<Self, Failure> {
        let Said {
            one,
            has,
            booted,
            way,
        } = Said::of(said);
        let is = |key: &str| one.contains_key(key);
        if !is("nixos") {
            let has = if is("nix") {
                ": its own system has Nix, and sdbuild changes whole systems of NixOS only"
            } else {
                ""
            };
            let text = format!("{host} does not run NixOS{has}");
            return Err(Failure::usage(text).hint("write an image of the configuration to its card first: sdbuild build, then sdbuild flash"));
        }
        if !is("switches") {
            let text = format!(
                "the system on {host} cannot change itself: it has no switch-to-configuration"
            );
            return Err(Failure::usage(text)
                .hint("leave system.switch.enable at its default, and write the card again"));
        }
        if !is("nix") {
            let text = format!("the system on {host} has no Nix, which keeps and changes systems");
            return Err(Failure::usage(text)
                .hint("leave nix.enable at its default, and write the card again"));
        }
        let text = |key: &str| {
            let value = one.get(key).map(|value| plain(value));
            value.ok_or_else(|| Failure::environment(format!("{host} does not say its {key}")))
        };
        let running = text("running")?;
        let running = running.parse().map_err(|_| {
            Failure::environment(format!(
                "the system that runs on {host} is not one of the Nix store: {running}"
            ))
        })?;
        Ok(Self {
            machine: text("machine")?,
            boot_id: text("boot-id")?,
            running,
            next: one.get("next").and_then(|path| path.parse().ok()),
            generation: one.get("generation").and_then(|link| number_of(link)),
            started: one.get("booted").and_then(|path| path.parse().ok()),
            booted,
            free: one.get("free").and_then(|bytes| bytes.parse().ok()),
            way: if one.get("user") == Some(&"0") {
                Some(Way::IsRoot)
            } else {
                way
            },
            asks_password: is("asks-password"),
            has,
        })
    }
}

/// The number in `system-12-link`.
fn number_of(link: &str) -> Option<u32> {
    let number = link.strip_prefix("system-")?.strip_suffix("-link")?;
    number.parse().ok()
}

/// The lines of `look.sh`, by their keys.
struct Said<'a> {
    /// The first value of each key that is there once.
    one: BTreeMap<&'a str, &'a str>,
    has: BTreeMap<StorePath, u64>,
    booted: BTreeMap<String, StorePath>,
    /// The first way to become root that sdbuild knows.
    way: Option<Way>,
}

impl<'a> Said<'a> {
    fn of(said: &'a str) -> Self {
        let (mut one, mut booted) = (BTreeMap::new(), BTreeMap::new());
        let (mut paths, mut sizes, mut way) = (Vec::new(), Vec::new(), None);
        for (key, value) in facts(said) {
            match (key, key.strip_prefix("booted-")) {
                (_, Some(name)) => {
                    booted.extend(store_path_of(value).map(|path| (name.to_owned(), path)));
                }
                ("has", _) if paths.len() < MAX_PATHS => paths.push(value),
                ("size", _) if sizes.len() < MAX_PATHS => sizes.push(value),
                ("becomes-root", _) => way = way.or_else(|| way_named(value)),
                _ => {
                    one.entry(key).or_insert(value);
                }
            }
        }
        let pairs = paths.iter().zip(sizes);
        let has = pairs.filter_map(|(path, size)| Some((path.parse().ok()?, size.parse().ok()?)));
        Self {
            one,
            has: has.collect(),
            booted,
            way,
        }
    }
}

/// The path of the store that `text`, a path in it, begins with.
pub(crate) fn store_path_of(text: &str) -> Result<StorePath, crate::store_path::NotAStorePath> {
    let mut parts = text.splitn(5, '/');
    let (Some(""), Some("nix"), Some("store"), Some(name)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return text.parse();
    };
    format!("/nix/store/{name}").parse()
}

/// Characters of a value that is shown.
const MAX_SHOWN: usize = 256;

/// `text` as far as it can be shown.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(MAX_SHOWN).collect()
}

fn way_named(name: &str) -> Option<Way> {
    [
        ("sudo", Way::Sudo),
        ("doas", Way::Doas),
        ("run0", Way::Run0),
    ]
    .into_iter()
    .find_map(|(word, way)| (word == name).then_some(way))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::fixture::path;

    fn said(lines: &[&str]) -> String {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("sdbuild: {line}\n"))
            .collect();
        lines.concat()
    }

    fn lines(system: &StorePath) -> Vec<String> {
        let fixed = [
            "nixos",
            "nix",
            "switches",
            "user 1000",
            "machine aarch64",
            "boot-id 1-2",
        ];
        let fixed = fixed.into_iter().map(str::to_owned);
        fixed
            .chain([format!("running {system}"), format!("next {system}")])
            .collect()
    }

    #[test]
    fn a_machine_is_read() {
        let (system, kernel) = (path('1', "nixos-system-kitchen"), path('2', "linux-6.12"));
        let mut lines = lines(&system);
        lines.extend([
            format!("booted-kernel {kernel}/Image"),
            "free 4096".to_owned(),
            "becomes-root doas".to_owned(),
            "becomes-root run0".to_owned(),
            "asks-password".to_owned(),
            format!("has {system}"),
            "has nonsense".to_owned(),
            "size 10".to_owned(),
            "size 20".to_owned(),
            "machine other".to_owned(),
        ]);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let board = Board::parse(&said(&lines), "pi").unwrap();
        assert_eq!(
            (board.machine.as_str(), board.free),
            ("aarch64", Some(4096))
        );
        assert_eq!(board.booted["kernel"], kernel);
        assert_eq!((board.way, board.asks_password), (Some(Way::Doas), true));
        assert_eq!(board.has, BTreeMap::from([(system, 10)]));
    }

    #[test]
    fn what_cannot_be_changed_is_refused() {
        let system = path('1', "nixos-system-kitchen");
        for (missing, why) in [
            ("nixos", "its own system has Nix"),
            ("ni", "does not run NixOS"),
            ("nix", "has no Nix"),
            ("switches", "cannot change itself"),
            ("running", "does not say its running"),
        ] {
            let lines = lines(&system);
            let others = lines.iter().map(String::as_str);
            let others: Vec<_> = others
                .filter(|line| !line.starts_with(missing) || missing == "nix" && *line != missing)
                .collect();
            let refused = Board::parse(&said(&others), "pi").unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let elevation = Elevation::Password("secret".to_owned());
        assert_eq!(elevation.input(), "secret\n");
        assert!(!format!("{elevation:?}{}", elevation.words()).contains("secret"));
    }
}
