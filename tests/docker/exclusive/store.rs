//! What a build removes from the store volume that all builds share.

use crate::support::*;

#[test]
fn only_unused_copies_of_nixpkgs_are_removed() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let on_the_store =
        |script: &str| in_builder(STORE, &[], script, &[]).assert_exit_code(0).stdout;
    let dir = "/nix/var/sdbuild/nixpkgs";
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    // One copy of nixpkgs was last used long ago, one more recently; this build uses a third.
    on_the_store(&format!(
        "mkdir -p {dir}/test-old/read-only {dir}/test-young && \
         chmod a-w {dir}/test-old/read-only && touch -d '20 days ago' {dir}/test-young && \
         touch -d '40 days ago' {dir}/test-old"
    ));
    let before = on_the_store(&format!("ls {dir}"));
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    let after = on_the_store(&format!("ls {dir}; rmdir {dir}/test-young"));
    assert_eq!(after, before.replace("test-old\n", ""));
}
