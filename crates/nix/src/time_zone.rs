//! The names of the tz database (`time.timeZone`).

use sdbuild_core::nearest::{is_slip, nearest};

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

/// The name of the zone that is as far from UTC as `offset` says: `Etc/GMT-2` for `GMT+2`, `UTC+02:00` and `+2`.
pub fn of_offset(offset: &str) -> Option<&'static str> {
    let mut starts = ["GMT", "UTC"].iter();
    let number = starts.find_map(|start| offset.strip_prefix(start));
    let number = number.unwrap_or(offset);
    let (opposite, hours) = number
        .strip_prefix('+')
        .map(|hours| ('-', hours))
        .or_else(|| Some(('+', number.strip_prefix('-')?)))?;
    let hours = hours.strip_suffix(":00").unwrap_or(hours);
    let is_number = (1..=2).contains(&hours.len()) && hours.bytes().all(|b| b.is_ascii_digit());
    let hours: u8 = hours.parse().ok().filter(|_| is_number)?;
    let wanted = format!("Etc/GMT{opposite}{hours}");
    NAMES.lines().find(|name| *name == wanted)
}

/// The name that `unknown` may mean.
pub fn suggestion(unknown: &str) -> Option<&'static str> {
    // `Etc/GMT+2` is two hours behind UTC (POSIX counts to the west): `GMT+2` means its opposite.
    if unknown.contains(['+', '-']) && unknown.chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let wanted = city(unknown);
    let of_city = |is: &dyn Fn(&str) -> bool| NAMES.lines().find(|name| is(city(name)));
    // `Berlin` alone is not similar to `Europe/Berlin`, and every city of Europe to `Europe/Nowhere`.
    of_city(&|city| city.eq_ignore_ascii_case(wanted))
        .or_else(|| of_city(&|city| wanted.len() >= MIN_LETTERS && is_slip(wanted, city)))
        .or_else(|| {
            // A single word is a city, or no name at all.
            let name = nearest(unknown, NAMES.lines()).filter(|_| unknown.contains('/'))?;
            let begins_alike = wanted.chars().next() == city(name).chars().next();
            nearest(wanted, [city(name)])
                .filter(|_| begins_alike)
                .map(|_| name)
        })
}

/// Letters from which on a word with a wrong letter is taken for a city: abbreviations such as `CEST` have fewer.
const MIN_LETTERS: usize = 5;

/// The last part of the name of a zone.
fn city(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_no_proposal() {
        for name in ["GMT+2", "UTC-5", "Etc/GMT+99"] {
            assert_eq!(suggestion(name), None, "{name}");
        }
        assert_eq!(suggestion("America/Port-au-Prince2"), None);
    }

    /// POSIX counts to the west, everybody else to the east.
    #[test]
    fn the_zone_of_an_offset_has_the_opposite_sign() {
        for (offset, zone) in [
            ("GMT+2", "Etc/GMT-2"),
            ("UTC-5", "Etc/GMT+5"),
            ("UTC+02:00", "Etc/GMT-2"),
            ("GMT+14", "Etc/GMT-14"),
            ("+1", "Etc/GMT-1"),
        ] {
            assert_eq!(of_offset(offset), Some(zone), "{offset}");
        }
        for none in [
            "GMT+15",
            "GMT-13",
            "UTC+05:30",
            "GMT2",
            "GMT+",
            "GMT+-2",
            "GMT++2",
            "CEST",
        ] {
            assert_eq!(of_offset(none), None, "{none}");
        }
    }

    #[test]
    fn names_of_the_tz_database_are_known() {
        for name in [
            "Europe/Berlin",
            "Etc/UTC",
            "UTC",
            "US/Pacific",
            "Etc/GMT+1",
            "posix/Asia/Tokyo",
            "America/Argentina/Buenos_Aires",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in ["", "Europe/Berln", "europe/berlin", "CEST", "Europe"] {
            assert!(!is_known(name), "{name}");
        }
    }

    #[test]
    fn a_mistyped_name_gets_a_suggestion() {
        assert_eq!(suggestion("Europe/Berln"), Some("Europe/Berlin"));
        assert_eq!(suggestion("berlin"), Some("Europe/Berlin"));
        assert_eq!(suggestion("Berln"), Some("Europe/Berlin"));
        assert_eq!(suggestion("Eurpe/Berlin"), Some("Europe/Berlin"));
        assert_eq!(suggestion("Europe/Nowhere"), None);
        assert_eq!(suggestion("german"), None);
        assert_eq!(suggestion("CEST"), None);
        assert_eq!(suggestion("Europe/Munich"), None);
        assert_eq!(suggestion("§"), None);
    }
}
