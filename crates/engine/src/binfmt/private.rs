//! Private emulation: a container with its own table of handlers, in its own user namespace. Nothing is registered on the
//! host, so nothing has to be held or removed.

use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::system::Architecture;

use crate::binfmt::probe::{HandlerKind, Probed, run_to_end, spec};
use crate::binfmt::refused::Refused;
use crate::binfmt::registrar::RegistrarImage;
use crate::binfmt::registration::Registration;
use crate::{Container, ContainerGuard, Engine, EngineError, EntryWrapper, RunId};

/// The engines' default profile plus the few system calls that `enter` needs; its README explains each.
const SECCOMP: &str = include_str!("../../../../containers/builder/seccomp.json");

/// Private emulation that was tested on this engine. Holds the probe's container, from which files are copied.
#[derive(Debug)]
#[must_use = "release it, or the probe's container stays until the next sweep"]
pub struct PrivateBinfmt {
    guard: ContainerGuard,
    source: Container,
    wrapper: EntryWrapper,
}

impl PrivateBinfmt {
    /// Runs an emulated program in a container with a handler of its own. `image` is the registrar's, which contains all
    /// files that this needs.
    pub async fn verify(
        engine: &Engine,
        image: &RegistrarImage,
        run: &RunId,
        cancel: &Cancel,
    ) -> Result<Self, Refused> {
        let wrapper = entry_wrapper(image.emulates);
        let mut spec = spec(image, run);
        wrapper.apply_to(&mut spec);
        let mut guard = ContainerGuard::arm(engine, &spec.name).grace(0);
        let probed = Probed::new(image, HandlerKind::Own);
        match run_to_end(&mut guard, &spec, probed, cancel).await {
            Ok(source) => Ok(Self {
                guard,
                source,
                wrapper,
            }),
            Err(refused) => {
                let leftover = guard.remove(cancel).await;
                Err(refused
                    .map(|failure| failure.during("register QEMU inside a container only"))
                    .with_teardown(leftover.into_iter().collect()))
            }
        }
    }

    /// The wrapper for a builder's program, and the container to copy its files from while this value exists.
    pub fn entry_wrapper(&self) -> (&EntryWrapper, &Container) {
        (&self.wrapper, &self.source)
    }

    /// Removes the probe's container. Builders that have the files already keep their own handlers.
    pub async fn release(self, cancel: &Cancel) -> Option<Leftover> {
        self.guard.remove(cancel).await
    }
}

/// What `enter` prints before the step that failed.
const FAILED_STEP: &str = "sdbuild: private emulation: ";

/// Why the container with the output `lines` got no table of its own; `None` if it has one.
pub(super) fn failed_step(lines: &[String]) -> Option<Refused> {
    let mut steps = lines
        .iter()
        .filter_map(|line| line.strip_prefix(FAILED_STEP));
    steps
        .next()
        .map(|step| Refused::next_mode(explain(step, lines)))
}

/// The error for an engine that does not create or start the probe's container. Another mode of emulation may work if the
/// engine refuses its security profiles, which no other container has.
pub(super) fn explain_refusal(error: EngineError) -> Refused {
    let message = error.refusal().unwrap_or_default();
    let concerns_profiles = error.is_forbidden() || message.contains("apparmor");
    let failure = Failure::from(error);
    if message.contains("seccomp") {
        Refused::next_mode(failure).hint("the engine accepts no seccomp profile from its clients")
    } else if concerns_profiles {
        Refused::next_mode(failure)
    } else {
        Refused::from(failure)
    }
}

/// A setting of the kernel that keeps containers from private emulation.
#[derive(Debug)]
struct UserNamespaceLimit {
    /// Its path below `/proc/sys`.
    setting: &'static str,
    /// The value that forbids it.
    value: &'static str,
    /// What a machine with that value does.
    effect: &'static str,
    lifted: &'static str,
}

