use super::*;

#[test]
fn a_table_that_is_not_mounted_comes_with_the_command_that_mounts_it() {
    let refused = Refusal::Failed(Failure::environment("mount: permission denied"));
    let failure = unmounted(refused, "no such device", &Place::usual());
    let text = failure.to_string();
    assert!(
        text.contains("not mounted on the engine's host (no such device)"),
        "{text}"
    );
    assert!(
        failure.hints[0].contains("with: sudo mount -t binfmt_misc"),
        "{failure:?}"
    );
    let refused = Refusal::Failed(Failure::environment("mount: permission denied"));
    let there = unmounted(refused, "", &Place::behind_ssh());
    assert!(
        there.hints[0].contains("ssh://pi@board:2222 \"sudo mount"),
        "{there:?}"
    );
}

#[test]
fn a_table_that_is_off_is_switched_on_where_it_is() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let hint = |place: &Place| {
        let why = "binfmt_misc is switched off";
        not_registered(&HandlerName::new(&run), why, place).hints[0].clone()
    };
    let switch = "sudo sh -c 'echo 1 > /proc/sys/fs/binfmt_misc/status'";
    assert_eq!(
        hint(&Place::usual()),
        format!("switch it on with: {switch}")
    );
    let there = hint(&Place::behind_ssh());
    assert!(there.contains(&format!("ssh -t ssh://pi@board:2222 \"{switch}\"")));
}

/// As the shell words it where the container's root is somebody else outside.
#[test]
fn an_engine_that_may_not_write_to_the_table() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let name = HandlerName::new(&run);
    let why = "sh: can't create /binfmt_misc/register: Permission denied";
    let failure = not_registered(&name, why, &Place::usual());
    assert!(failure.to_string().contains("Permission denied"));
    assert!(failure.hints[0].contains("maps users"), "{failure:?}");
    assert!(failure.hints[1].contains("rootful"), "{failure:?}");
    let other = not_registered(&name, "Invalid argument", &Place::usual());
    assert!(other.hints.is_empty(), "{other:?}");
}
