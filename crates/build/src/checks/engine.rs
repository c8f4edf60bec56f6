//! The engine, its machine, and how it would emulate.

use std::path::PathBuf;

use crate::checks::{Check, Machine, Verdict};
use crate::emulation::{Emulation, KernelVersion, on_one_line};
use crate::inventory;
use sdbuild_core::plain_file;
use sdbuild_core::system::Architecture;
use sdbuild_engine::binfmt::{Entry, TABLE_DIR, UserNamespaceLimit};

/// The first kernel whose handlers have the flag `F`, without which containers do not see the emulator.
const FIX_BINARY: KernelVersion = KernelVersion::new(4, 8);

/// The check that names the engine.
pub(super) fn identity(machine: &Machine<'_>) -> Option<Check> {
    let engine = machine.engine?;
    let (major, minor) = engine.facts.api;
    let text = format!(
        "{} answers at {}, API {major}.{minor}",
        engine.facts.title(),
        engine.endpoint
    );
    Some(Check::good("engine", text))
}

/// Whether containers of the engine may write to the kernel's table of handlers.
pub(super) fn rights(machine: &Machine<'_>) -> Option<Check> {
    let topic = "rights";
    let facts = machine.engine?.facts;
    let qemu = machine.request.target.system.architecture().qemu_user();
    // An engine that maps users reports the option by its whole name.
    let maps_users = |option: &String| option.split(',').any(|word| word == "name=userns");
    Some(if facts.rootless {
        Check::good(
            topic,
            "the engine runs rootless and cannot register QEMU in the kernel's binfmt_misc",
        )
    } else if facts.desktop {
        Check::good(
            topic,
            "Docker Desktop may hide its kernel's binfmt_misc from containers: \
             `auto` then uses `private`, or the QEMU that Docker Desktop has registered",
        )
    } else if facts.security_options.iter().any(maps_users) {
        Check::warning(
            topic,
            "the engine maps its containers' users (`userns-remap`): their root may not register QEMU in binfmt_misc",
        )
        .remedy("give --emulation private (Linux 6.7 or later), which registers QEMU inside the builder only")
        .remedy(format!(
            "or let root register {qemu} in binfmt_misc and give --emulation host"
        ))
        .remedy("or run the engine without `userns-remap`")
    } else {
        Check::good(topic, "the engine runs as root, and this user may use it")
    })
}

/// Whether the engine runs containers of Linux, and there are container images for its machine.
pub(super) fn architecture(machine: &Machine<'_>) -> Option<Check> {
    let topic = "architecture";
    let facts = machine.engine?.facts;
    // Some engines do not report it.
    if !matches!(facts.os.as_str(), "linux" | "") {
        let text = format!("the engine runs containers of {}, not of Linux", facts.os);
        let remedy = "switch it to Linux containers, or point DOCKER_HOST at another engine";
        return Some(Check::bad(topic, text).remedy(remedy));
    }
    let architecture = &facts.architecture;
    Some(match architecture.supported() {
        Ok(_) => Check::good(topic, format!("the engine's machine is {architecture}")),
        Err(failure) => Check::failed(topic, &failure),
    })
}

/// Whether the kernel of the engine's machine is new enough for emulation.
pub(super) fn kernel(machine: &Machine<'_>) -> Option<Check> {
    let topic = "kernel";
    let release = &machine.engine?.facts.kernel;
    let is_old = KernelVersion::of(release).is_some_and(|version| version < FIX_BINARY);
    if is_old && machine.may_emulate() {
        let text = format!(
            "emulation needs Linux {FIX_BINARY} or later, but the engine's kernel is {release}"
        );
        return Some(
            Check::bad(topic, text)
                .remedy("update the system that the engine runs on")
                .remedy("or point DOCKER_HOST at an engine on a newer machine"),
        );
    }
    Some(Check::good(topic, format!("Linux {release}")))
}

/// How programs of the image run.
pub(super) fn emulation(machine: &Machine<'_>) -> Option<Check> {
    let topic = "emulation";
    let (facts, request) = (machine.engine?.facts, machine.request);
    let (choice, system) = (request.target.emulation, request.target.system);
    let builders = &request.resources.builders.machines;
    let chosen = match Emulation::choose_with(builders, choice, system, facts) {
        Ok(chosen) => chosen,
        Err(failure) => return Some(Check::failed(topic, &failure)),
    };
    let text = match chosen {
        Emulation::Builders => format!("none: remote builders build for {system}"),
        Emulation::Register => {
            format!("each build adds QEMU for {system} to the kernel, and removes it at its end")
        }
        Emulation::Private => {
            format!("each build adds QEMU for {system} where only its container sees it")
        }
        Emulation::Host => format!("the kernel has QEMU for {system} already"),
        Emulation::Native => {
            format!("not needed, because the engine's machine runs {system} itself")
        }
    };
    let Some(failure) = chosen.last_resort(choice, system, facts) else {
        return Some(Check::good(topic, text));
    };
    Some(Check {
        remedies: failure.hints.clone(),
        ..Check::warning(topic, format!("{text}: {}", on_one_line(&failure)))
    })
}

