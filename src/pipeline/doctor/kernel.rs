//! The kernel's table of handlers, and what may keep containers from it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::binfmt::{Entry, Owner, classify};
use crate::engine::Engine;
use crate::pipeline::binfmt_table;
use crate::pipeline::doctor::Check;
use crate::pipeline::emulation::Emulation;
use crate::settings;

/// This machine's files, below another root in tests.
struct Machine {
    root: PathBuf,
}

/// What depends on the kernel of the engine's machine, as far as it can be seen from here.
pub(super) fn checks(engine: Option<&Engine>, settings: &settings::Build) -> Vec<Check> {
    let machine = Machine { root: "/".into() };
    let taken = engine
        .map(|engine| Emulation::choose(settings.emulation, settings.system, engine.facts()).ok());
    if taken == Some(Some(Emulation::Native)) {
        return vec![Check::good(
            "binfmt_misc",
            "not needed: nothing is emulated",
        )];
    }
    if engine.is_some_and(|engine| !engine.is_on_this_kernel()) {
        let text = "the engine's kernel is another one: its table is looked at when a build begins";
        return vec![Check::good("binfmt_misc", text)];
    }
    let private = taken == Some(Some(Emulation::Private));
    let mut checks = Vec::new();
    // A private build has a table of its own.
    if !private {
        checks.push(machine.table());
        let entries = binfmt_table::local_entries();
        checks.extend(handlers(&entries, taken == Some(Some(Emulation::Host))));
    }
    checks.push(machine.confinement());
    let rootless = engine.is_some_and(|engine| engine.facts().rootless);
    checks.push(machine.user_namespaces(rootless || private));
    checks
}

/// Other people's handlers for the same programs. The kernel asks the newest first.
fn handlers(entries: &[Entry], needed: bool) -> Option<Check> {
    let topic = "handlers";
    let is_aarch64 = |entry: &&Entry| {
        let same_machine = entry.magic.get(36..40) == Some("b700");
        same_machine && entry.enabled && classify(entry) == Owner::Foreign
    };
    let names: Vec<&str> = entries
        .iter()
        .filter(is_aarch64)
        .map(|e| e.name.as_str())
        .collect();
    let names = names.join(", ");
    match (names.is_empty(), needed) {
        (true, false) => None,
        (true, true) => Some(
            Check::bad(
                topic,
                "the build is to use a handler for aarch64 that is there, and none is",
            )
            .remedy("install `qemu-user-static`, or leave --emulation at auto where the engine can have another"),
        ),
        (false, true) => Some(Check::good(topic, format!("{names} will be used"))),
        (false, false) => Some(Check::good(
            topic,
            format!("{names}: others', left alone, ours goes first"),
        )),
    }
}

