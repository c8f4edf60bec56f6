//! `SOURCE_DATE_EPOCH`: the moment that counts as now in what is written, so that it is the same next time.

use jiff::Timestamp;

use crate::common::failure::Failure;

/// `SOURCE_DATE_EPOCH`, when it is set.
pub(super) fn source_date_epoch(text: Option<&String>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds| *seconds >= 0);
    // Out of range after the year 9999.
    let timestamp = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    timestamp.map(Some).ok_or_else(|| {
        Failure::usage(format!(
            "SOURCE_DATE_EPOCH is `{text}`, which is no number of seconds since 1970"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_is_a_number_of_seconds_or_unset() {
        let of = |text: &str| source_date_epoch(Some(&text.to_owned()));
        assert_eq!(source_date_epoch(None).unwrap(), None);
        assert_eq!(
            of("1700000000").unwrap(),
            Timestamp::from_second(1_700_000_000).ok()
        );
        for text in ["x", "-1", "1.5", "253402300800"] {
            let failure = of(text).unwrap_err();
            assert_eq!(failure.class, crate::common::failure::Class::Usage);
            assert!(failure.to_string().contains(text), "{failure}");
        }
    }
}
