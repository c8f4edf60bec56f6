//! Invalid products of the builder, which is not trusted, are refused.

use crate::support::*;

/// Asserts that the product of `script` is refused with exit code 4 and `parts` of a message.
#[track_caller]
fn refused(script: &str, parts: &[&str]) {
    needs!(engine_ready());
    let user = TestUser::new().offline();
    let runs = user.track_runs();
    user.write("sd-card.nix", &product(script));
    run(&mut user.build(&[])).assert_exit_code(4).assert_stderr_contains(parts);
    assert!(user.outputs().is_empty(), "{:?}", user.outputs());
    runs.assert_nothing_left();
}

/// A product list of `lines` beside one small image.
fn listing(lines: &str) -> String {
    format!(
        "    mkdir -p $out/sd-image $out/nix-support\n    echo x > $out/sd-image/a.img\n    \
         echo x > $out/sd-image/b.img\n    printf '%s\\n' {lines} > $out/nix-support/hydra-build-products"
    )
}

#[test]
fn missing_product_list_is_refused() {
    refused("    mkdir -p $out", &["hydra-build-products"]);
}

#[test]
fn empty_product_list_is_refused() {
    refused(
        "    mkdir -p $out/nix-support; : > $out/nix-support/hydra-build-products",
        &["no image"],
    );
}

#[test]
fn two_products_are_refused() {
    refused(
        &listing("\"file sd-image $out/sd-image/a.img\" \"file sd-image $out/sd-image/b.img\""),
        &["a.img", "b.img"],
    );
}

#[test]
fn product_path_outside_is_refused() {
    refused(&listing("\"file sd-image /etc/passwd\""), &["/etc/passwd"]);
}

#[test]
fn product_path_with_dotdot_is_refused() {
    refused(&listing("\"file sd-image $out/../../../etc/passwd.img\""), &["..", "passwd.img"]);
}

#[test]
fn product_symlink_is_refused() {
    refused(
        "    mkdir -p $out/sd-image $out/nix-support\n    ln -s /etc/passwd $out/sd-image/a.img\n    \
         echo \"file sd-image $out/sd-image/a.img\" > $out/nix-support/hydra-build-products",
        &["a.img", "symbolic link"],
    );
}

#[test]
fn product_directory_symlink_is_refused() {
    refused(
        "    mkdir -p $out/nix-support\n    ln -s /etc $out/sd-image\n    \
         echo \"file sd-image $out/sd-image/passwd.img\" > $out/nix-support/hydra-build-products",
        &["sd-image", "symbolic link"],
    );
}

#[test]
fn directory_in_place_of_the_image_is_refused() {
    refused(
        "    mkdir -p $out/sd-image/a.img $out/nix-support\n    \
         echo \"file sd-image $out/sd-image/a.img\" > $out/nix-support/hydra-build-products",
        &["a.img"],
    );
}
