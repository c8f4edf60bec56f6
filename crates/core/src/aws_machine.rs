//! Which machine of Amazon EC2 a build rents: the words after `aws:` of the setting `on`.

use std::fmt;
use std::str::FromStr;

/// The options, for messages.
const OPTIONS: &str = "region=NAME, profile=NAME, cpus=N, disk=GIB, on-demand";
/// Processors that can be asked for.
const CPUS: std::ops::RangeInclusive<u32> = 1..=32;
/// GiB of the disk; the image that the machine starts from has 8.
const DISK: std::ops::RangeInclusive<u32> = 8..=1000;
/// Characters of a name.
const MAX_NAME: usize = 64;

/// A machine of Amazon EC2; its text is `NAME=VALUE,…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsMachine {
    /// The region; that of AWS's own settings if there is none.
    pub region: Option<String>,
    /// The profile of AWS's own settings with the credentials; the environment decides if there is none.
    pub profile: Option<String>,
    /// Processors that it has at least.
    pub cpus: Option<u32>,
    /// Size of its disk in GiB.
    pub disk: Option<u32>,
    /// Whether it is paid at the list price, and not taken away when AWS needs it.
    pub on_demand: bool,
}

impl AwsMachine {
    fn set(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let is_set = match name {
            "region" => self.region.replace(region(value)?).is_some(),
            "profile" => self.profile.replace(profile(value)?).is_some(),
            "cpus" => self.cpus.replace(number(name, value, &CPUS)?).is_some(),
            "disk" => self.disk.replace(number(name, value, &DISK)?).is_some(),
            "on-demand" if value.is_empty() => std::mem::replace(&mut self.on_demand, true),
            _ => return Err(format!("`{option}` is not one of {OPTIONS}")),
        };
        if is_set {
            return Err(format!("`{name}` is given twice"));
        }
        Ok(())
    }
}

/// The name of a region, which is part of the servers' names.
pub fn region(value: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !value.is_empty() && value.len() <= MAX_NAME && value.chars().all(is_plain) {
        return Ok(value.to_owned());
    }
    Err(format!("`{value}` is not a region of AWS"))
}

/// The name of a profile that can be an option; almost everything can be one.
pub fn profile(value: &str) -> Result<String, String> {
    let is_refused = |c: char| c.is_control() || c == ',';
    if value.is_empty()
        || value.len() > MAX_NAME
        || value.starts_with('-')
        || value.contains(is_refused)
    {
        return Err(format!("`{value}` is not a profile of AWS's tools"));
    }
    Ok(value.to_owned())
}

fn number(name: &str, value: &str, range: &std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    let (first, last) = (range.start(), range.end());
    number.ok_or_else(|| format!("{name}: `{value}` is not between {first} and {last}"))
}

impl fmt::Display for AwsMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named =
            |name: &str, value: Option<String>| value.map(|value| format!("{name}={value}"));
        let options = [
            named("region", self.region.clone()),
            named("profile", self.profile.clone()),
            named("cpus", self.cpus.map(|n| n.to_string())),
            named("disk", self.disk.map(|n| n.to_string())),
            self.on_demand.then(|| "on-demand".to_owned()),
        ];
        f.write_str(&options.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

impl FromStr for AwsMachine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut machine = Self::default();
        if !text.is_empty() {
            text.split(',').try_for_each(|option| machine.set(option))?;
        }
        Ok(machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_they_are_written() {
        for text in [
            "",
            "on-demand",
            "region=eu-central-1,profile=a@b.c,cpus=8,disk=40,on-demand",
        ] {
            let machine: AwsMachine = text.parse().unwrap();
            assert_eq!(machine.to_string(), text);
        }
        let machine: AwsMachine = "disk=40,region=eu-west-1".parse().unwrap();
        assert_eq!(machine.to_string(), "region=eu-west-1,disk=40");
        for (text, words) in [
            ("eu-central-1", "is not one of region=NAME, profile=NAME"),
            ("on-demand=yes", "is not one of"),
            ("cpus=64", "is not between 1 and 32"),
            ("disk=x", "is not between 8 and 1000"),
            ("disk=8,disk=9", "is given twice"),
            ("on-demand,on-demand", "is given twice"),
            ("region=", "is not a region of AWS"),
            ("region=x.evil/y", "is not a region of AWS"),
            ("profile=--endpoint-url", "is not a profile of"),
            ("region=a,", "is not one of"),
        ] {
            let refused = text.parse::<AwsMachine>().unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
