//! Names of phases and formats of sizes and durations, shared by every view.

use std::time::Duration;

use crate::common::event::Phase;
pub use crate::common::human_bytes::human_bytes;

/// The name of a phase as users see it.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Preflight => "check this machine and the configuration",
        Phase::Fetch => "fetch packages",
        Phase::ContainerImages => "assemble container images",
        Phase::Pull => "pull the builder image",
        Phase::Emulation => "set up emulation",
        Phase::Upload => "upload the configuration",
        Phase::Evaluate => "evaluate the configuration",
        Phase::Build => "build with Nix",
        Phase::CopyOut => "copy the image out",
        Phase::ReadImage => "read the image",
        Phase::Release => "clean up",
        Phase::Unpack => "unpack the image",
        Phase::CopyIn => "copy the image into the emulator",
        Phase::Boot => "boot the image",
        Phase::Flash => "write the card",
        Phase::Verify => "read the card back",
    }
}

/// Formats a duration: `0.4 s`, `12 s`, `3 min 04 s`, `1 h 02 min`.
pub fn duration(d: Duration) -> String {
    match d.as_secs() {
        0..10 => format!("{:.1} s", d.as_secs_f64()),
        _ => seconds(d),
    }
}

/// Formats an elapsed time in whole seconds.
pub(super) fn seconds(d: Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Rate and remaining time, once they can be estimated: `, 21 MB/s, 3 min 04 s left`.
pub fn rate(done: u64, total: Option<u64>, took: Duration) -> String {
    // An earlier estimate would be a guess.
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if millis < 1000 || done == 0 {
        return String::new();
    }
    let rate = done.saturating_mul(1000) / millis;
    let left = total.map(|total| total.saturating_sub(done));
    let left = left.filter(|_| rate > 0);
    let left = left.map(|left| Duration::from_secs(left.div_ceil(rate.max(1))));
    let left = left.map(|left| format!(", {} left", duration(left)));
    format!(", {}/s{}", human_bytes(rate), left.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_shown_once_it_is_known() {
        let after = |seconds| rate(42_000_000, Some(84_000_000), Duration::from_secs(seconds));
        assert_eq!(after(0), "");
        assert_eq!(after(20), ", 2.1 MB/s, 20 s left");
        assert_eq!(
            rate(42_000_000, None, Duration::from_secs(20)),
            ", 2.1 MB/s"
        );
        assert_eq!(rate(1, Some(2), Duration::from_secs(20)), ", 0 B/s");
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(duration(Duration::from_millis(440)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(184)), "3 min 04 s");
        assert_eq!(duration(Duration::from_secs(3725)), "1 h 02 min");
        assert_eq!(seconds(Duration::from_millis(4999)), "4 s");
    }
}
