//! The engine, its machine, and how it would emulate.

use std::path::PathBuf;

use crate::checks::{Check, Machine, Verdict};
use crate::emulation::{Emulation, KernelVersion, on_one_line};
use crate::inventory;
use sdbuild_core::plain_file;
use sdbuild_core::system::Architecture;
use sdbuild_engine::binfmt::{Entry, Owner, TABLE_DIR, classify};

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

/// Whether the engine runs containers of Linux.
pub(super) fn operating_system(machine: &Machine<'_>) -> Option<Check> {
    let os = machine.engine?.facts.os.as_str();
    let text = format!("the engine runs containers of {os}, not of Linux");
    let check = Check::bad("architecture", text)
        .remedy("switch it to Linux containers, or point DOCKER_HOST at another engine");
    (!is_linux(os)).then_some(check)
}

/// Whether there are container images for the engine's machine.
pub(super) fn architecture(machine: &Machine<'_>) -> Option<Check> {
    let topic = "architecture";
    let facts = machine.engine?.facts;
    if !is_linux(&facts.os) {
        return None;
    }
    Some(match facts.architecture.supported() {
        Ok(_) => Check::good(
            topic,
            format!("the engine's machine is {}", facts.architecture),
        ),
        Err(failure) => Check::failed(topic, &failure),
    })
}

/// Some engines do not report it.
fn is_linux(os: &str) -> bool {
    matches!(os, "linux" | "")
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
        return Some(Check::detail(topic, "not needed: nothing is emulated"));
    }
    if !machine.is_this_kernel() {
        let text = "the engine has another kernel, so only a build can check its binfmt_misc";
        return Some(Check::good(topic, text));
    }
    // A private build has a table of its own.
    (machine.emulation != Some(Emulation::Private)).then(|| ProcFiles::of_this_machine().table())
}

/// Security modules that may keep the registrar from the table.
pub(super) fn access_control(machine: &Machine<'_>) -> Option<Check> {
    (machine.may_emulate() && machine.is_this_kernel()).then(|| {
        ProcFiles::of_this_machine().access_control(machine.request.target.system.architecture())
    })
}

/// What rootless engines and private emulation need.
pub(super) fn user_namespaces(machine: &Machine<'_>) -> Option<Check> {
    if !machine.may_emulate() || !machine.is_this_kernel() {
        return None;
    }
    let rootless = machine.engine.is_some_and(|engine| engine.facts.rootless);
    let needed = rootless || machine.emulation == Some(Emulation::Private);
    Some(ProcFiles::of_this_machine().user_namespaces(needed))
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

    /// `SELinux` and `AppArmor`; a build runs programs of the architecture `emulated`.
    fn access_control(&self, emulated: Architecture) -> Check {
        let topic = "access control";
        let selinux = self.text("/sys/fs/selinux/enforce");
        let apparmor = self.text("/sys/module/apparmor/parameters/enabled");
        match (selinux.as_deref(), apparmor.as_deref()) {
            (Some("1"), _) => Check::warning(
                topic,
                "SELinux is enforcing, and may deny binfmt_misc to the container that registers QEMU",
            )
            .remedy(format!(
                "if a build reports that, let root register {} in binfmt_misc, and give --emulation host",
                emulated.qemu_user()
            )),
            (Some(_), _) => Check::detail(topic, "SELinux is permissive"),
            (None, Some("Y")) => Check::detail(
                topic,
                "AppArmor; its profile for containers allows what a build needs",
            ),
            (None, _) => Check::detail(topic, "neither SELinux nor AppArmor is in use"),
        }
    }

    fn user_namespaces(&self, needed: bool) -> Check {
        let topic = "user namespaces";
        match self.restriction_of_user_namespaces() {
            None => Check::detail(topic, "not restricted"),
            Some((why, _)) if !needed => {
                Check::detail(topic, format!("{why}; this build does not need them"))
            }
            Some((why, command)) => {
                Check::warning(topic, why).remedy(format!("lift it: `{command}`"))
            }
        }
    }

    /// What restricts user namespaces, and the command that lifts it.
    fn restriction_of_user_namespaces(&self) -> Option<(&'static str, &'static str)> {
        let is = |path: &str, value: &str| self.text(path).as_deref() == Some(value);
        if is("/proc/sys/user/max_user_namespaces", "0") {
            let command = "sudo sysctl user.max_user_namespaces=15000";
            Some(("none are allowed", command))
        } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
            let command = "sudo sysctl kernel.unprivileged_userns_clone=1";
            Some(("allowed only for root", command))
        } else if is(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        ) {
            let command = "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0";
            Some(("restricted by AppArmor", command))
        } else {
            None
        }
    }
}

/// Its entries are told apart from the table as a whole.
const TOPIC: &str = "binfmt entries";

