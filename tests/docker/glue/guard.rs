//! The guard of native glue: no program of the builder gets into an image.

use super::tree::{Tree, tree};
use super::{built, command_of_nixos, ready, said_inside, system};
use crate::support::*;

/// The machine field of an ELF file for aarch64.
const AARCH64: [u8; 2] = [183, 0];

/// Prints the roots of the derivation's output: what a later build or `clean` takes for a result.
const ROOTS: &str = r#"
set -e
out=$(nix-store -q --outputs "$1")
[ -n "$out" ]
find /nix/var/nix/gcroots/sdbuild -lname "$out"
"#;

/// Asserts that no native image of a system with `body` is a result; returns the outcome with the reason. It may have been made while
/// the guard was looking through the system.
fn is_refused(user: &TestUser, body: &str) -> Outcome {
    // An earlier run of a test left its image in the shared store.
    let unbuilt = format!("{body}\n  environment.etc.run.text = \"{}\";", nonce());
    let refused =
        user.build_of(&system("leak", &unbuilt), &["--glue", "native"]).assert_exit_code(4);
    assert!(user.outputs().is_empty(), "no image");
    for image in built(user).iter().filter(|drv| drv.contains(".img")) {
        assert_eq!(said_inside(STORE, ROOTS, &[image]), "", "{image} is kept");
    }
    refused
}

/// Asserts that an image is made under emulation for the reason `why`; returns its files.
fn is_emulated(user: &TestUser, why: &str) -> Tree {
    let auto = run(&mut user.build(&[])).assert_exit_code(0);
    let auto = auto.assert_stderr_contains(&[
        "all of the image is built under emulation, which is slower, because a native build is not possible: ",
        why,
    ]);
    tree(&auto.image())
}

/// Asserts that an image is made under emulation for the reason `why`, and has a program of its own architecture.
fn has_its_own_tool(user: &TestUser, why: &str) {
    let (.., tool) = &is_emulated(user, why)["/opt/tool"];
    assert_eq!(tool[18..20], AARCH64);
}

/// In the system, and in what only the commands of the image name. Each leads to emulation, where the image is right.
#[test]
fn builder_program_in_the_system_or_the_image_is_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    // The environment of a derivation contains the path of its shell, although the script does not name it.
    let body = command_of_nixos("leak", "env >$out");
    let refused = is_refused(&user, &body);
    let refused = refused
        .assert_stderr_contains(&["/bin/bash is a program of the builder's own architecture"]);
    refused.assert_stderr_contains(&["-leak refers to it", "--glue emulated"]);
    assert!(built(&user).iter().any(|drv| drv.contains(".img")));

    // No store path refers to this program: it is a copy.
    let copy = "cp $(env | sed -n s/^builder=//p) $out";
    let made = |name: &str, command: &str| {
        format!("${{config._module.args.pkgs.runCommand \"{name}\" {{ }} \"{command}\"}}")
    };
    let root = format!(
        "  sdImage.populateRootCommands = \"mkdir -p files/opt; cp {} files/opt/tool\";",
        made("tool", copy)
    );
    let refused = is_refused(&user, &root);
    refused.assert_stderr_contains(&[
        "-tool is a program of the builder's own architecture",
        "--glue emulated",
    ]);

    let firmware = format!(
        "  sdImage.populateFirmwareCommands = \"cp {} firmware/leak\";",
        made("leak", "env >$out")
    );
    is_refused(&user, &firmware).assert_stderr_contains(&["-leak refers to it"]);

    user.write("sd-card.nix", &system("leak", &format!("{root}\n{firmware}")));
    has_its_own_tool(&user, "own architecture");

    let unbuilt = format!("{body}\n  environment.etc.run.text = \"{}\";", nonce());
    user.write("sd-card.nix", &system("leak", &unbuilt));
    let files = is_emulated(&user, "-leak refers to it");
    assert!(files.keys().any(|path| path.ends_with("-leak")));
}

#[test]
fn custom_root_file_system_is_not_made_natively() {
    needs!(engine_ready());
    let user = TestUser::new();
    // An image that is made by no option of the SD image module.
    let image = "  system.build.sdImage = lib.mkForce (pkgs.callPackage ({ runCommand }: runCommand \"own.img\" { } ''\n    \
                   cp ${pkgs.runCommand \"tool\" { } \"cp $builder $out\"} $out\n  '') { });";
    is_refused(&user, image)
        .assert_stderr_contains(&["the image is not made by nixpkgs' own SD image module"]);

    // By nixpkgs' own function, but with other arguments than the options: nothing else names this program.
    let root = "  sdImage.rootFilesystemImage = pkgs.callPackage <nixpkgs/nixos/lib/make-ext4-fs.nix> {\n    \
                  inherit (config.sdImage) storePaths compressImage;\n    volumeLabel = \"NIXOS_SD\";\n    \
                  populateImageCommands = \"mkdir -p files/opt; cp ${pkgs.runCommand \"tool\" { } \"cp $builder $out\"} files/opt/tool\";\n  };";
    let why = "the configuration makes the root file system itself";
    is_refused(&user, root).assert_stderr_contains(&[why, "--glue emulated"]);

    has_its_own_tool(&user, why);

    // A custom function receives the same arguments as nixpkgs' own.
    user.write("fs.nix", "{ callPackage, ... }@args: callPackage <nixpkgs/nixos/lib/make-ext4-fs.nix> (removeAttrs args [ \"callPackage\" ])");
    user.write("sd-card.nix", &system("own", "  sdImage.rootFilesystemCreator = ./fs.nix;"));
    run(&mut user.build(&["--force", "--glue", "native"])).assert_exit_code(0);
}

/// Runs in a builder: makes an initrd with the program at `$1`, packed by `$2`, and prints the guard's result.
const LOOK_INTO_AN_INITRD: &str = r#"
TMPDIR=/tmp/work; export TMPDIR; mkdir -p $TMPDIR/glue /tmp/made /tmp/tree/bin
remove() { chmod -R u+w "$1"; rm -rf "$1"; }
. /guard
cp "$1" /tmp/tree/bin/program
(cd /tmp/tree && find . | busybox cpio -o -H newc 2>/dev/null) | $2 >/tmp/made/initrd
# As a system has it: a link, which may well come first.
mkdir /tmp/system && ln -s /tmp/made/initrd /tmp/system/
for path in /tmp/system /tmp/made; do
  guard_initrd $path || { echo "$why" && exit; }
done
echo clean
"#;

#[test]
fn builder_program_in_an_initrd_is_found() {
    needs!(engine_ready());
    ready();
    let look = |program, packer| said_inside(STORE, LOOK_INTO_AN_INITRD, &[program, packer]);
    for packer in ["cat", "gzip", "xz"] {
        let said = look("/usr/bin/bash", packer);
        let found =
            "/bin/program in /tmp/made/initrd is a program of the builder's own architecture";
        assert_eq!(said, found, "{packer}");
        assert_eq!(look("/guard", packer), "clean", "{packer}");
    }
}
