//! Private emulation: a container's own table of handlers, in a user namespace of its own. Nothing is
//! registered on the host, so there is nothing to hold and nothing to remove.

use crate::binfmt::probe::{self, HandlerKind, said};
use crate::binfmt::registrar::RegistrarImage;
use crate::binfmt::{refusal, registration};
use crate::common::cancel::Cancel;
use crate::common::failure::{Failure, Leftover};
use crate::engine::{Container, ContainerGuard, ContainerSpec, Engine, EntryWrapper, RunId};

/// The engines' default and the few calls that `enter` needs; its README explains each.
const SECCOMP: &str = include_str!("../../containers/builder/seccomp.json");

/// Private emulation that has been seen to work on this engine.
#[derive(Debug)]
#[must_use = "release it, or the probe's container stays until the next sweep"]
pub struct PrivateBinfmt {
    guard: ContainerGuard,
    source: Container,
    enclosure: EntryWrapper,
}

impl PrivateBinfmt {
    /// Really runs an `AArch64` program with a handler that its container alone has. `image` is the
    /// registrar's, because all that is needed is in it; nobody registers anything.
    pub async fn verify(
        engine: &Engine,
        image: &RegistrarImage,
        run: &RunId,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let enclosure = enclosure();
        let mut spec = probe::spec(image, run);
        enclosure.apply_to(&mut spec);
        let mut guard = ContainerGuard::arm(engine, &spec.name).grace(0);
        match start_verified(&mut guard, &spec, cancel).await {
            Ok(source) => Ok(Self {
                guard,
                source,
                enclosure,
            }),
            Err(failure) => {
                let left = guard.remove(cancel).await;
                Err(failure
                    .context("give a container a handler of its own")
                    .with_teardown(left.into_iter().collect()))
            }
        }
    }

    /// What a builder is put into, and who has the files for it while this value lives.
    pub fn entry_wrapper(&self) -> (&EntryWrapper, &Container) {
        (&self.enclosure, &self.source)
    }

    /// Removes the container that it was proved with. Handlers go with the containers that have them.
    pub async fn release(self, cancel: &Cancel) -> Option<Leftover> {
        self.guard.remove(cancel).await
    }
}

async fn start_verified(
    guard: &mut ContainerGuard,
    spec: &ContainerSpec,
    cancel: &Cancel,
) -> Result<Container, Failure> {
    let made = cancel.race(guard.create(spec)).await?;
    let container = made.map_err(refusal::of_engine)?;
    match said(&container, (cancel, HandlerKind::Own)).await? {
        Ok((exit, lines)) => refusal::judge(exit, &lines)?,
        Err(error) => return Err(refusal::of_engine(error)),
    }
    Ok(container)
}

fn enclosure() -> EntryWrapper {
    let (name, registration) = registration::line();
    EntryWrapper {
        command: ["/sdbuild/busybox", "sh", "/sdbuild/enter"]
            .map(str::to_owned)
            .to_vec(),
        environment: vec![(name, registration)],
        seccomp: SECCOMP,
        files: vec![("/sdbuild", "/")],
        // In the place of a link among the files, which leads to where images of ours have it.
        tools: vec![("/usr/bin/busybox", "/sdbuild")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every rule that lets `call` through.
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

    /// Whether the only rule for `call` lets an argument pass.
    fn passes(call: &str, argument: u64) -> bool {
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
    fn what_engines_deny_stays_denied() {
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
    fn namespaces_of_two_kinds_and_new_file_systems_are_all_that_is_added() {
        let (user, mounts) = (0x1000_0000, 0x2_0000);
        assert!(passes("unshare", user | mounts) && passes("unshare", user));
        for other in [
            0x4000_0000,
            0x2000_0000,
            0x0800_0000,
            0x0400_0000,
            0x0200_0000,
            0x80,
        ] {
            assert!(!passes("unshare", user | other), "{other:x}");
            assert!(!passes("clone", other) || other == 0x80, "{other:x}");
        }
        assert!(!passes("clone", user) && passes("clone", 0x11));
        assert!(passes("mount", 0) && passes("mount", 0x8000));
        for (flag, why) in [(0x1000, "bind"), (0x2000, "move"), (0x20, "remount")] {
            assert!(!passes("mount", flag), "{why}");
        }
    }
}