/// Existing handlers for the same programs. The kernel tries the newest first.
pub(super) fn existing(machine: &Machine<'_>) -> Option<Check> {
    let shared = matches!(
        machine.emulation,
        None | Some(Emulation::Register | Emulation::Host)
    );
    if !shared || !machine.is_this_kernel() {
        return None;
    }
    let architecture = machine.request.target.system.architecture();
    // What is in a table that cannot be read is not known.
    let entries = inventory::local_entries().ok()?;
    if machine.emulation != Some(Emulation::Host) {
        return foreign_handlers(&entries, architecture);
    }
    // Another mount namespace may have it mounted.
    if !inventory::is_mounted() {
        return None;
    }
    let check = usable_handlers(&entries, architecture);
    let facts = machine.engine?.facts;
    let request = machine.request;
    match Emulation::Host.last_resort(request.target.emulation, request.target.system, facts) {
        Some(failure) if check.verdict == Verdict::Bad => Some(Check {
            text: format!("{}; {}", on_one_line(&failure), check.text),
            remedies: [failure.hints, check.remedies].concat(),
            ..check
        }),
        _ => Some(check),
    }
}

fn foreign_handlers(entries: &[Entry], architecture: Architecture) -> Option<Check> {
    let foreign = |entry: &&Entry| entry.runs(architecture) && classify(entry) == Owner::Foreign;
    let names = names(entries.iter().filter(foreign));
    let text = format!(
        "{names} (registered by another program) is left alone; a build's own entry takes precedence"
    );
    (!names.is_empty()).then(|| Check::good(TOPIC, text))
}

/// Whether there is a handler to use; that of another run counts too.
fn usable_handlers(entries: &[Entry], architecture: Architecture) -> Check {
    let names = names(entries.iter().filter(|entry| entry.runs(architecture)));
    if names.is_empty() {
        let name = architecture.kernel_name();
        let text =
            format!("binfmt_misc has no entry for {name} programs, and this build needs one");
        return Check::bad(TOPIC, text).remedy(
            "install `qemu-user-static`, or leave --emulation at auto where the engine can have another",
        );
    }
    Check::good(TOPIC, format!("{names} will be used"))
}

fn names<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let names: Vec<&str> = entries.map(|entry| entry.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Verdict;
    use crate::checks::fixture::machine;
    use crate::request::BuildRequest;
    use crate::request::fixture::request;
    use sdbuild_engine::{Endpoint, EngineFacts};

    type Case<'a> = (fn(&Machine<'_>) -> Option<Check>, &'a EngineFacts, Verdict);

    fn checked(
        check: impl Fn(&Machine<'_>) -> Option<Check>,
        facts: &EngineFacts,
        request: &BuildRequest,
    ) -> Option<Check> {
        let endpoint = Endpoint::Unix("/x".into());
        check(&machine(request, facts, &endpoint))
    }

    #[test]
    fn the_chosen_mode_is_shown() {
        let facts = EngineFacts::sound();
        let text = checked(emulation, &facts, &request()).unwrap().text;
        let chosen =
            "each build adds QEMU for aarch64-linux to the kernel, and removes it at its end";
        assert_eq!(text, chosen);
        let native = EngineFacts {
            architecture: "aarch64".into(),
            ..facts
        };
        let text = checked(emulation, &native, &request()).unwrap().text;
        assert_eq!(
            text,
            "not needed, because the engine's machine runs aarch64-linux itself"
        );
    }

    #[test]
    fn every_problem_is_found_and_has_a_remedy() {
        let request = request();
        let rootless = EngineFacts {
            rootless: true,
            kernel: "6.6.12".into(),
            ..EngineFacts::sound()
        };
        let remapped = EngineFacts {
            security_options: vec!["name=userns".into()],
            ..EngineFacts::sound()
        };
        let windows = EngineFacts {
            os: "windows".into(),
            ..EngineFacts::sound()
        };
        let riscv = EngineFacts {
            architecture: "riscv64".into(),
            ..EngineFacts::sound()
        };
        let old = EngineFacts {
            kernel: "3.10.0-1160.el7".into(),
            ..EngineFacts::sound()
        };
        let cases: [Case<'_>; 6] = [
            (emulation, &rootless, Verdict::Warning),
            (rights, &remapped, Verdict::Warning),
            (operating_system, &windows, Verdict::Bad),
            (emulation, &riscv, Verdict::Bad),
            (architecture, &riscv, Verdict::Bad),
            (kernel, &old, Verdict::Bad),
        ];
        for (check, facts, verdict) in cases {
            let check = checked(check, facts, &request).unwrap();
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert!(!check.remedies.is_empty(), "{check:?}");
        }
        assert_eq!(checked(architecture, &windows, &request), None);
    }

    #[test]
    fn kernel_matters_to_emulation_only() {
        let verdict = |kernel_release: &str, architecture: &str| {
            let facts = EngineFacts {
                kernel: kernel_release.into(),
                architecture: architecture.into(),
                ..EngineFacts::sound()
            };
            checked(kernel, &facts, &request()).unwrap()
        };
        let old = verdict("3.10.0-1160.el7", "x86_64");
        assert_eq!(old.verdict, Verdict::Bad);
        assert_eq!(
            old.text,
            "emulation needs Linux 4.8 or later, but the engine's kernel is 3.10.0-1160.el7"
        );
        assert_eq!(verdict("4.8", "x86_64").verdict, Verdict::Good);
        assert_eq!(verdict("strange", "x86_64").verdict, Verdict::Good);
        assert_eq!(verdict("3.10", "aarch64").verdict, Verdict::Good);
    }

    #[test]
    fn an_unreported_system_is_not_held_against_an_engine() {
        let unknown = EngineFacts {
            os: String::new(),
            ..EngineFacts::sound()
        };
        assert_eq!(checked(operating_system, &unknown, &request()), None);
    }
}

