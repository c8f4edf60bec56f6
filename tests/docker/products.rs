//! Invalid products of the builder, which is not trusted, are refused.

use crate::support::*;

/// Asserts that the product of `script` is refused with exit code 4 and `parts` of a message.
#[track_caller]
fn refused(script: &str, parts: &[&str]) {
    let user = TestUser::new().offline();
    let runs = user.track_runs();
    user.build_of(&product(script), &[]).assert_exit_code(4).assert_stderr_contains(parts);
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

/// A product list that names the image `a.img`, which `script` makes.
fn listed(script: &str) -> String {
    format!(
        "    mkdir -p $out/nix-support\n    {script}\n    \
         echo \"file sd-image $out/sd-image/a.img\" > $out/nix-support/hydra-build-products"
    )
}

#[test]
fn invalid_products_are_refused() {
    needs!(engine_ready());
    let two = "\"file sd-image $out/sd-image/a.img\" \"file sd-image $out/sd-image/b.img\"";
    let empty = "    mkdir -p $out/nix-support; : > $out/nix-support/hydra-build-products";
    let dotdot = "\"file sd-image $out/../../../etc/passwd.img\"";
    for (script, parts) in [
        ("    mkdir -p $out", &["hydra-build-products"][..]),
        (empty, &["no image"]),
        (&listing(two), &["a.img", "b.img"]),
        (&listing("\"file sd-image /etc/passwd\""), &["/etc/passwd"]),
        (&listing(dotdot), &["..", "passwd.img"]),
        (
            &listed("mkdir $out/sd-image; ln -s /etc/passwd $out/sd-image/a.img"),
            &["a.img", "symbolic link"],
        ),
        (&listed("ln -s /etc $out/sd-image"), &["sd-image", "symbolic link"]),
        (&listed("mkdir -p $out/sd-image/a.img"), &["a.img"]),
    ] {
        refused(script, parts);
    }
}
