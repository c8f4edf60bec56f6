//! Numbers with a unit, where a flag takes a plain number of its own unit.

/// Units of time, in lower case, with their length in seconds.
const TIME: [(&[&str], u64); 3] = [
    (&["s", "sec", "second", "seconds"], 1),
    (&["m", "min", "mins", "minute", "minutes"], 60),
    (&["h", "hour", "hours"], 3600),
];

/// The longest time that a flag takes: a day.
const MAX_SECONDS: u64 = 24 * 3600;

/// The tip for a `flag` of clap's form `--timeout <SECONDS>`, whose `value` has a unit: `give seconds: --timeout 300`.
pub(super) fn tip(flag: &str, value: &str) -> Option<String> {
    let (name, takes) = flag.split_once(' ')?;
    if let Some(tip) = tip_for_number(name, value) {
        return Some(tip);
    }
    if takes != "<SECONDS>" {
        return None;
    }
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let given = value.strip_prefix(digits)?.to_lowercase();
    let (_, size) = TIME.iter().find(|(names, _)| names.contains(&&*given))?;
    let number = digits.parse::<u64>().ok()?.checked_mul(*size)?;
    (1..=MAX_SECONDS)
        .contains(&number)
        .then(|| format!("give seconds: {name} {number}"))
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
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|n| n > 0);
    if name != "--port" || !is_port(outer) || !is_port(inner) {
        return None;
    }
    Some(if inner == "22" {
        format!("give only the local port: --port {outer}")
    } else {
        format!(
            "--port is the local port for SSH, the only one that leads to the machine. To reach another one through it, while it runs: \
             ssh -N -L {outer}:localhost:{inner} -p PORT root@localhost"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_is_converted() {
        let minutes = tip("--timeout <SECONDS>", "5m");
        assert_eq!(minutes.as_deref(), Some("give seconds: --timeout 300"));
        for (flag, value) in [
            ("--timeout <SECONDS>", "many"),
            ("--timeout <SECONDS>", "0s"),
            ("--timeout <SECONDS>", "99999999999999999999h"),
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
                "8080:80",
                "--port is the local port for SSH, the only one that leads to the machine. To reach another one through it, while it \
                 runs: ssh -N -L 8080:localhost:80 -p PORT root@localhost",
            ),
            (
                "--port <N>",
                "2222:22",
                "give only the local port: --port 2222",
            ),
        ] {
            assert_eq!(tip(flag, value).as_deref(), Some(expected));
        }
        assert_eq!(tip("--port <N>", "8080:web"), None);
    }
}