impl UserNamespaceLimit {
    /// All that are known.
    const ALL: [Self; 3] = [
        Self {
            setting: "user/max_user_namespaces",
            value: "0",
            effect: "allows no user namespaces",
            lifted: "10000",
        },
        Self {
            setting: "kernel/unprivileged_userns_clone",
            value: "0",
            effect: "allows user namespaces only for root",
            lifted: "1",
        },
        Self {
            setting: APPARMOR,
            value: "1",
            effect: "restricts user namespaces by AppArmor",
            lifted: "0",
        },
    ];

    /// The command that lifts it.
    fn remedy(&self) -> String {
        format!(
            "sudo sysctl {}={}",
            self.setting.replace('/', "."),
            self.lifted
        )
    }
}

/// `AppArmor` lets a confined program create the namespace, but without capabilities in it.
const APPARMOR: &str = "kernel/apparmor_restrict_unprivileged_userns";

/// The failure for a step of `enter`; `lines` contain the kernel's settings as `sdbuild: SETTING = VALUE`.
fn explain(step: &str, lines: &[String]) -> Failure {
    let is_namespace = step.starts_with("namespaces: ");
    if is_namespace
        && step.contains("No space left")
        && let Some(limit) = exhausted(lines)
    {
        return Failure::environment(step)
            .consequence(format!(
                "all {limit} user namespaces that the engine's machine allows are in use"
            ))
            .hint(format!(
                "end the programs that use them, or let root allow more there: `sudo sysctl user.max_user_namespaces={}`",
                limit.saturating_mul(2)
            ));
    }
    let applies = |limit: &&UserNamespaceLimit| {
        let line = format!("sdbuild: {} = {}", limit.setting, limit.value);
        (is_namespace || limit.setting == APPARMOR) && lines.contains(&line)
    };
    let limit = UserNamespaceLimit::ALL.iter().find(applies);
    let (consequence, hint) = if let Some(limit) = limit {
        (
            format!("the engine's machine {}", limit.effect),
            format!("let root allow them there: `{}`", limit.remedy()),
        )
    } else if is_namespace {
        (
            "the engine lets no container create a user namespace".to_owned(),
            "its seccomp filter or a security module of its machine forbids `unshare`".to_owned(),
        )
    } else if step.starts_with("mount: ") || step.starts_with("cover: ") {
        (
            "a container cannot mount a binfmt_misc of its own".to_owned(),
            "this needs Linux 6.7 or later, and SELinux or AppArmor must allow it".to_owned(),
        )
    } else {
        return Failure::environment(step);
    };
    Failure::environment(step)
        .consequence(consequence)
        .hint(hint)
}

/// How many user namespaces the kernel allows, according to `lines`, if it allows any.
fn exhausted(lines: &[String]) -> Option<u64> {
    let line = |line: &String| {
        let value = line.strip_prefix("sdbuild: user/max_user_namespaces = ")?;
        value.parse().ok()
    };
    lines.iter().find_map(line).filter(|limit| *limit > 0)
}

