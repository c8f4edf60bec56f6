//! Private emulation: a container with its own table of handlers, in its own user namespace. Nothing is registered on the
//! host, so nothing has to be held or removed.

use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, Leftover};
use sdbuild_core::system::Architecture;

use crate::binfmt::probe::{HandlerKind, Probed, run_to_end};
use crate::binfmt::registrar::RegistrarImage;
use crate::binfmt::registration::Registration;
use crate::binfmt::{probe, registrar};
use crate::{Container, ContainerGuard, ContainerSpec, Engine, EntryWrapper, RunId};

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
    ) -> Result<Self, Failure> {
        let wrapper = entry_wrapper(image.emulates);
        let mut spec = probe::spec(image, run);
        wrapper.apply_to(&mut spec);
        let mut guard = ContainerGuard::arm(engine, &spec.name).grace(0);
        let probed = Probed::new(image, HandlerKind::Own);
        match start_verified(&mut guard, &spec, probed, cancel).await {
            Ok(source) => Ok(Self {
                guard,
                source,
                wrapper,
            }),
            Err(failure) => {
                let leftover = guard.remove(cancel).await;
                Err(failure
                    .context("register QEMU inside a container only")
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

async fn start_verified(
    guard: &mut ContainerGuard,
    spec: &ContainerSpec,
    probed: Probed,
    cancel: &Cancel,
) -> Result<Container, Failure> {
    let created = cancel.race(guard.create(spec)).await?;
    let container = created.map_err(registrar::of_engine)?;
    let ended = run_to_end(&container, probed, cancel).await?;
    let (exit, lines) = ended.map_err(registrar::of_engine)?;
    registrar::judge(exit, &lines, probed)?;
    Ok(container)
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
        let profile: serde_json::Value = serde_json::from_str(SECCOMP).unwrap();
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
        let profile: serde_json::Value = serde_json::from_str(SECCOMP).unwrap();
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
}