/// Files of the kernel that are read here have a few lines.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// This machine's files, below another root in tests.
struct ProcFiles {
    root: PathBuf,
}

/// Whether the registrar reaches the kernel's table.
pub(super) fn table(machine: &Machine<'_>) -> Option<Check> {
    let topic = "binfmt_misc";
    if !machine.may_emulate() {
        return None;
    }
    if !machine.is_this_kernel() {
        let text = "the engine has another kernel, so only a build can check its binfmt_misc";
        return Some(Check::good(topic, text));
    }
    // A private build has a table of its own.
    (machine.emulation != Some(Emulation::Private)).then(|| ProcFiles::of_this_machine().table())
}

/// What security modules and the kernel's settings may keep the registrar, or private emulation, from.
pub(super) fn restrictions(machine: &Machine<'_>) -> Option<Check> {
    if !machine.may_emulate() || !machine.is_this_kernel() {
        return None;
    }
    let rootless = machine.engine.is_some_and(|engine| engine.facts.rootless);
    let files = ProcFiles::of_this_machine();
    if rootless || machine.emulation == Some(Emulation::Private) {
        files.user_namespaces()
    } else {
        files.selinux(machine.request.target.system.architecture())
    }
}

impl ProcFiles {
    fn of_this_machine() -> Self {
        Self { root: "/".into() }
    }

    /// The file that this machine has at `path`, which is absolute.
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The trimmed text of a small file of the kernel; `None` when it cannot be read.
    fn text(&self, path: &str) -> Option<String> {
        let text = plain_file::read_text(&self.path(path), MAX_FILE_BYTES).ok()?;
        Some(text.trim().to_owned())
    }

    fn table(&self) -> Check {
        let topic = "binfmt_misc";
        let dir = self.path(TABLE_DIR);
        if dir.join("register").exists() {
            return match self.text(&format!("{TABLE_DIR}/status")).as_deref() {
                Some("disabled") => Check::bad(
                    topic,
                    "binfmt_misc is disabled, so the kernel cannot start programs with QEMU",
                )
                .remedy("let root enable it: `echo 1 | sudo tee /proc/sys/fs/binfmt_misc/status`"),
                _ => Check::good(
                    topic,
                    "QEMU can be added to the kernel, by a container without privileges",
                ),
            };
        }
        let mount = "sudo mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc";
        let filesystems = self.text("/proc/filesystems");
        // The directory is there also when the module is not loaded yet: mounting it loads it.
        if dir.exists() || filesystems.is_some_and(|text| text.contains("binfmt_misc")) {
            let text = "not mounted; a privileged container mounts it during a build";
            return Check::warning(topic, text).remedy(format!("mount it: `{mount}`"));
        }
        Check::bad(topic, "the kernel has no binfmt_misc, or has not loaded it").remedy(format!(
            "load and mount it: `sudo modprobe binfmt_misc && {mount}`"
        ))
    }

    /// The warning about `SELinux`, if it is enforcing; a build runs programs of the architecture `emulated`.
    fn selinux(&self, emulated: Architecture) -> Option<Check> {
        let is_enforcing = self.text("/sys/fs/selinux/enforce").as_deref() == Some("1");
        let text =
            "SELinux is enforcing, and may deny binfmt_misc to the container that registers QEMU";
        is_enforcing.then(|| Check::warning("access control", text).remedy(format!(
            "if a build reports that, let root register {} in binfmt_misc, and give --emulation host",
            emulated.qemu_user()
        )))
    }

    /// The warning about the setting that restricts user namespaces, if there is one.
    fn user_namespaces(&self) -> Option<Check> {
        let mut all = UserNamespaceLimit::ALL.iter();
        let limit = all.find(|limit| {
            self.text(&format!("/proc/sys/{}", limit.setting))
                .as_deref()
                == Some(limit.value)
        })?;
        let check = Check::warning("user namespaces", format!("this machine {}", limit.effect));
        Some(check.remedy(format!("lift it: `{}`", limit.remedy())))
    }
}

/// The handler that a build uses which adds none; that of another run counts too.
pub(super) fn existing(machine: &Machine<'_>) -> Option<Check> {
    // Another mount namespace may have the table mounted.
    if machine.emulation != Some(Emulation::Host)
        || !machine.is_this_kernel()
        || !inventory::is_mounted()
    {
        return None;
    }
    let request = machine.request;
    let system = request.target.system;
    // What is in a table that cannot be read is not known.
    let entries = inventory::local_entries().ok()?;
    let check = usable_handlers(&entries, system.architecture());
    let facts = machine.engine?.facts;
    match Emulation::Host.last_resort(request.target.emulation, system, facts) {
        Some(failure) if check.verdict == Verdict::Bad => Some(Check {
            text: format!("{}; {}", on_one_line(&failure), check.text),
            remedies: [failure.hints, check.remedies].concat(),
            ..check
        }),
        _ => Some(check),
    }
}