fn entry_wrapper(emulates: Architecture) -> EntryWrapper {
    let (name, registration) = Registration::of(emulates).line();
    EntryWrapper {
        command: ["/sdbuild/busybox", "sh", "/sdbuild/enter"]
            .map(str::to_owned)
            .to_vec(),
        environment: vec![(name, registration)],
        seccomp: SECCOMP,
        files: vec![("/sdbuild", "/")],
        // Replaces a link among the files, which points to where sdbuild's own images have busybox.
        tools: vec![("/usr/bin/busybox", "/sdbuild")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every rule that allows `call`.
    fn rules(call: &str) -> Vec<serde_json::Value> {
        let profile: serde_json::Value = sdbuild_core::untrusted::json(SECCOMP).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        let rules = profile["syscalls"].as_array().unwrap().clone();
        let names = |rule: &serde_json::Value| rule["names"].as_array().unwrap().clone();
        rules
            .into_iter()
            .filter(|rule| {
                names(rule).iter().any(|name| name == call) && rule["action"] == "SCMP_ACT_ALLOW"
            })
            .collect()
    }

    /// Whether the only rule for `call` allows an argument.
    fn allows(call: &str, argument: u64) -> bool {
        let rules = rules(call);
        let [rule] = &rules[..] else {
            panic!("{call}: {rules:?}")
        };
        let [check] = &rule["args"].as_array().unwrap()[..] else {
            panic!("{rule}")
        };
        assert_eq!(check["op"], "SCMP_CMP_MASKED_EQ");
        argument & check["value"].as_u64().unwrap() == check["valueTwo"].as_u64().unwrap()
    }

    #[test]
    fn calls_of_an_engines_own_architecture_only_are_allowed() {
        let profile: serde_json::Value = sdbuild_core::untrusted::json(SECCOMP).unwrap();
        for architecture in Architecture::ALL {
            let name = architecture.kernel_name().to_uppercase();
            let entry = serde_json::json!({
                "architecture": format!("SCMP_ARCH_{name}"), "subArchitectures": [],
            });
            let known = profile["archMap"].as_array().unwrap();
            assert!(known.contains(&entry), "{known:?}");
        }
    }

    #[test]
    fn calls_that_engines_deny_stay_denied() {
        for call in [
            "bpf",
            "keyctl",
            "add_key",
            "umount2",
            "pivot_root",
            "chroot",
            "setns",
            "fsopen",
            "move_mount",
            "open_tree",
            "mount_setattr",
            "perf_event_open",
            "userfaultfd",
            "io_uring_setup",
            "init_module",
            "kexec_load",
            "clone3",
            "open_by_handle_at",
        ] {
            assert!(rules(call).is_empty(), "{call}");
        }
        assert_eq!(rules("openat").len(), 1);
    }

    #[test]
    fn adds_only_two_kinds_of_namespaces_and_new_mounts() {
        let (user, mounts) = (0x1000_0000, 0x2_0000);
        assert!(allows("unshare", user | mounts) && allows("unshare", user));
        for other in [
            0x4000_0000,
            0x2000_0000,
            0x0800_0000,
            0x0400_0000,
            0x0200_0000,
            0x80,
        ] {
            assert!(!allows("unshare", user | other), "{other:x}");
            assert!(!allows("clone", other) || other == 0x80, "{other:x}");
        }
        assert!(!allows("clone", user) && allows("clone", 0x11));
        assert!(allows("mount", 0) && allows("mount", 0x8000));
        for (flag, why) in [(0x1000, "bind"), (0x2000, "move"), (0x20, "remount")] {
            assert!(!allows("mount", flag), "{why}");
        }
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
                vec![many, &full],
                "all 96365 user namespaces",
                "max_user_namespaces=192730",
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
            let lines: Vec<_> = lines
                .iter()
                .map(|line| format!("sdbuild: {line}"))
                .collect();
            let refused = failed_step(&lines).unwrap();
            assert!(refused.of_this_mode);
            let failure = refused.failure;
            let (text, hints) = (failure.to_string(), failure.hints.join("\n"));
            assert!(
                text.contains(what) && hints.contains(hint),
                "{text}\n{hints}"
            );
        }
        assert!(failed_step(&["aarch64".to_owned()]).is_none());
    }

    #[test]
    fn an_engine_that_refuses_the_profile_has_a_hint() {
        let refused = |message: &str| {
            explain_refusal(EngineError::Refused {
                operation: "create container x".into(),
                status: 500,
                message: message.into(),
            })
        };
        let full = refused("no space left on device");
        assert!(!full.of_this_mode, "every mode needs disk space");
        let profile = refused("opening seccomp profile failed: file name too long");
        assert!(profile.of_this_mode);
        let hints = profile.failure.hints;
        assert!(
            hints
                .iter()
                .any(|hint| hint.contains("accepts no seccomp profile"))
        );
    }
}
