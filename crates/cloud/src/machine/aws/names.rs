//! Names and tags of what is made for a run.

use std::time::Duration;

use jiff::Timestamp;

use crate::aws::{Tag, tag_value};

/// The tag with the run that something was made for.
pub(super) const RUN_TAG: &str = "sdbuild:run";
/// The tag with the end of its lease.
const EXPIRES_TAG: &str = "sdbuild:expires";

/// The name of everything of the run `run`.
pub(super) fn name(run: &str) -> String {
    format!("sdbuild-{run}")
}

/// EC2's filter for everything of a run.
pub(super) fn filter_name() -> String {
    format!("tag:{RUN_TAG}")
}

/// The tags of what is made for the run `run` with the lease `lease` from now on.
pub(super) fn tags(run: &str, lease: Duration) -> Vec<Tag> {
    let tag = |key: &str, value: String| Tag {
        key: key.to_owned(),
        value,
    };
    vec![
        tag("Name", name(run)),
        tag(RUN_TAG, run.to_owned()),
        expires(lease),
    ]
}

/// The tag that a lease `lease` from now on has.
pub(super) fn expires(lease: Duration) -> Tag {
    let now = Timestamp::now();
    let end = now.checked_add(lease).unwrap_or(now);
    Tag {
        key: EXPIRES_TAG.to_owned(),
        value: end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

/// When the lease in `tags` ends; `None` if they do not say.
pub(super) fn lease_end(tags: &[Tag]) -> Option<Timestamp> {
    tag_value(tags, EXPIRES_TAG)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_as_it_was_written() {
        let tags = tags("0123456789ab", Duration::from_secs(900));
        let left = lease_end(&tags).unwrap().as_second() - Timestamp::now().as_second();
        assert!((890..=900).contains(&left), "{left}");
        assert_eq!(tag_value(&tags, RUN_TAG), Some("0123456789ab"));
        assert_eq!(lease_end(&[]), None);
        // Keys and values are within EC2's limits.
        assert!(
            tags.iter()
                .all(|tag| tag.key.len() <= 128 && tag.value.len() <= 256)
        );
    }
}
