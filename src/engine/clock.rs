//! Engines write their times as RFC 3339 texts. Pure.

/// Seconds since 1970 of `2026-11-20T08:07:13.123Z` or `…+01:00`; fractions are dropped.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let (date, rest) = text.trim().split_once(['T', 't', ' '])?;
    let (clock, offset) = split_offset(rest)?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock.split('.').next()?, ':')?;
    let plausible =
        (0..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let day = plausible.then(|| days(year, month, day))?;
    Some(day * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// The clock and the seconds that it is ahead of UTC.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (clock, offset) = (text.get(..at)?, text.get(at + 1..)?);
    let (hours, minutes) = offset.split_once(':')?;
    let ahead = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some((
        clock,
        if text.get(at..)?.starts_with('-') {
            -ahead
        } else {
            ahead
        },
    ))
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text
        .splitn(3, separator)
        .map(|part| part.parse::<u32>().ok().map(i64::from));
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let day_of_year = (153 * since_march + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::seconds;
    use proptest::prelude::*;

    #[test]
    fn times_are_read() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            seconds("2026-11-20T08:07:13.123456789Z"),
            Some(1_795_162_033)
        );
        assert_eq!(seconds("2026-11-20T09:07:13.5+01:00"), Some(1_795_162_033));
        assert_eq!(seconds("2026-11-20T04:37:13-03:30"), Some(1_795_162_033));
        assert_eq!(seconds("2024-02-29T00:00:00Z"), Some(1_709_164_800));
        assert!(seconds("0001-01-01T00:00:00Z").is_some_and(|never| never < 0));
    }

    #[test]
    fn other_texts_are_not() {
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-11-20",
            "2026-11-20T08:07Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in ".{0,40}") {
            seconds(&text);
        }
    }
}
