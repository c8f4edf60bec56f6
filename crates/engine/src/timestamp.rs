//! Times as engines write them: RFC 3339.

use jiff::Timestamp;

/// Seconds since 1970 of `2026-11-20T08:07:13.123Z` or `…+01:00`, without the fraction. Negative for the year 1, which
/// engines write for something that has not happened. `None` for any other text.
pub(super) fn unix_seconds(text: &str) -> Option<i64> {
    let timestamp: Timestamp = text.trim().parse().ok()?;
    Some(timestamp.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_times_of_engines() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-20T08:07:13.123456789Z", 1_795_162_033),
            ("2026-11-20T09:07:13.5+01:00", 1_795_162_033),
            ("2026-11-20T04:37:13-03:30", 1_795_162_033),
            ("2024-02-29T00:00:00Z", 1_709_164_800),
        ] {
            assert_eq!(unix_seconds(text), Some(seconds), "{text}");
        }
        assert!(unix_seconds("0001-01-01T00:00:00Z").is_some_and(|never| never < 0));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_time_or_none(text in "[0-9TZ:+.-]{0,40}|(?s).{0,40}") {
            let _seconds: Option<i64> = unix_seconds(&text);
        }
    }

    #[test]
    fn other_texts_are_no_time() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-20"] {
            assert_eq!(unix_seconds(text), None, "{text}");
        }
    }
}
