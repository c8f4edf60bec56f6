//! Numbers with a unit, where a flag takes a plain number of its own unit.

use crate::settings::LEAST_MEMORY_MIB;

/// Units of memory, in lower case, with their size in MiB. The decimal ones count as the binary ones, which users mean.
const MEMORY: [(&[&str], u64); 2] = [(&["m", "mb", "mib"], 1), (&["g", "gb", "gib"], 1024)];
/// Units of time with their length in seconds.
const TIME: [(&[&str], u64); 3] = [
    (&["s", "sec", "second", "seconds"], 1),
    (&["m", "min", "mins", "minute", "minutes"], 60),
    (&["h", "hour", "hours"], 3600),
];

/// What is said of a memory in which no image boots.
const TOO_SMALL: &str = "that is too little memory; NixOS needs about 512 MiB";

/// The longest time that a flag takes: a day.
const MAX_SECONDS: u64 = 24 * 3600;

/// The tip for a `flag` of clap's form `--memory <MIB>`, whose `value` has a unit: `give MiB: --memory 1024`.
pub(super) fn tip(flag: &str, value: &str) -> Option<String> {
    let (name, takes) = flag.split_once(' ')?;
    if let Some(tip) = tip_for_number(name, value) {
        return Some(tip);
    }
    let (units, unit): (&[_], _) = match takes {
        "<MIB>" => (&MEMORY, "MiB"),
        "<SECONDS>" => (&TIME, "seconds"),
        _ => return None,
    };
    let is_small = |mib: u32| mib < LEAST_MEMORY_MIB;
    if takes == "<MIB>" && value.parse().is_ok_and(is_small) {
        return Some(TOO_SMALL.to_owned());
    }
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let given = value.strip_prefix(digits)?.to_lowercase();
    let (_, size) = units.iter().find(|(names, _)| names.contains(&&*given))?;
    let number = digits.parse::<u64>().ok()?.checked_mul(*size)?;
    let is_in_range = number > 0 && (unit != "seconds" || number <= MAX_SECONDS);
    is_in_range.then(|| format!("give {unit}: {name} {number}"))
}

/// The tip for a word or two ports in place of a number.
fn tip_for_number(name: &str, value: &str) -> Option<String> {
    /// What users write for as many as there are.
    const ALL: [&str; 6] = ["all", "auto", "default", "max", "native", "nproc"];
    let is_count = ["--cores", "--jobs", "--connections"].contains(&name);
    if is_count && (ALL.contains(&value) || value == "0") {
        return Some(format!("leave out {name}, and sdbuild chooses the number"));
    }
    let (outer, inner) = value.split_once(':')?;
    let is_of_ssh = name == "--port" && inner == "22" && outer.parse::<u16>().is_ok_and(|n| n > 0);
    is_of_ssh.then(|| format!("give only the local port: --port {outer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_is_converted() {
        for (flag, value, expected) in [
            ("--memory <MIB>", "2G", "give MiB: --memory 2048"),
            ("--memory <MIB>", "512MiB", "give MiB: --memory 512"),
            ("--timeout <SECONDS>", "5m", "give seconds: --timeout 300"),
        ] {
            assert_eq!(tip(flag, value).as_deref(), Some(expected));
        }
        for (flag, value) in [
            ("--memory <MIB>", "2000000"),
            ("--memory <MIB>", "0G"),
            ("--memory <MIB>", "many"),
            ("--memory <MIB>", "99999999999999999999G"),
            ("--timeout <SECONDS>", "5G"),
            ("--timeout <SECONDS>", "48h"),
            ("--jobs <N>", "2G"),
        ] {
            assert_eq!(tip(flag, value), None, "{flag} {value}");
        }
        for (flag, value, expected) in [
            (
                "--jobs <N>",
                "auto",
                "leave out --jobs, and sdbuild chooses the number",
            ),
            (
                "--jobs <N>",
                "0",
                "leave out --jobs, and sdbuild chooses the number",
            ),
            (
                "--port <N>",
                "2222:22",
                "give only the local port: --port 2222",
            ),
        ] {
            assert_eq!(tip(flag, value).as_deref(), Some(expected));
        }
        assert_eq!(tip("--port <N>", "8080:80"), None);
        assert_eq!(tip("--memory <MIB>", "64").as_deref(), Some(TOO_SMALL));
    }
}
