//! Types of values that a setting can have, and how each is read from a flag, a variable or a settings file.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::DEFAULT_RELEASE;
use super::STORE;
use sdbuild_build::build_mode::{EmulationChoice, Glue};
use sdbuild_core::absolute_path::{absolute, below_home};
use sdbuild_core::compression::CompressionOptions;
use sdbuild_core::machine_source::BuildOn;
use sdbuild_core::system::System;
use sdbuild_image::board::BoardName;
use sdbuild_image::image_format::Format;
use sdbuild_nix::flake_ref::FlakeRef;

/// What paths in settings begin at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<'a> {
    /// The settings file's directory, or the current directory for flags and variables.
    pub(super) dir: &'a Path,
    /// The user's home directory, which `~/` stands for.
    pub(super) home: Option<&'a Path>,
}

impl Base<'_> {
    fn locate(&self, path: &Path) -> PathBuf {
        absolute(&below_home(path, self.home), self.dir)
    }
}

/// A value of a setting. `FromStr` reads it from a flag or a variable, serde from a settings file.
pub(super) trait Value: Clone + Serialize + FromStr<Err: fmt::Display> {
    /// The value of a variable with this text, or what is wrong with it.
    fn from_variable(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: Self::Err| error.to_string())
    }

    /// The value with relative paths, and those below `~`, made absolute.
    fn relative_to(self, _base: Base<'_>) -> Self {
        self
    }

    /// The value as `sdbuild settings` shows it.
    fn as_json(&self) -> serde_json::Value {
        json!(self)
    }
}

impl Value for bool {
    fn from_variable(text: &str) -> Result<Self, String> {
        // As other programs have it.
        match text.to_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(format!("`{text}` is neither true nor false")),
        }
    }
}
impl Value for String {}
impl Value for System {}
impl Value for BoardName {}
impl Value for EmulationChoice {}
impl Value for Glue {}
impl Value for CompressionOptions {}
impl Value for Format {}

impl Value for FlakeRef {
    fn relative_to(self, base: Base<'_>) -> Self {
        self.located_by(|path| base.locate(path))
    }
}

impl Value for BuildOn {
    fn relative_to(self, base: Base<'_>) -> Self {
        match self {
            Self::Engine => Self::Engine,
            Self::Rented(source) => Self::Rented(source.relative_to(base.dir)),
        }
    }
}

impl Value for PathBuf {
    fn relative_to(self, base: Base<'_>) -> Self {
        base.locate(&self)
    }

    fn as_json(&self) -> serde_json::Value {
        json!(self.to_string_lossy())
    }
}

/// A number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Number<const MIN: u32, const MAX: u32 = { u32::MAX }>(u32);

impl<const MIN: u32, const MAX: u32> Number<MIN, MAX> {
    /// A number that is known when sdbuild is compiled.
    pub(super) const fn known(number: u32) -> Self {
        assert!(MIN <= number && number <= MAX, "out of range");
        Self(number)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<i64> for Number<MIN, MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match u32::try_from(number) {
            Ok(inside) if (MIN..=MAX).contains(&inside) => Ok(Self(inside)),
            Ok(_) | Err(_) => Err(format!("`{number}` is not between {MIN} and {MAX}")),
        }
    }
}

impl<const MIN: u32, const MAX: u32> FromStr for Number<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: i64 = text
            .parse()
            .map_err(|_| format!("`{text}` is not a number"))?;
        number.try_into()
    }
}

impl<const MIN: u32, const MAX: u32> Value for Number<MIN, MAX> {}

/// A list, separated by spaces in a flag or a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WordList(pub Vec<String>);

impl FromStr for WordList {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.split_whitespace().map(str::to_owned).collect()))
    }
}

impl Value for WordList {}

/// A nixpkgs: a directory, a URL or a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NixpkgsSource(pub String);

impl Default for NixpkgsSource {
    fn default() -> Self {
        Self(DEFAULT_RELEASE.to_owned())
    }
}

impl FromStr for NixpkgsSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Value for NixpkgsSource {
    /// A path becomes absolute; URLs and releases stay as they are.
    fn relative_to(self, base: Base<'_>) -> Self {
        let Self(text) = self;
        // That of a URL, or of Nix's own names, which are refused later: `github:NixOS/nixpkgs`.
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        let has_scheme =
            scheme.is_some_and(|scheme| scheme.bytes().all(|b| b.is_ascii_alphabetic()));
        let is_path = text.starts_with('.') || text.contains('/') && !has_scheme;
        let located = base.locate(Path::new(&text));
        match located.to_str() {
            Some(path) if is_path => Self(path.to_owned()),
            _ => Self(text),
        }
    }
}

/// The least memory of a machine. U-Boot loads the initial RAM disk behind the first 64 MiB: with no more it stops without a word,
/// and with 80 MiB the smallest image boots.
const LEAST_MEMORY_MIB: u32 = 65;
/// The most memory of a machine: 1 TiB.
const MOST_MEMORY_MIB: u32 = 1 << 20;