fn usable_handlers(entries: &[Entry], architecture: Architecture) -> Check {
    let topic = "binfmt entries";
    let usable = entries.iter().filter(|entry| entry.runs(architecture));
    let names: Vec<&str> = usable.map(|entry| entry.name.as_str()).collect();
    if names.is_empty() {
        let name = architecture.kernel_name();
        let text =
            format!("binfmt_misc has no entry for {name} programs, and this build needs one");
        return Check::bad(topic, text).remedy(
            "install `qemu-user-static`, or leave --emulation at auto where the engine can have another",
        );
    }
    Check::good(topic, format!("{} will be used", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sdbuild_engine::EngineFacts;
    use sdbuild_engine::binfmt::parse;

    use super::*;
    use crate::checks::Verdict::{Bad, Good, Warning};
    use crate::checks::fixture::checked;

    type CheckFn = fn(&Machine<'_>) -> Option<Check>;
    type Change = fn(&mut EngineFacts);

    #[test]
    fn every_problem_of_an_engine_is_found_and_has_a_remedy() {
        let cases: [(CheckFn, Change, Verdict); 10] = [
            (
                emulation,
                |facts| (facts.rootless, facts.kernel) = (true, "6.6.12".into()),
                Warning,
            ),
            (
                emulation,
                |facts| facts.architecture = "riscv64".into(),
                Bad,
            ),
            (
                rights,
                |facts| facts.security_options = vec!["name=userns".into()],
                Warning,
            ),
            (architecture, |facts| facts.os = "windows".into(), Bad),
            (architecture, |facts| facts.os = String::new(), Good),
            (
                architecture,
                |facts| facts.architecture = "riscv64".into(),
                Bad,
            ),
            (kernel, |facts| facts.kernel = "3.10.0-1160.el7".into(), Bad),
            (kernel, |facts| facts.kernel = "4.8".into(), Good),
            (kernel, |facts| facts.kernel = "strange".into(), Good),
            (
                kernel,
                |facts| {
                    (facts.kernel, facts.architecture) = ("3.10".into(), "aarch64".into());
                },
                Good,
            ),
        ];
        for (check, change, verdict) in cases {
            let mut facts = EngineFacts::sound();
            change(&mut facts);
            let check = checked(&facts, None, check).unwrap();
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert_eq!(check.remedies.is_empty(), verdict == Good, "{check:?}");
        }
    }

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, ProcFiles) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = dir.path().to_owned();
        (dir, ProcFiles { root })
    }

    #[test]
    fn table_is_mounted_disabled_unmounted_or_absent() {
        let register = ("proc/sys/fs/binfmt_misc/register", "");
        let status = |text| ("proc/sys/fs/binfmt_misc/status", text);
        let filesystems = |text| ("proc/filesystems", text);
        let table = |files: &[(&str, &str)]| {
            let (_dir, machine) = machine(files);
            machine.table()
        };
        assert_eq!(table(&[register, status("enabled\n")]).verdict, Good);
        let disabled = table(&[register, status("disabled\n")]);
        assert_eq!(disabled.verdict, Bad);
        assert!(disabled.remedies[0].contains("status"), "{disabled:?}");
        let unmounted = table(&[filesystems("nodev\tproc\nnodev\tbinfmt_misc\n")]);
        assert_eq!(unmounted.verdict, Warning);
        assert!(unmounted.remedies[0].contains("mount -t binfmt_misc"));
        assert_eq!(table(&[filesystems("nodev\tproc\n")]).verdict, Bad);
        assert_eq!(table(&[]).verdict, Bad);
    }

    #[test]
    fn what_restricts_containers_is_a_warning() {
        let (_dir, plain) = machine(&[("sys/fs/selinux/enforce", "0")]);
        assert_eq!(plain.user_namespaces(), None);
        assert_eq!(plain.selinux(Architecture::Aarch64), None);
        let (_dir, enforcing) = machine(&[("sys/fs/selinux/enforce", "1")]);
        let check = enforcing.selinux(Architecture::Aarch64).unwrap();
        assert!(check.remedies[0].contains("qemu-aarch64"), "{check:?}");
        for (setting, value, remedy) in [
            (
                "user/max_user_namespaces",
                "0",
                "user.max_user_namespaces=10000",
            ),
            (
                "kernel/unprivileged_userns_clone",
                "0",
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                "kernel/apparmor_restrict_unprivileged_userns",
                "1",
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
        ] {
            let (_dir, machine) = machine(&[(&format!("proc/sys/{setting}"), value)]);
            let check = machine.user_namespaces().unwrap();
            assert!(check.remedies[0].contains(remedy), "{check:?}");
        }
    }

    #[test]
    fn a_missing_handler_is_bad() {
        let text = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: F\noffset 0\n\
            magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
        let other = "enabled\ninterpreter /x\nflags: \noffset 0\nmagic a70d0d0a\n";
        let verdict = |entry, architecture| usable_handlers(&[entry], architecture).verdict;
        for name in ["qemu-aarch64", "sdbuild-aarch64-0123456789ab"] {
            assert_eq!(verdict(parse(name, text), Architecture::Aarch64), Good);
            assert_eq!(verdict(parse(name, text), Architecture::X86_64), Bad);
        }
        assert_eq!(
            verdict(parse("python3.11", other), Architecture::Aarch64),
            Bad
        );
    }
}