impl Machine {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The trimmed text of a small file of the kernel's.
    fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.path(path)).ok()?;
        Some(text.trim().to_owned())
    }

    fn table(&self) -> Check {
        let topic = "binfmt_misc";
        let dir = "proc/sys/fs/binfmt_misc";
        let exists = |path: &Path| path.exists();
        if exists(&self.path(dir).join("register")) {
            return match self.text("proc/sys/fs/binfmt_misc/status").as_deref() {
                Some("disabled") => {
                    Check::bad(topic, "the kernel's table of handlers is switched off")
                        .remedy("switch it on: `echo 1 | sudo tee /proc/sys/fs/binfmt_misc/status`")
                }
                _ => Check::good(
                    topic,
                    "mounted; the registrar reaches it without privileges",
                ),
            };
        }
        let mount = "sudo mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc";
        let known = self.text("proc/filesystems");
        if exists(&self.path(dir)) || known.is_some_and(|text| text.contains("binfmt_misc")) {
            let text = "not mounted: a privileged container will mount it for the time of a build";
            return Check::warning(topic, text).remedy(format!("mount it: `{mount}`"));
        }
        Check::bad(topic, "the kernel has no binfmt_misc, or has not loaded it").remedy(format!(
            "load and mount it: `sudo modprobe binfmt_misc && {mount}`"
        ))
    }

    /// `SELinux` and `AppArmor`.
    fn confinement(&self) -> Check {
        let topic = "confinement";
        let selinux = self.text("sys/fs/selinux/enforce");
        let apparmor = self.text("sys/module/apparmor/parameters/enabled");
        match (selinux.as_deref(), apparmor.as_deref()) {
            (Some("1"), _) => Check::warning(
                topic,
                "SELinux is enforcing: it may keep the registrar from the kernel's table",
            )
            .remedy("if a build says so: let root register a qemu-aarch64 handler, give --emulation host"),
            (Some(_), _) => Check::good(topic, "SELinux is permissive"),
            (None, Some("Y")) => Check::good(topic, "AppArmor; its profile for containers lets us work"),
            (None, _) => Check::good(topic, "neither SELinux nor AppArmor"),
        }
    }

    /// What rootless engines and private emulation stand on.
    fn user_namespaces(&self, needed: bool) -> Check {
        let topic = "user namespaces";
        let number = |path: &str| self.text(path);
        let why = if number("proc/sys/user/max_user_namespaces").as_deref() == Some("0") {
            Some((
                "none are allowed",
                "sudo sysctl user.max_user_namespaces=15000",
            ))
        } else if number("proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
            Some((
                "only for root",
                "sudo sysctl kernel.unprivileged_userns_clone=1",
            ))
        } else if number("proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref()
            == Some("1")
        {
            let command = "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0";
            Some(("restricted by AppArmor", command))
        } else {
            None
        };
        match why {
            None => Check::good(topic, "not restricted"),
            Some((why, _)) if !needed => {
                Check::good(topic, format!("{why}; this build does not need them"))
            }
            Some((why, command)) => {
                Check::warning(topic, why).remedy(format!("lift it: `{command}`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binfmt::parse;
    use crate::pipeline::doctor::Verdict;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = dir.path().to_owned();
        (dir, Machine { root })
    }

    #[test]
    fn the_table_may_be_mounted_off_not_mounted_or_absent() {
        let table = |files: &[(&str, &str)]| machine(files).1.table().verdict;
        let register = ("proc/sys/fs/binfmt_misc/register", "");
        let status = |text| ("proc/sys/fs/binfmt_misc/status", text);
        let filesystems = |text| ("proc/filesystems", text);
        let dir = |files: &[(&str, &str)]| {
            let (dir, machine) = machine(files);
            let check = machine.table();
            drop(dir);
            check
        };
        assert_eq!(dir(&[register, status("enabled\n")]).verdict, Verdict::Good);
        let off = dir(&[register, status("disabled\n")]);
        assert_eq!(off.verdict, Verdict::Bad);
        assert!(off.remedies[0].contains("status"), "{off:?}");
        let unmounted = dir(&[filesystems("nodev\tproc\nnodev\tbinfmt_misc\n")]);
        assert_eq!(unmounted.verdict, Verdict::Warning);
        assert!(unmounted.remedies[0].contains("mount -t binfmt_misc"));
        assert_eq!(dir(&[filesystems("nodev\tproc\n")]).verdict, Verdict::Bad);
        assert_eq!(table(&[]), Verdict::Bad);
    }

    #[test]
    fn selinux_is_told_before_apparmor() {
        let text = |files: &[(&str, &str)]| {
            let (dir, machine) = machine(files);
            let check = machine.confinement();
            drop(dir);
            (check.verdict, check.text)
        };
        let apparmor = ("sys/module/apparmor/parameters/enabled", "Y\n");
        let (verdict, said) = text(&[("sys/fs/selinux/enforce", "1"), apparmor]);
        assert!(
            verdict == Verdict::Warning && said.contains("SELinux is enforcing"),
            "{said}"
        );
        assert!(text(&[apparmor]).1.starts_with("AppArmor"));
        assert_eq!(text(&[]).0, Verdict::Good);
    }

    #[test]
    fn restricted_user_namespaces_matter_to_rootless_engines_only() {
        for (path, value) in [
            ("proc/sys/user/max_user_namespaces", "0"),
            ("proc/sys/kernel/unprivileged_userns_clone", "0"),
            ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
        ] {
            let (_dir, machine) = machine(&[(path, value)]);
            assert_eq!(
                machine.user_namespaces(false).verdict,
                Verdict::Good,
                "{path}"
            );
            let check = machine.user_namespaces(true);
            assert_eq!(check.verdict, Verdict::Warning, "{path}");
            assert!(!check.remedies.is_empty());
        }
    }

    #[test]
    fn a_handler_of_others_is_named() {
        let text = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: F\noffset 0\n\
            magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
        let theirs = parse("qemu-aarch64", text);
        let other = parse(
            "python3.11",
            "enabled\ninterpreter /x\nflags: \noffset 0\nmagic a70d0d0a\n",
        );
        assert_eq!(handlers(std::slice::from_ref(&other), false), None);
        let found = handlers(&[theirs, other.clone()], false).unwrap();
        assert!(found.text.starts_with("qemu-aarch64: others'"), "{found:?}");
        assert_eq!(handlers(&[other], true).unwrap().verdict, Verdict::Bad);
    }
}
