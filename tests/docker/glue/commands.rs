//! Which of the image's commands copy less than they say.

use super::{ready, said_inside, system};
use crate::support::*;

/// Which commands copy less than they say: those that nixpkgs has, and those with something else around them.
const COPIES: &str = r#"
cd /tmp
echo 'cp root-fs.img old' >reads.sh
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
  read = map (commands: changes (copies.moved commands) disk) [ "cp $root_fs old" "cp root-fs.img old" "sh ${./reads.sh}" "cp root_img old" ];
}
NIX
nix-instantiate --eval --read-write-mode --strict --json copies.nix
"#;

#[test]
fn only_the_commands_of_nixpkgs_are_replaced() {
    if !engine_available() {
        return;
    }
    ready();
    let said = said_inside(STORE, COPIES, &[]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = serde_json::json!({
        "links": [true],
        "not": [false, false, false],
        "moves": [true, true],
        "stays": [false, false, false, false],
        "read": [false, false, false, true],
    });
    assert_eq!(said, expected);
}

#[test]
fn hidden_reader_of_the_file_system_is_built_emulated() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    user.write("after", "test -s $root_fs\n");
    let after = "  sdImage.postBuildCommands = \". ${./after}\";";
    user.write("sd-card.nix", &system("late", after));
    let auto = run(&mut user.build(&["--force"])).assert_exit_code(0);
    auto.assert_stderr_contains(&["without native glue: ", ".img cannot be built natively"]);
}
