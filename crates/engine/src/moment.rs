//! A moment on this machine, for comparison with a moment on this or another machine.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The kernel's id of this boot, which is the same in all containers.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Seconds since the boot, with those of a suspended machine, with two decimals.
const UPTIME: &str = "/proc/uptime";

/// A moment by two clocks: the time since the machine was started, which cannot be set, and the time of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    boot: String,
    uptime: u64,
    unix: u64,
}

impl Moment {
    /// Now; `None` where the kernel does not report it.
    pub(crate) fn now() -> Option<Self> {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let boot = fs::read_to_string(BOOT_ID).ok()?.trim().to_owned();
        let uptime = fs::read_to_string(UPTIME).ok()?;
        let (seconds, _) = uptime.split_once('.')?;
        Some(Self {
            boot,
            uptime: seconds.parse().ok()?,
            unix,
        })
    }

    /// The time from `earlier` until this moment: on the same machine since the same boot by the time since that boot,
    /// otherwise by the time of day. `None` if `earlier` is later.
    pub(crate) fn since(&self, earlier: &Self) -> Option<Duration> {
        let seconds = if self.boot == earlier.boot {
            self.uptime.checked_sub(earlier.uptime)
        } else {
            self.unix.checked_sub(earlier.unix)
        };
        seconds.map(Duration::from_secs)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.boot, self.uptime, self.unix)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let other = || format!("`{text}` is not a moment");
        let words: Vec<&str> = text.split(' ').collect();
        let [boot, uptime, unix] = words[..] else {
            return Err(other());
        };
        Ok(Self {
            boot: boot.to_owned(),
            uptime: uptime.parse().map_err(|_| other())?,
            unix: unix.parse().map_err(|_| other())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_that_is_set_does_not_matter_on_one_machine() {
        let age = |then: &str, now: &str| moment(now).since(&moment(then));
        let hour = Some(Duration::from_hours(1));
        assert_eq!(age("a 100 1000000", "a 3700 9000000"), hour, "set forward");
        assert_eq!(age("a 100 1000000", "a 3700 1000"), hour, "set back");
        assert_eq!(
            age("a 100 1000", "b 7 4600"),
            hour,
            "another machine or boot"
        );
        assert_eq!(age("a 100 1000", "b 7 900"), None);
        assert_eq!(age("a 100 1000", "a 99 2000"), None);
    }

    #[test]
    fn now_can_be_written_and_read() {
        let now = Moment::now().unwrap();
        assert_eq!(now.to_string().parse(), Ok(now));
        for bad in ["", "a", "a 1", "a 1 x", "a -1 2", "a 1 2 3"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}
