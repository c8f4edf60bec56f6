use super::*;

#[test]
fn a_table_that_is_not_mounted_comes_with_the_command_that_mounts_it() {
    let refused = Refusal::Failed(Failure::environment("mount: permission denied"));
    let failure = unmounted(refused, "no such device");
    let text = failure.to_string();
    assert!(
        text.contains("not mounted on the engine's host (no such device)"),
        "{text}"
    );
    assert!(
        failure.hints[0].contains("sudo mount -t binfmt_misc"),
        "{failure:?}"
    );
}

/// As the shell words it where the container's root is somebody else outside.
#[test]
fn an_engine_that_may_not_write_to_the_table() {
    let run: RunId = "0123456789ab".parse().unwrap();
    let name = HandlerName::new(&run);
    let why = "sh: can't create /binfmt_misc/register: Permission denied";
    let failure = not_registered(&name, why);
    assert!(failure.to_string().contains("Permission denied"));
    assert!(failure.hints[0].contains("maps users"), "{failure:?}");
    assert!(failure.hints[1].contains("rootful"), "{failure:?}");
    let other = not_registered(&name, "Invalid argument");
    assert!(other.hints.is_empty(), "{other:?}");
}
