//! Which of the image's commands copy less than they say.

use super::{built, emulated, ready, said_inside, system};
use crate::support::*;

/// Which commands copy less than they say: those that nixpkgs has, and those with something else around them.
const COPIES: &str = r#"
cd /tmp
cat >copies.nix <<'NIX'
let
  inherit (import /nixpkgs { }) lib;
  copies = import /glue/copies.nix { inherit lib; };
  changes = change: text: change text != text;
  closure = hash: "/nix/store/${hash}abcdefghijklmnopqrstuvwxyz01234-closure-info/store-paths";
  copy = hash: "xargs -I % cp -a --reflink=auto % -t ./rootImage/nix/store/ < ${closure hash}
";
  disk = "truncate
dd conv=notrunc if=$root_fs of=$img seek=$START count=$SECTORS
mkfs.vfat
";
in
{
  links = map (changes copies.linked) [ (copy "0") ];
  not = map (changes copies.linked) [
    "cp -a --reflink=auto % -t files/opt < ${closure "0"}"
    "cp -RpP $(cat ${closure "0"}) files/opt"
    (copy "0" + copy "1")
  ];
  moves = map (changes (copies.moved "true")) [ disk "cp $root_fs old
${disk}" ];
  stays = map (changes (copies.moved "true")) [ "${disk}cp $root_fs $out" "${disk}cp ./root-fs.img $out" "${disk}${disk}" "dd if=$root_fs" ];
  read = map (commands: changes (copies.moved commands) disk) [ "cp $root_fs old" "cp root-fs.img old" "cp root_img old" ];
}
NIX
nix-instantiate --eval --read-write-mode --strict --json copies.nix
"#;

#[test]
fn only_the_commands_of_nixpkgs_are_replaced() {
    needs!(engine_ready());
    ready();
    let said = said_inside(STORE, COPIES, &[]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = serde_json::json!({
        "links": [true],
        "not": [false, false, false],
        "moves": [true, true],
        "stays": [false, false, false, false],
        "read": [false, false, true],
    });
    assert_eq!(said, expected);
}

#[test]
fn only_the_disk_with_an_unproven_command_is_emulated() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("after", "test -s $root_fs\n");
    let after = "  sdImage.postBuildCommands = \". ${./after}\";";
    let name = format!("late-{}", nonce());
    let done =
        user.build_of(&system(&name, after), &["--force", "--glue", "native"]).assert_exit_code(0);
    assert!(!done.stderr.contains("all of the image is built under emulation"));
    let emulated: Vec<String> = emulated(&built(&user).into_iter().collect());
    assert!(emulated.iter().any(|drv| drv.contains("-aarch64-linux.img")), "{emulated:?}");
    let system = format!("-nixos-system-{name}");
    assert!(
        !emulated.iter().any(|drv| drv.contains(&system) || drv.ends_with("-ext4-fs.img.drv")),
        "{emulated:?}"
    );
}
