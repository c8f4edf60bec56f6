use super::*;

#[test]
fn hints_at_the_command_that_mounts_the_table() {
    let refused = StartError::from(Failure::environment("mount: permission denied"));
    let refused = unmounted(refused, "no such device", &EngineAddress::local_docker());
    assert!(!refused.of_this_mode, "the reason is unknown");
    let failure = refused.failure;
    let text = failure.to_string();
    assert!(
        text.contains("not mounted on the engine's host (no such device)"),
        "{text}"
    );
    assert!(
        failure.hints[0].contains("with: sudo mount -t binfmt_misc"),
        "{failure:?}"
    );
    let again = StartError::Unmounted("Operation not permitted".into(), Vec::new());
    assert!(unmounted(again, "", &EngineAddress::local_docker()).of_this_mode);
    let refused = StartError::from(Failure::environment("mount: permission denied"));
    let remote = unmounted(refused, "", &EngineAddress::behind_ssh()).failure;
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
        explain_refusal(error, privileged).of_this_mode
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
    assert!(!explain_refusal(silent, false).of_this_mode);
}
