//! The lines that an agent prints. Pure.

/// A line from an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Ready,
    /// There is no table; with the reason.
    Unmounted(String),
    Held(String),
    Removed(String),
    Released(String),
    Restored(String),
    /// The entry is gone and cannot be put back; with the reason.
    Missing(String, String),
    /// A command failed for this entry; with the reason.
    Failed(String, String),
    /// A line of a list, or an unknown one.
    Other(String),
}

impl Reply {
    pub(super) fn parse(line: &str) -> Self {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, why) = rest.split_once(' ').unwrap_or((rest, ""));
        let (name, why) = (name.to_owned(), why.to_owned());
        match word {
            "ready" => Self::Ready,
            "unmounted" => Self::Unmounted(rest.to_owned()),
            "held" => Self::Held(name),
            "removed" => Self::Removed(name),
            "released" => Self::Released(name),
            "restored" => Self::Restored(name),
            "missing" => Self::Missing(name, why),
            "failed" => Self::Failed(name, why),
            _ => Self::Other(line.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_each_reply() {
        assert_eq!(Reply::parse("ready"), Reply::Ready);
        assert_eq!(Reply::parse("held a"), Reply::Held("a".into()));
        let failed = Reply::Failed("a".into(), "File exists".into());
        assert_eq!(Reply::parse("failed a File exists"), failed);
        assert_eq!(Reply::parse("unmounted "), Reply::Unmounted(String::new()));
        assert_eq!(
            Reply::parse("| flags: PF"),
            Reply::Other("| flags: PF".into())
        );
    }

    proptest! {
        #[test]
        fn parses_any_line(line in ".{0,60}") {
            Reply::parse(&line);
        }
    }
}
