use super::*;

#[test]
fn a_table_that_is_not_mounted_comes_with_the_command_that_mounts_it() {
    let refused = StartError::Failed(Failure::environment("mount: permission denied"));
    let failure = unmounted(refused, "no such device", &EngineAddress::usual());
    let text = failure.to_string();
    assert!(
        text.contains("not mounted on the engine's host (no such device)"),
        "{text}"
    );
    assert!(
        failure.hints[0].contains("with: sudo mount -t binfmt_misc"),
        "{failure:?}"
    );
    assert!(!failure.try_next_mode, "who knows why");
    let again = StartError::Unmounted("Operation not permitted".into(), Vec::new());
    assert!(unmounted(again, "", &EngineAddress::usual()).try_next_mode);
    let refused = StartError::Failed(Failure::environment("mount: permission denied"));
    let there = unmounted(refused, "", &EngineAddress::behind_ssh());
    assert!(
        there.hints[0].contains("ssh://pi@board:2222 \"sudo mount"),
        "{there:?}"
    );
}

/// What another way of emulation meets as well is no reason to take it.
#[test]
fn only_what_the_engine_refuses_to_the_registrar_alone_bars_this_way() {
    let refuses = |privileged, message: &str| {
        let error = EngineError::Refused {
            operation: "start container x".into(),
            status: 500,
            message: message.into(),
        };
        let failure = refused(error, privileged);
        failure.try_next_mode
    };
    let table = "error mounting \"/proc/sys/fs/binfmt_misc\" to rootfs: permission denied";
    let desktop = "Mounts denied: \nThe path /proc/sys/fs/binfmt_misc is not shared from the host";
    let absent = "statfs /proc/sys/fs/binfmt_misc: no such file or directory";
    let privileges = "privileged mode is incompatible with user namespaces";
    let full = "mkdir /var/lib/docker/overlay2/x: no space left on device";
    let storage = "mkdir /var/lib/docker/overlay2/x: permission denied";
    for barred in [table, desktop, absent] {
        assert!(refuses(false, barred), "{barred}");
    }
    for other in [full, storage, "no such image: sdbuild/registrar"] {
        assert!(!refuses(false, other), "{other}");
    }
    assert!(refuses(true, privileges) && refuses(true, "authorization denied by plugin x"));
    assert!(!refuses(true, full));
    let silent = EngineError::Silent {
        operation: "start container x with binfmt_misc".into(),
    };
    assert!(!refused(silent, false).try_next_mode);
}

#[test]
fn a_table_that_is_off_is_switched_on_where_it_is() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let hint = |place: &EngineAddress| {
        let why = "binfmt_misc is switched off";
        not_registered(&HandlerName::new(&run), why, place).hints[0].clone()
    };
    let switch = "sudo sh -c 'echo 1 > /proc/sys/fs/binfmt_misc/status'";
    assert_eq!(
        hint(&EngineAddress::usual()),
        format!("switch it on with: {switch}")
    );
    let there = hint(&EngineAddress::behind_ssh());
    assert!(there.contains(&format!("ssh -t ssh://pi@board:2222 \"{switch}\"")));
}

/// As the shell words it where the container's root is somebody else outside.
#[test]
fn an_engine_that_may_not_write_to_the_table() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let name = HandlerName::new(&run);
    let why = "sh: can't create /binfmt_misc/register: Permission denied";
    let failure = not_registered(&name, why, &EngineAddress::usual());
    assert!(failure.to_string().contains("Permission denied"));
    assert!(failure.hints[0].contains("maps users"), "{failure:?}");
    assert!(failure.hints[1].contains("rootful"), "{failure:?}");
    let other = not_registered(&name, "Invalid argument", &EngineAddress::usual());
    assert!(other.hints.is_empty(), "{other:?}");
    assert!(failure.try_next_mode && !other.try_next_mode);
    assert!(
        not_registered(
            &name,
            "binfmt_misc is switched off",
            &EngineAddress::usual()
        )
        .try_next_mode
    );
}
