//! The words for phases, sizes and durations, shared by every view.

use std::time::Duration;

pub use crate::amount::bytes;
use crate::event::Phase;

/// What a phase does, for a person.
pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Preflight => "check this machine and the configuration",
        Phase::Fetch => "fetch packages",
        Phase::ContainerImages => "assemble container images",
        Phase::Pull => "pull the builder image",
        Phase::Emulation => "set up emulation",
        Phase::Upload => "upload the configuration",
        Phase::Build => "build with Nix",
        Phase::CopyOut => "copy the image out",
        Phase::ReadImage => "read the image",
        Phase::Release => "give back what was borrowed",
        Phase::Unpack => "unpack the image",
        Phase::Boot => "boot the image",
    }
}

/// A duration: `0.4 s`, `12 s`, `3 min 04 s`.
pub fn duration(d: Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", d.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(duration(Duration::from_millis(440)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(184)), "3 min 04 s");
    }
}
