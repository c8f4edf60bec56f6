//! Why private emulation does not work on an engine, and what can be done about it. Pure.

use crate::binfmt::probe::{self, HandlerKind};
use crate::common::failure::Failure;
use crate::engine::{EngineError, Exit};

/// What `enter` says before the step that failed.
const SAID: &str = "sdbuild: private emulation: ";

/// The verdict on a probe that ran.
pub(super) fn judge(exit: Exit, lines: &[String]) -> Result<(), Failure> {
    match lines.iter().find_map(|line| line.strip_prefix(SAID)) {
        Some(step) => Err(explain(step, lines).try_next_mode()),
        None => probe::judge(exit, lines, HandlerKind::Own),
    }
}

/// The engine made no such container, or did not start it.
pub(super) fn of_engine(error: EngineError) -> Failure {
    let words = error.refusal().unwrap_or_default();
    // Its profiles are all that this container has and others have not.
    let is_its_own = error.is_forbidden() || words.contains("apparmor");
    let failure = Failure::from(error);
    if words.contains("seccomp") {
        failure
            .try_next_mode()
            .hint("the engine takes no seccomp profile from its clients")
    } else if is_its_own {
        failure.try_next_mode()
    } else {
        failure
    }
}

fn explain(step: &str, lines: &[String]) -> Failure {
    let is = |setting: &str, value: &str| {
        let line = format!("sdbuild: {setting} = {value}");
        lines.contains(&line)
    };
    let failure = Failure::environment(step);
    let none = is("user/max_user_namespaces", "0");
    if step.starts_with("namespaces: ") && (none || step.contains("No space left")) {
        return failure
            .context("the engine's machine allows no user namespaces")
            .hint("let root allow them there: `sudo sysctl user.max_user_namespaces=10000`");
    }
    if step.starts_with("namespaces: ") && is("kernel/unprivileged_userns_clone", "0") {
        return failure
            .context("the engine's machine keeps user namespaces for root")
            .hint("let root open them there: `sudo sysctl kernel.unprivileged_userns_clone=1`");
    }
    // A confined program may make the namespace, and has no rights in it.
    if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        return failure
            .context("AppArmor on the engine's machine restricts user namespaces")
            .hint(
                "let root lift that there: \
                 `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
            );
    }
    if step.starts_with("namespaces: ") {
        return failure
            .context("the engine lets no container make a user namespace")
            .hint("its seccomp filter or a security module of its machine forbids `unshare`");
    }
    if step.starts_with("mount: ") || step.starts_with("cover: ") {
        return failure
            .context("a container cannot mount a table of its own")
            .hint("it takes Linux 6.7 or later, and no security module (SELinux, AppArmor) against it");
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lines: &[&str]) -> (String, String) {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("sdbuild: {line}"))
            .collect();
        let exit = Exit {
            code: 119,
            oom_killed: false,
        };
        let failure = judge(exit, &lines).unwrap_err();
        assert!(failure.try_next_mode);
        (failure.to_string(), failure.hints.join("\n"))
    }

    #[test]
    fn reasons_are_told_apart() {
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
                "keeps user namespaces for root",
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
            (vec![many, mount], "a table of its own", "6.7"),
        ] {
            let (text, hints) = verdict(&lines);
            assert!(
                text.contains(what) && hints.contains(hint),
                "{text}\n{hints}"
            );
        }
    }

    #[test]
    fn a_probe_that_got_further_is_judged_like_any_other() {
        let exit = Exit {
            code: 0,
            oom_killed: false,
        };
        assert!(judge(exit, &["aarch64".to_owned()]).is_ok());
        assert!(judge(exit, &["x86_64".to_owned()]).is_err());
    }

    #[test]
    fn an_engine_that_refuses_the_profile_is_named() {
        let refused = |message: &str| EngineError::Refused {
            operation: "create container x".into(),
            status: 500,
            message: message.into(),
        };
        let full = of_engine(refused("no space left on device"));
        assert!(!full.try_next_mode, "no other way is better off");
        let failure = of_engine(refused(
            "opening seccomp profile failed: file name too long",
        ));
        assert!(failure.try_next_mode);
        assert!(
            failure
                .hints
                .iter()
                .any(|h| h.contains("takes no seccomp profile"))
        );
    }
}
