//! The names of the tz database (`time.timeZone`).

use sdbuild_core::nearest::is_slip;

/// All names of tzdata 2025b, from the zones and links in its `tzdata.zi`.
const NAMES: &str = include_str!("time_zone/names.txt");

/// Whether the tz database has `name`. Names that are newer than this program are unknown to it.
pub fn is_known(name: &str) -> bool {
    // Directories with the same names that tzdata can install as well.
    let name = ["posix/", "right/"]
        .iter()
        .find_map(|dir| name.strip_prefix(dir))
        .unwrap_or(name);
    NAMES.lines().any(|known| known == name)
}

/// The name that `unknown` may mean: that of the same city, or with a wrong letter in it.
pub fn suggestion(unknown: &str) -> Option<&'static str> {
    /// Letters from which on a word with a wrong letter is taken for a city: abbreviations such as `CEST` have fewer.
    const MIN_LETTERS: usize = 5;
    let city = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    let wanted = unknown.rsplit('/').next().unwrap_or(unknown);
    // `Etc/GMT+2` is two hours behind UTC (POSIX counts to the west): `GMT+2` means its opposite.
    let is_offset = unknown.contains(['+', '-']) && unknown.contains(|c: char| c.is_ascii_digit());
    let mut names = NAMES.lines().filter(|_| !is_offset);
    let mut similar = names.clone();
    names
        .find(|name| city(name).eq_ignore_ascii_case(wanted))
        .or_else(|| similar.find(|name| wanted.len() >= MIN_LETTERS && is_slip(wanted, city(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_tz_database_are_known() {
        for name in [
            "Europe/Berlin",
            "Etc/UTC",
            "UTC",
            "Etc/GMT+1",
            "posix/Asia/Tokyo",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in ["", "Europe/Berln", "europe/berlin", "CEST", "Europe"] {
            assert!(!is_known(name), "{name}");
        }
    }

    #[test]
    fn a_mistyped_name_gets_a_suggestion() {
        for unknown in ["Europe/Berln", "berlin", "Berln", "Eurpe/Berlin"] {
            assert_eq!(suggestion(unknown), Some("Europe/Berlin"), "{unknown}");
        }
        for unknown in ["GMT+2", "UTC-5", "Europe/Nowhere", "german", "CEST", "§"] {
            assert_eq!(suggestion(unknown), None, "{unknown}");
        }
    }
}
