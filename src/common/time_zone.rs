//! The names of the tz database (`time.timeZone`).

use super::nearest::{is_slip, nearest};

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
