//! Explains why private emulation does not work on an engine, with hints. Pure.

use crate::binfmt::probe::Probed;
use crate::{EngineError, Exit};
use sdbuild_core::failure::Failure;

/// What `enter` prints before the step that failed.
const FAILED_STEP: &str = "sdbuild: private emulation: ";

/// Judges the output of a probe that ran.
pub(super) fn judge(exit: Exit, lines: &[String], probed: Probed) -> Result<(), Failure> {
    match lines.iter().find_map(|line| line.strip_prefix(FAILED_STEP)) {
        Some(step) => Err(explain(step, lines).try_next_mode()),
        None => probed.judge(exit, lines),
    }
}

/// The failure for an engine that does not create or start the probe's container. The next mode of emulation is worth a try
/// if the engine refuses its security profiles, which no other container has.
pub(super) fn of_engine(error: EngineError) -> Failure {
    let message = error.refusal().unwrap_or_default();
    let concerns_profiles = error.is_forbidden() || message.contains("apparmor");
    let failure = Failure::from(error);
    if message.contains("seccomp") {
        failure
            .try_next_mode()
            .hint("the engine accepts no seccomp profile from its clients")
    } else if concerns_profiles {
        failure.try_next_mode()
    } else {
        failure
    }
}

/// The failure for a step of `enter`; `lines` contain the kernel's settings as `sdbuild: SETTING = VALUE`.
fn explain(step: &str, lines: &[String]) -> Failure {
    let is = |setting: &str, value: &str| {
        let line = format!("sdbuild: {setting} = {value}");
        lines.contains(&line)
    };
    let failure = Failure::environment(step);
    let none = is("user/max_user_namespaces", "0");
    if step.starts_with("namespaces: ") && (none || step.contains("No space left")) {
        return failure
            .consequence("the engine's machine allows no user namespaces")
            .hint("let root allow them there: `sudo sysctl user.max_user_namespaces=10000`");
    }
    if step.starts_with("namespaces: ") && is("kernel/unprivileged_userns_clone", "0") {
        return failure
            .consequence("the engine's machine allows user namespaces only for root")
            .hint("let root allow them there: `sudo sysctl kernel.unprivileged_userns_clone=1`");
    }
    // AppArmor lets a confined program create the namespace, but without capabilities in it.
    if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        return failure
            .consequence("AppArmor on the engine's machine restricts user namespaces")
            .hint(
                "let root allow them there: \
                 `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
            );
    }
    if step.starts_with("namespaces: ") {
        return failure
            .consequence("the engine lets no container create a user namespace")
            .hint("its seccomp filter or a security module of its machine forbids `unshare`");
    }
    if step.starts_with("mount: ") || step.starts_with("cover: ") {
        return failure
            .consequence("a container cannot mount a binfmt_misc of its own")
            .hint("this needs Linux 6.7 or later, and SELinux or AppArmor must allow it");
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binfmt::probe::HandlerKind;
    use sdbuild_core::system::Architecture;

    const PROBED: Probed = Probed {
        handler: HandlerKind::Own,
        architecture: Architecture::Aarch64,
    };

    fn verdict(lines: &[&str]) -> (String, String) {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("sdbuild: {line}"))
            .collect();
        let exit = Exit {
            code: 119,
            oom_killed: false,
        };
        let failure = judge(exit, &lines, PROBED).unwrap_err();
        assert!(failure.try_next_mode);
        (failure.to_string(), failure.hints.join("\n"))
    }

    #[test]
    fn reasons_are_distinguished() {
        let many = "user/max_user_namespaces = 96365";
        let unshare = "private emulation: namespaces: unshare: unshare(0x10020000): ";
        let refused = format!("{unshare}Operation not permitted");
        let full = format!("{unshare}No space left on device");
        let mount = "private emulation: mount: mount: permission denied (are you root?)";
        let restricted = "kernel/apparmor_restrict_unprivileged_userns = 1";
        for (lines, what, hint) in [
            (
                vec!["user/max_user_namespaces = 0", &full],
                "allows no user namespaces",
                "max_user",
            ),
            (
                vec![many, "kernel/unprivileged_userns_clone = 0", &refused],
                "allows user namespaces only for root",
                "unprivileged_userns_clone=1",
            ),
            (
                vec![many, "kernel/unprivileged_userns_clone = 1", &refused],
                "lets no container",
                "seccomp",
            ),
            (
                vec![many, restricted, mount],
                "AppArmor",
                "restrict_unprivileged_userns=0",
            ),
            (vec![many, mount], "a binfmt_misc of its own", "6.7"),
        ] {
            let (text, hints) = verdict(&lines);
            assert!(
                text.contains(what) && hints.contains(hint),
                "{text}\n{hints}"
            );
        }
    }

    #[test]
    fn a_probe_without_a_failed_step_is_judged_as_usual() {
        let exit = Exit {
            code: 0,
            oom_killed: false,
        };
        assert!(judge(exit, &["aarch64".to_owned()], PROBED).is_ok());
        assert!(judge(exit, &["x86_64".to_owned()], PROBED).is_err());
    }

    #[test]
    fn an_engine_that_refuses_the_profile_has_a_hint() {
        let refused = |message: &str| EngineError::Refused {
            operation: "create container x".into(),
            status: 500,
            message: message.into(),
        };
        let full = of_engine(refused("no space left on device"));
        assert!(!full.try_next_mode, "every mode needs disk space");
        let failure = of_engine(refused(
            "opening seccomp profile failed: file name too long",
        ));
        assert!(failure.try_next_mode);
        assert!(
            failure
                .hints
                .iter()
                .any(|h| h.contains("accepts no seccomp profile"))
        );
    }
}
