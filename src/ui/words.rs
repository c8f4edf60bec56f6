//! Names of phases and formats of sizes and durations, shared by every view.

use std::time::Duration;

use sdbuild_core::event::Phase;
pub use sdbuild_core::human_bytes::human_bytes;

/// The name of a phase as users see it.
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Rent => "Machine",
        Phase::GiveBack => "Give back",
        Phase::Preflight => "Checks",
        Phase::Fetch => "Downloads",
        Phase::Nixpkgs => "nixpkgs",
        Phase::ContainerImages => "Container images",
        Phase::Pull => "Builder image",
        Phase::Builders => "Remote builders",
        Phase::Emulation => "Emulation",
        Phase::Upload => "Upload",
        Phase::Evaluate => "Evaluation",
        Phase::Build => "Build",
        Phase::CopyOut => "Image",
        Phase::ReadImage => "Read the image",
        Phase::Release => "Clean up",
        Phase::Unpack => "Unpack the image",
        Phase::CopyIn => "Copy to QEMU",
        Phase::Boot => "Boot",
        Phase::Command => "Command",
        Phase::PowerOff => "Switch off",
        Phase::Flash => "Write",
        Phase::Verify => "Verify",
        Phase::Put => "Put files",
        Phase::Measure => "Sizes",
        Phase::Export => "Export",
        Phase::Publish => "Publish",
        Phase::Look => "Board",
        Phase::Compare => "Compare",
        Phase::Send => "Copy",
        Phase::Switch => "Switch",
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

/// An amount of a total: `112 of 340 MB`, `640 kB of 1.2 GB`; a total of 0 is unknown.
pub(super) fn amount(done: u64, total: u64) -> String {
    let (done, all) = (human_bytes(done), human_bytes(total));
    match (done.split_once(' '), all.split_once(' ')) {
        _ if total == 0 => done,
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {all}"),
        _ => format!("{done} of {all}"),
    }
}

/// The bytes per second of `done` bytes in `took`, once that is more than a guess.
pub(super) fn rate(done: u64, took: Duration) -> Option<String> {
    let millis = u64::try_from(took.as_millis()).ok()?;
    if millis < 1000 || done == 0 {
        return None;
    }
    Some(format!(
        "{}/s",
        human_bytes(done.saturating_mul(1000) / millis)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_shown_once_it_is_known() {
        let after = |seconds| rate(42_000_000, Duration::from_secs(seconds));
        assert_eq!(after(0), None);
        assert_eq!(after(20).as_deref(), Some("2.1 MB/s"));
        assert_eq!(rate(1, Duration::from_secs(20)).as_deref(), Some("0 B/s"));
    }

    #[test]
    fn amounts_name_a_unit_once() {
        assert_eq!(amount(112_000_000, 340_000_000), "112 of 340 MB");
        assert_eq!(amount(640_000, 1_200_000_000), "640 kB of 1.2 GB");
        assert_eq!(amount(640_000, 0), "640 kB");
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
