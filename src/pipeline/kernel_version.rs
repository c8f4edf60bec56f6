//! Versions of Linux, compared as numbers.

use std::fmt;

/// Major and minor version of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KernelVersion {
    major: u32,
    minor: u32,
}

impl KernelVersion {
    /// The version `major.minor`.
    pub(super) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The version of a kernel release such as `6.18.0-9-generic`; `None` when it does not begin with two
    /// numbers.
    pub(super) fn of(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |release| KernelVersion::of(release).unwrap();
        assert!(version("6.18.0-9-generic") > version("6.7"));
        assert!(version("4.8") >= KernelVersion::new(4, 8));
        assert!(version("3.10.0-1160.el7") < KernelVersion::new(4, 8));
        assert_eq!(KernelVersion::of("strange"), None);
        assert_eq!(version("6.7.0").to_string(), "6.7");
    }
}