/// Parses an amount of memory as QEMU and Docker take it: MiB, or a number with a unit. Decimal units count as the binary ones,
/// which users mean.
pub fn memory_mib(text: &str) -> Result<u32, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(number).unwrap_or_default();
    let size = match unit.to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => Some(1),
        "g" | "gb" | "gib" => Some(1024),
        _ => None,
    };
    let mib = number.parse::<u32>().ok().zip(size);
    match mib.and_then(|(number, size)| number.checked_mul(size)) {
        None => Err(format!(
            "`{text}` is not an amount of memory; write 2G or 512M"
        )),
        Some(mib) if mib < LEAST_MEMORY_MIB => Err(format!(
            "{mib} MiB is too little memory; NixOS needs about 512M"
        )),
        Some(mib) if mib > MOST_MEMORY_MIB => {
            Err("that is too much memory; 1024G at most".to_owned())
        }
        Some(mib) => Ok(mib),
    }
}

/// Characters of a name, which every engine accepts.
const MAX_STORE_CHARS: usize = 64;

/// The name of a store volume. It begins with [`STORE`], so that sdbuild never takes another program's volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StoreName(String);

impl Default for StoreName {
    fn default() -> Self {
        Self(STORE.to_owned())
    }
}

impl FromStr for StoreName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.starts_with(STORE) && name.len() <= MAX_STORE_CHARS && name.chars().all(allowed) {
            return Ok(Self(name.to_owned()));
        }
        Err(format!(
            "`{name}` cannot be the store volume's name: it must begin with `{STORE}` and contain only lower-case letters, \
             digits and `-`, at most {MAX_STORE_CHARS}"
        ))
    }
}

impl TryFrom<String> for StoreName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for StoreName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_bounds_and_errors_repeat_the_text() {
        assert_eq!("4096".parse::<Number<1, 4096>>().unwrap().get(), 4096);
        let refused = |text: &str| text.parse::<Number<1, 4096>>().unwrap_err();
        assert_eq!(refused("many"), "`many` is not a number");
        assert_eq!(refused("0"), "`0` is not between 1 and 4096");
        assert_eq!(refused("4097"), "`4097` is not between 1 and 4096");
        assert!("0".parse::<Number<1>>().is_err());
        assert!("5000000000".parse::<Number<1>>().is_err());
    }

    #[test]
    fn only_paths_are_relative_to_their_directory() {
        let dir = Path::new("/project");
        let home = Some(Path::new("/home/me"));
        let base = Base { dir, home };
        let located = |text: &str| NixpkgsSource(text.to_owned()).relative_to(base).0;
        assert_eq!(located("./tree"), "/project/tree");
        assert_eq!(located("a/b"), "/project/a/b");
        assert_eq!(located("/a"), "/a");
        assert_eq!(located("26.05"), "26.05");
        assert_eq!(located("github:o/r"), "github:o/r");
        assert_eq!(
            located("https://x.example/n.tar.xz"),
            "https://x.example/n.tar.xz"
        );
        assert_eq!(located("~/nixpkgs"), "/home/me/nixpkgs");
        let output = |text: &str| PathBuf::from(text).relative_to(base);
        assert_eq!(output("."), dir);
        assert_eq!(output("./out"), dir.join("out"));
        assert_eq!(output("~/out"), Path::new("/home/me/out"));
        assert_eq!(output("~"), Path::new("/home/me"));
        assert_eq!(output("~me/out"), dir.join("~me/out"));
        assert_eq!(output("./~/out"), dir.join("~/out"));
        let homeless = Base { dir, home: None };
        assert_eq!(
            PathBuf::from("~/out").relative_to(homeless),
            dir.join("~/out")
        );
    }

    #[test]
    fn memory_has_a_unit_or_is_mib() {
        for (text, mib) in [
            ("1024", 1024),
            ("65", 65),
            ("2G", 2048),
            ("2g", 2048),
            ("512M", 512),
            ("512MiB", 512),
            ("1gb", 1024),
            ("1024G", MOST_MEMORY_MIB),
        ] {
            assert_eq!(memory_mib(text), Ok(mib), "{text}");
        }
        for (text, told) in [
            ("4", "4 MiB is too little"),
            ("64M", "too little"),
            ("0G", "too little"),
            ("2000000", "too much"),
            ("5000000G", "not an amount"),
            ("many", "not an amount"),
            ("2T", "not an amount"),
            ("", "not an amount"),
            ("-1", "not an amount"),
        ] {
            let refused = memory_mib(text).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn a_name_is_sdbuilds_own_and_valid_for_every_engine() {
        for name in ["sdbuild-store", "sdbuild-store-2"] {
            assert_eq!(name.parse::<StoreName>().unwrap().to_string(), name);
        }
        let long = format!("{STORE}{}", "x".repeat(MAX_STORE_CHARS));
        for name in ["", "store", "SDBUILD-STORE", "sdbuild-store_2", &long] {
            let refused = name.parse::<StoreName>().unwrap_err();
            assert!(
                refused.contains("must begin with `sdbuild-store`"),
                "{refused}"
            );
        }
    }
}
