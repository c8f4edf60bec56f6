//! Nix's forecast of a build, which is plain text even in the machine-readable log.

use sdbuild_core::nix_event::NixEvent;

/// The event of a forecast's first line. The paths that follow it are ordinary messages.
pub(super) fn forecast(text: &str) -> Option<NixEvent> {
    let rest = text.strip_prefix("this ").map(|rest| ("1", rest));
    let (count, rest) = rest.or_else(|| text.strip_prefix("these ")?.split_once(' '))?;
    let count = count.parse().ok()?;
    let (noun, rest) = rest.split_once(" will be ")?;
    match noun {
        "derivation" | "derivations" if rest == "built:" => {
            Some(NixEvent::WillBuild { derivations: count })
        }
        "path" | "paths" => {
            let sizes = rest
                .strip_prefix("fetched (")?
                .strip_suffix(" unpacked):")?;
            let (download, unpacked) = sizes.split_once(" download, ")?;
            Some(NixEvent::WillFetch {
                paths: count,
                download: size(download)?,
                unpacked: size(unpacked)?,
            })
        }
        _ => None,
    }
}

/// The number of bytes in a text like `1.25 MiB`.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let power = match unit {
        "B" => 0,
        "KiB" => 1,
        "MiB" => 2,
        "GiB" => 3,
        "TiB" => 4,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let hundredths: u64 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    let unit = 1024_u64.pow(power);
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    whole.checked_add(hundredths * unit / 100)
}
