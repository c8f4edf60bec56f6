//! Tries the provider of rented machines, as far as that costs nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::common::shell_word::quoted;
use crate::pipeline::checks::{Check, Verdict};
use crate::pipeline::rental;
use crate::settings;

const TOPIC: &str = "rented machine";

/// Whether a build with `settings` can ask for a machine; `None` if it rents none. A program is asked for its price, nothing else.
pub(super) async fn check(settings: &settings::Build) -> Option<Check> {
    let source = settings.on.rented()?.to_string();
    let program = source.strip_prefix("command:");
    if let Some(path) = program.filter(|program| program.contains('/'))
        && let Some(bad) = unusable(Path::new(path))
    {
        return Some(bad);
    }
    let text = match rental::price(settings).await {
        Err(failure) => return Some(Check::failed(TOPIC, &failure)),
        Ok(Some(price)) => format!(
            "{source}: {price}. build asks whether you accept that price, rents a machine, builds there and gives it back"
        ),
        Ok(None) => format!(
            "{source} states no price; build rents a machine, builds there and gives it back"
        ),
    };
    Some(Check::good(TOPIC, text))
}

/// Why the program at `path` cannot be started.
fn unusable(path: &Path) -> Option<Check> {
    let shown = path.display();
    let bad = |text| Some(Check::bad(TOPIC, text));
    let Ok(metadata) = path.metadata() else {
        let check = bad(format!("there is no program {shown}"));
        return check.map(|check| check.remedy("correct the path of --on, SDBUILD_ON or `on`"));
    };
    if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        return None;
    }
    let word = quoted(&path.to_string_lossy());
    let check = bad(format!("{shown} is not a program that can be started"));
    check.map(|check| check.remedy(format!("chmod +x {word}")))
}

/// What is bad about this machine's engine alone does not keep a build from working on a rented machine. `without_engine` are the checks
/// of a machine that has none.
pub(super) fn disregard_engine(checks: &mut [Check], without_engine: &[Check]) {
    for check in checks {
        let same = |other: &&Check| other.topic == check.topic && other.verdict == Verdict::Bad;
        if check.verdict == Verdict::Bad && !without_engine.iter().any(|other| same(&other)) {
            check.verdict = Verdict::Warning;
            check.remedies.insert(
                0,
                "a build on a rented machine does not need it; check, boot, try and shell do"
                    .to_owned(),
            );
        }
    }
}