#[cfg(test)]
mod kernel_tests {
    use std::fs;

    use super::*;
    use crate::checks::Verdict;

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
        let mounted = table(&[register, status("enabled\n")]);
        assert_eq!(mounted.verdict, Verdict::Good);
        assert!(!mounted.is_detail);
        let disabled = table(&[register, status("disabled\n")]);
        assert_eq!(disabled.verdict, Verdict::Bad);
        assert!(disabled.remedies[0].contains("status"), "{disabled:?}");
        let unmounted = table(&[filesystems("nodev\tproc\nnodev\tbinfmt_misc\n")]);
        assert_eq!(unmounted.verdict, Verdict::Warning);
        assert!(unmounted.remedies[0].contains("mount -t binfmt_misc"));
        let absent = table(&[filesystems("nodev\tproc\n")]);
        assert_eq!(absent.verdict, Verdict::Bad);
        assert_eq!(table(&[]).verdict, Verdict::Bad);
    }

    #[test]
    fn selinux_is_reported_before_apparmor() {
        let text = |files: &[(&str, &str)]| {
            let (_dir, machine) = machine(files);
            let check = machine.access_control(Architecture::Aarch64);
            (check.verdict, check.text)
        };
        let apparmor = ("sys/module/apparmor/parameters/enabled", "Y\n");
        let (verdict, found) = text(&[("sys/fs/selinux/enforce", "1"), apparmor]);
        assert!(
            verdict == Verdict::Warning && found.contains("SELinux is enforcing"),
            "{found}"
        );
        assert!(text(&[apparmor]).1.starts_with("AppArmor"));
        assert_eq!(text(&[]).0, Verdict::Good);
        let (_dir, plain) = machine(&[]);
        assert!(plain.access_control(Architecture::Aarch64).is_detail);
        assert!(plain.user_namespaces(true).is_detail);
    }

    #[test]
    fn user_namespace_limits_matter_only_where_needed() {
        for (path, value) in [
            ("proc/sys/user/max_user_namespaces", "0"),
            ("proc/sys/kernel/unprivileged_userns_clone", "0"),
            ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
        ] {
            let (_dir, machine) = machine(&[(path, value)]);
            let unneeded = machine.user_namespaces(false);
            assert_eq!(unneeded.verdict, Verdict::Good, "{path}");
            let check = machine.user_namespaces(true);
            assert_eq!(check.verdict, Verdict::Warning, "{path}");
            assert!(!check.remedies.is_empty());
        }
    }
}

#[cfg(test)]
mod handlers_tests {
    use super::*;
    use sdbuild_engine::binfmt::parse;

    #[test]
    fn foreign_handlers_are_named_and_a_missing_one_is_bad() {
        let text = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: F\noffset 0\n\
            magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
        let foreign = parse("qemu-aarch64", text);
        let ours = parse("sdbuild-aarch64-0123456789ab", text);
        let other = parse(
            "python3.11",
            "enabled\ninterpreter /x\nflags: \noffset 0\nmagic a70d0d0a\n",
        );
        let arm = Architecture::Aarch64;
        assert_eq!(foreign_handlers(std::slice::from_ref(&other), arm), None);
        let found = foreign_handlers(&[foreign.clone(), other.clone()], arm).unwrap();
        assert!(
            found
                .text
                .starts_with("qemu-aarch64 (registered by another program)"),
            "{found:?}"
        );
        let none = usable_handlers(&[other], arm);
        assert_eq!(none.verdict, Verdict::Bad);
        assert!(
            none.text.starts_with("binfmt_misc has no entry for"),
            "{none:?}"
        );
        for usable in [foreign, ours] {
            let usable = [usable];
            assert_eq!(usable_handlers(&usable, arm).verdict, Verdict::Good);
            let check = usable_handlers(&usable, Architecture::X86_64);
            assert_eq!(check.verdict, Verdict::Bad, "{check:?}");
        }
    }
}
