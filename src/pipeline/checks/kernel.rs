//! Whether a registrar reaches the kernel's table of handlers, and what may keep containers from it.

use std::path::PathBuf;

use crate::pipeline::checks::check::Check;
use crate::pipeline::checks::machine::Machine;
use crate::pipeline::emulation::Emulation;
use sdbuild_core::plain_file;
use sdbuild_core::system::Architecture;
use sdbuild_engine::binfmt::TABLE_DIR;

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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::pipeline::checks::check::Verdict;

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
