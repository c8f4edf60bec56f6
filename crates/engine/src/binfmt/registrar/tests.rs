use super::*;

#[test]
fn hints_at_the_command_that_mounts_the_table() {
    let refused = StartError::Failed(Failure::environment("mount: permission denied"));
    let failure = unmounted(refused, "no such device", &EngineAddress::local_docker());
    let text = failure.to_string();
    assert!(
        text.contains("not mounted on the engine's host (no such device)"),
        "{text}"
    );
    assert!(
        failure.hints[0].contains("with: sudo mount -t binfmt_misc"),
        "{failure:?}"
    );
    assert!(!failure.try_next_mode, "the reason is unknown");
    let again = StartError::Unmounted("Operation not permitted".into(), Vec::new());
    assert!(unmounted(again, "", &EngineAddress::local_docker()).try_next_mode);
    let refused = StartError::Failed(Failure::environment("mount: permission denied"));
    let remote = unmounted(refused, "", &EngineAddress::behind_ssh());
    assert!(
        remote.hints[0].contains("ssh://pi@board:2222 \"sudo mount"),
        "{remote:?}"
    );
}

/// A failure that the next mode would run into as well is no reason to try it.
#[test]
fn only_a_refusal_of_the_registrar_leads_to_the_next_mode() {
    let refuses = |privileged, message: &str| {
        let error = EngineError::Refused {
            operation: "start container x".into(),
            status: 500,
            message: message.into(),
        };
        let failure = explain_refusal(error, privileged);
        failure.try_next_mode
    };
    let table = "error mounting \"/proc/sys/fs/binfmt_misc\" to rootfs: permission denied";
    let desktop = "Mounts denied: \nThe path /proc/sys/fs/binfmt_misc is not shared from the host";
    let absent = "statfs /proc/sys/fs/binfmt_misc: no such file or directory";
    let privileges = "privileged mode is incompatible with user namespaces";
    let full = "mkdir /var/lib/docker/overlay2/x: no space left on device";
    let storage = "mkdir /var/lib/docker/overlay2/x: permission denied";
    for own in [table, desktop, absent] {
        assert!(refuses(false, own), "{own}");
    }
    for other in [full, storage, "no such image: sdbuild/registrar"] {
        assert!(!refuses(false, other), "{other}");
    }
    assert!(refuses(true, privileges) && refuses(true, "authorization denied by plugin x"));
    assert!(!refuses(true, full));
    let silent = EngineError::Silent {
        operation: "start container x with binfmt_misc".into(),
    };
    assert!(!explain_refusal(silent, false).try_next_mode);
}

mod refusal {
    use super::super::*;
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
