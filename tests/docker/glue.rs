//! Native glue: the same image as under emulation, made by the builder's own architecture; and the guard that
//! finds what would not be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::*;

/// The root partition of the miniature image begins after 8 MiB of gap and 30 MiB of firmware.
const ROOT_AT: &str = "38";

/// A configuration with things in it that a system has: a key, a user, a unit of its own, files, packages.
fn system(name: &str, body: &str) -> String {
    let overlay = "(final: prev: { htop = prev.htop.overrideAttrs { changed = \"yes\"; }; })";
    configuration(&format!(
        "  networking.hostName = \"{name}\";\n  services.openssh.enable = true;\n  \
           users.users.ann = {{ isNormalUser = true; }};\n  \
           environment.systemPackages = [ pkgs.htop (pkgs.writeShellScriptBin \"mine\" \"echo mine\") ];\n  \
           environment.etc.\"a-file\".text = \"text\";\n  \
           environment.etc.made.source = pkgs.runCommand \"made\" {{ }} \"echo made >$out\";\n  \
           nixpkgs.overlays = [ {overlay} ];\n  nixpkgs.config.allowUnfree = true;\n{body}"
    ))
}

fn build(person: &Person, glue: &str) -> (PathBuf, BTreeSet<String>) {
    let done = ran(&mut person.build(&["--force", "--glue", glue])).exits(0);
    let image = person.home.path().join(format!("{glue}.img"));
    fs::rename(done.image(), &image).unwrap();
    (image, built(person))
}

/// The derivations that the last run built, as its log has them.
fn built(person: &Person) -> BTreeSet<String> {
    builds(person).into_iter().collect()
}

/// The same in order; what was built twice is there twice.
fn builds(person: &Person) -> Vec<String> {
    let logs = person.state.path().join(".local/state/sdbuild/logs");
    let newest = fs::read_dir(&logs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let text = fs::read_to_string(newest.unwrap()).unwrap();
    let name = |line: &str| {
        Some(
            line.strip_prefix("building '")?
                .strip_suffix('\'')?
                .to_owned(),
        )
    };
    text.lines().filter_map(name).collect()
}

/// How many of some derivations on the store volume are built by aarch64 programs.
fn emulated(derivations: &BTreeSet<String>) -> usize {
    let builder = docker(&["images", "--quiet", "sdbuild/builder"]);
    let volume = ["--volume", "sdbuild-store:/nix:ro", "--network", "none"];
    let count = ["grep", "-lF", "],\"aarch64-linux\",\"", "/dev/null"];
    let mut command = Command::new("docker");
    command.args(["run", "--rm"]).args(volume);
    command.arg(builder.lines().next().unwrap()).args(count);
    ran(command.args(derivations)).stdout.lines().count()
}

/// What of a file must be the same: kind and mode, owner, content.
type Seen = (u32, u32, u32, Vec<u8>);

/// Everything in the root file system by path, without the hashes of store paths.
fn tree(image: &Path) -> BTreeMap<String, Seen> {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("part");
    let mut cut = Command::new("dd");
    cut.args(["bs=1M", "status=none", &format!("skip={ROOT_AT}")]);
    cut.arg(format!("if={}", image.display()));
    cut.arg(format!("of={}", part.display()));
    ran(&mut cut).exits(0);
    let out = folder.path().join("tree");
    fs::create_dir(&out).unwrap();
    let mut dump = Command::new("debugfs");
    let request = format!("rdump / {}", out.display());
    ran(dump.arg("-R").arg(request).arg(&part)).exits(0);
    let mut seen = BTreeMap::new();
    walk(&out, &out, &mut seen);
    seen
}

fn walk(root: &Path, path: &Path, seen: &mut BTreeMap<String, Seen>) {
    let meta = path.symlink_metadata().unwrap();
    let content = if meta.is_symlink() {
        fs::read_link(path)
            .unwrap()
            .into_os_string()
            .into_encoded_bytes()
    } else if meta.is_file() {
        fs::read(path).unwrap()
    } else {
        Vec::new()
    };
    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
    let mut content = without_hashes(&content);
    if name == "nix-path-registration" {
        // In the order of its hashes.
        let mut lines: Vec<_> = content.split(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        content = lines.join(&b'\n');
    }
    let name = String::from_utf8(without_hashes(format!("/{name}").as_bytes())).unwrap();
    let entry = (meta.permissions().mode(), meta.uid(), meta.gid(), content);
    assert!(seen.insert(name.clone(), entry).is_none(), "{name} twice");
    if meta.is_dir() {
        for child in names(path) {
            walk(root, &path.join(child), seen);
        }
    }
}

/// `bytes` with every store path's hash of 32 characters made the same.
fn without_hashes(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let hash = |run: &[u8]| {
        run.iter()
            .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    };
    let mut at = 0;
    while at + 34 <= bytes.len() {
        if bytes[at] == b'/' && bytes[at + 33] == b'-' && hash(&bytes[at + 1..at + 33]) {
            bytes[at + 1..at + 33].fill(b'x');
            at += 33;
        }
        at += 1;
    }
    bytes
}

/// Label, UUID, features and sizes of the root file system, as its superblock has them.
fn superblock(image: &Path) -> Vec<String> {
    let mut command = Command::new("dumpe2fs");
    let wanted = [
        "volume name",
        "UUID",
        "features",
        "Hash Seed",
        "owner",
        "Default directory hash",
    ];
    // At the offset in the image where the partition begins.
    let done = ran(command
        .arg("-h")
        .arg(format!("{}?offset={}", image.display(), 38 << 20)))
    .exits(0);
    let lines = done.stdout.lines().map(str::to_owned);
    lines
        .filter(|line| wanted.iter().any(|word| line.contains(word)))
        .collect()
}

#[test]
fn both_ways_give_the_same_image_and_the_native_one_emulates_hardly_anything() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    let name = format!("equal-{}", std::process::id());
    person.write("sd-card.nix", &system(&name, ""));
    let (slow, slowly) = build(&person, "emulated");
    let (fast, quickly) = build(&person, "native");

    let (slow_tree, fast_tree) = (tree(&slow), tree(&fast));
    let paths = |tree: &BTreeMap<String, Seen>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&slow_tree), paths(&fast_tree));
    assert!(slow_tree.len() > 300, "{} files", slow_tree.len());
    for (path, seen) in &slow_tree {
        assert!(fast_tree[path] == *seen, "{path} differs");
    }
    assert_eq!(superblock(&slow), superblock(&fast));
    assert!(
        superblock(&fast)
            .iter()
            .any(|line| line.contains("NIXOS_SD"))
    );
    // Table, gap and firmware partition, byte by byte.
    let head = |image: &Path| fs::read(image).unwrap()[..38 << 20].to_vec();
    assert!(head(&slow) == head(&fast), "the firmware partition differs");

    // Of what is new for this configuration nothing stays, the system itself included.
    assert!(emulated(&slowly) >= 7, "{slowly:?}");
    let left: BTreeSet<_> = quickly.difference(&slowly).cloned().collect();
    assert!(left.len() >= 7, "{left:?}");
    assert_eq!(emulated(&left), 0, "{left:?}");
}

/// A store volume that goes away.
struct Volume(&'static str);

impl Drop for Volume {
    fn drop(&mut self) {
        docker(&["volume", "rm", "--force", self.0]);
    }
}

#[test]
fn another_store_gives_the_same_bytes() {
    if !engine_is_here() {
        return;
    }
    let volume = Volume("sdbuild-store-again");
    let here = Person::new();
    let there = Person::new().with("SDBUILD_STORE", volume.0);
    let same = |glue: &str, name: &str| {
        let images = [&here, &there].map(|person| {
            person.write("sd-card.nix", &system(name, ""));
            fs::read(build(person, glue).0).unwrap()
        });
        assert!(images[0] == images[1], "{glue}, {name}: the images differ");
    };
    same("native", "again");
    same("emulated", "again");
    // What is built under emulation refers to its system, and that of the native one is kept no longer.
    let kept = "find /nix/var/nix/gcroots/sdbuild -name '*.parts'";
    assert_eq!(in_store(volume.0, kept), "");
    // The image was made of second names of the store's files: they are whole, and each has one name again.
    let unlike = r"find /nix/store -type f \( -perm /222 -o -links +1 \) | head -n 3";
    assert_eq!(in_store(volume.0, unlike), "");
    in_store(volume.0, "nix-store --verify --check-contents");
    // Where files have other names already, the image has none of that.
    in_store(volume.0, "nix-store --optimise");
    let linked = in_store(volume.0, "find /nix/store -type f -links +2 | wc -l");
    assert!(linked.trim().parse::<u32>().unwrap() > 10, "{linked}");
    same("native", "once-more");
    // The next build finds all of it again, whoever collects garbage in between.
    in_store(volume.0, "nix-store --gc");
    let kept = in_store(volume.0, "ls -d /nix/store/*-nixos-system-once-more-*.mini");
    assert_eq!(kept.lines().count(), 1, "{kept}");
}

/// The file system's tools, built and used twice: what they make, and at another time.
const MAKE_TWICE: &str = r#"
export NIX_CONFIG='build-users-group =
sandbox = false
substituters ='
tools='(import /glue/tools.nix { inherit (native) lib; inherit native; })'
uuid=44444444-4444-4444-8888-888888888888
programs=$(nix-build --no-out-link -E "let native = import /nixpkgs { }; in $tools.e2fsprogs \"$uuid\"")
mkdir -p /tmp/files/a /tmp/files/b
for name in one other; do
  truncate -s 8M /tmp/$name
  "$programs/bin/mkfs.ext4" -q -U $uuid -d /tmp/files /tmp/$name
  "$programs/bin/resize2fs" /tmp/$name 16M >/dev/null
  sleep 1.1
  sha256sum </tmp/$name
done
"#;

#[test]
fn a_file_system_does_not_tell_when_it_was_made_or_resized() {
    if !engine_is_here() {
        return;
    }
    // So that the store has all that the tools are made of.
    let person = Person::new();
    person.write("sd-card.nix", &configuration(""));
    ran(&mut person.build(&["--glue", "native"])).exits(0);
    let sums = in_store("sdbuild-store", MAKE_TWICE);
    let sums: Vec<&str> = sums.lines().collect();
    assert_eq!(sums.len(), 2, "{sums:?}");
    assert_eq!(sums[0], sums[1]);
}

/// Which commands copy less than they say: those that nixpkgs has, and those with something else around them.
const COPIES: &str = r#"
cat >/tmp/copies.nix <<'NIX'
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
  moves = map (changes copies.moved) [ disk "cp $root_fs old
${disk}" ];
  stays = map (changes copies.moved) [ "${disk}cp $root_fs $out" "${disk}cp ./root-fs.img $out" "${disk}${disk}" "dd if=$root_fs" ];
}
NIX
nix-instantiate --eval --strict --json /tmp/copies.nix
"#;

#[test]
fn commands_that_are_not_nixpkgs_own_are_left_as_they_are() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    person.write("sd-card.nix", &configuration(""));
    ran(&mut person.build(&["--glue", "native"])).exits(0);
    let said = in_store("sdbuild-store", COPIES);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = serde_json::json!({
        "links": [true],
        "not": [false, false, false],
        "moves": [true, true],
        "stays": [false, false, false, false],
    });
    assert_eq!(said, expected);
}

/// What a shell in a builder says, with a store volume, nixpkgs and the glue's expressions.
fn in_store(volume: &str, commands: &str) -> String {
    let builder = docker(&["images", "--quiet", "sdbuild/builder"]);
    let glue = concat!(env!("CARGO_MANIFEST_DIR"), "/src/nixos/glue:/glue:ro");
    let nixpkgs = format!("{}:/nixpkgs:ro", mini_nixpkgs().display());
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--network", "none", "--user", "1000:1000"]);
    for mount in [&format!("{volume}:/nix"), glue, &nixpkgs] {
        command.args(["--volume", mount]);
    }
    command.args(["--env", "NIX_REMOTE=local"]);
    command.arg(builder.lines().next().unwrap());
    command.args(["sh", "-euc", commands]);
    ran(&mut command).exits(0).stdout
}

#[test]
fn what_depends_on_the_machine_stays_with_the_images() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    person.write("gen.sh", "[ \"$(uname -m)\" = aarch64 ] && echo right\n");
    let commands = [
        "[ $(uname -m) = aarch64 ] && touch $out",
        "[ $system = aarch64-linux ] && touch $out",
        "patchShebangs() { :; }; patchShebangs .; [ $system = aarch64-linux ] && touch $out",
        "sh ${./gen.sh} && touch $out",
    ];
    let line = |(n, command): (usize, &&str)| {
        format!(
            "  environment.etc.c{n}.source = pkgs.runCommand \"c{n}\" {{ }} ''\n    {command}\n  '';\n"
        )
    };
    let body: String = commands.iter().enumerate().map(line).collect();
    person.write("sd-card.nix", &system("machine", &body));
    ran(&mut person.build(&["--glue", "native"])).exits(0);
}

/// In a builder: whose tools the small builders take, the builder's own or the image's. All of them but the trivial
/// ones are stand-ins here.
const WHOSE_TOOLS: &str = r#"
cd "$(mktemp -d)"
echo '#! @shell@' >ours.sh; echo '#!/bin/sh' >theirs.sh
nix-instantiate --eval --strict --json --expr '
let
  lib = import /nixpkgs/lib;
  trivial = builtins.functionArgs (import /nixpkgs/pkgs/build-support/trivial-builders);
  made = who: { drvPath = who; overrideAttrs = _: made who; };
  tools = who: builtins.mapAttrs (_: _: null) trivial // {
    path = /nixpkgs;
    runtimeShell = "";
    buildEnv = _: made who;
    replaceVarsWith = _: made who;
    substitute = _: made who;
    closureInfo = _: made who // { type = "derivation"; };
  };
  of = import /glue/builders.nix { inherit lib; target = tools "images"; native = tools "builders"; changed = [ ]; };
  script = { src = ./ours.sh; isExecutable = true; replacements.shell = "/nix/store/shell"; };
  text = { src = ./theirs.sh; substitutions = [ "--replace-fail" "a" "b" ]; };
in
map (made: made.drvPath) [
  (of.replaceVarsWith script)
  (of.replaceVarsWith (script // { postInstall = "true $target"; }))
  (of.replaceVarsWith { src = ./theirs.sh; replacements = { }; })
  (of.substitute text)
  ((of.buildEnv { }).overrideAttrs { preferLocalBuild = true; })
  ((of.buildEnv { }).overrideAttrs (old: { name = old.name; }))

  (of.replaceVarsWith (script // { src = ./theirs.sh; }))
  (of.replaceVarsWith (script // { src = "/nix/store/made-by-a-derivation"; }))
  (of.replaceVarsWith (script // { postInstall = "uname -m >>$target"; }))
  (of.replaceVarsWith (script // { preFixup = ""; }))
  (of.replaceVarsWith (script // { replacements.shell = "/bin/sh"; }))
  (of.replaceVarsWith (script // { isExecutable = false; src = ./theirs.sh; postInstall = "true"; }))
  (of.replaceVarsWith (script // { postInstall = "chmod +x $out/other"; }))
  ((of.closureInfo { }).overrideAttrs { buildCommand = ""; })
  (of.substitute (text // { substitutions = [ "--subst-var" "system" ]; }))
  (of.substitute (text // { postInstall = ""; }))
  ((of.buildEnv { }).overrideAttrs { preferLocalBuild = true; buildCommand = ""; })
  ((of.buildEnv { }).overrideAttrs (old: old // { }))
]'
"#;

#[test]
fn small_builders_take_the_builders_tools_only_where_it_cannot_be_seen() {
    if !engine_is_here() {
        return;
    }
    let glue = concat!(env!("CARGO_MANIFEST_DIR"), "/src/nixos/glue:/glue:ro");
    let mini = format!("{}:/nixpkgs:ro", mini_nixpkgs().display());
    let said = says_in(
        &builder(),
        &["--volume", glue, "--volume", &mini],
        &[WHOSE_TOOLS],
    );
    let whose: Vec<String> = serde_json::from_str(&said).unwrap();
    let (builders, images) = whose.split_at(6);
    assert!(builders.iter().all(|who| who == "builders"), "{whose:?}");
    assert_eq!(images, ["images"; 12], "{whose:?}");
}

/// What an ELF file says of its machine.
const AARCH64: [u8; 2] = [183, 0];

/// Asserts that no image is made natively of a system with `body`, and tells why not.
fn is_refused(person: &Person, body: &str) -> Ran {
    person.write("sd-card.nix", &system("leak", body));
    let refused = ran(&mut person.build(&["--glue", "native"])).exits(4);
    assert!(person.outputs().is_empty(), "no image");
    assert!(!built(person).iter().any(|drv| drv.contains(".img")));
    refused
}

#[test]
fn a_program_of_the_builders_is_found_before_the_image_is_made() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    // The environment of a derivation names its own shell, and nothing in this text says so.
    let body = "  environment.etc.leak.source = pkgs.runCommand \"leak\" { } \"env >$out\";";
    let refused = is_refused(&person, body);
    let refused = refused.says(&["/bin/bash is a program of the builder's own architecture"]);
    refused.says(&["-leak refers to it", "--glue emulated"]);

    let auto = ran(&mut person.build(&[])).exits(0);
    let auto = auto.says(&["without native glue: ", "-leak refers to it"]);
    let text = fs::read(auto.image()).unwrap();
    let shell = tree(&auto.image());
    assert!(!text.is_empty() && shell.keys().any(|path| path.ends_with("-leak")));
}

#[test]
fn a_program_of_the_builders_that_only_the_images_commands_name_is_found() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    // Nobody refers to this one: it is a copy.
    let root = "  sdImage.populateRootCommands = \"mkdir -p files/opt; cp ${pkgs.runCommand \"tool\" { } \"cp $builder $out\"} files/opt/tool\";";
    let refused = is_refused(&person, root);
    refused.says(&[
        "-tool is a program of the builder's own architecture",
        "--glue emulated",
    ]);

    let firmware = "  sdImage.populateFirmwareCommands = \"cp ${pkgs.runCommand \"leak\" { } \"env >$out\"} firmware/leak\";";
    is_refused(&person, firmware).says(&["-leak refers to it"]);

    person.write(
        "sd-card.nix",
        &system("leak", &format!("{root}\n{firmware}")),
    );
    let auto = ran(&mut person.build(&[])).exits(0);
    let auto = auto.says(&["without native glue: ", "own architecture"]);
    let files = tree(&auto.image());
    let (.., tool) = &files["/opt/tool"];
    assert_eq!(tool[18..20], AARCH64);
}

#[test]
fn a_root_file_system_of_the_persons_own_is_not_made_natively() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    // An image around it whose commands are nobody's options.
    let image = "  system.build.sdImage = lib.mkForce (pkgs.callPackage ({ runCommand }: runCommand \"own\" { } ''\n    \
                   cp ${pkgs.runCommand \"tool\" { } \"cp $builder $out\"} $out\n  '') { });";
    is_refused(&person, image).says(&["the image is not made by nixpkgs' own SD image module"]);

    // By nixpkgs' own function, but not of what the configuration declares: nothing else names this program.
    let root = "  sdImage.rootFilesystemImage = pkgs.callPackage <nixpkgs/nixos/lib/make-ext4-fs.nix> {\n    \
                  inherit (config.sdImage) storePaths compressImage;\n    volumeLabel = \"NIXOS_SD\";\n    \
                  populateImageCommands = \"mkdir -p files/opt; cp ${pkgs.runCommand \"tool\" { } \"cp $builder $out\"} files/opt/tool\";\n  };";
    let why = "the configuration makes the root file system itself";
    is_refused(&person, root).says(&[why, "--glue emulated"]);

    let auto = ran(&mut person.build(&[])).exits(0);
    let auto = auto.says(&["without native glue: ", why]);
    let files = tree(&auto.image());
    let (.., tool) = &files["/opt/tool"];
    assert_eq!(tool[18..20], AARCH64);

    // Another function for it is told what to put in, as nixpkgs' own is.
    person.write("fs.nix", "{ callPackage, ... }@args: callPackage <nixpkgs/nixos/lib/make-ext4-fs.nix> (removeAttrs args [ \"callPackage\" ])");
    person.write(
        "sd-card.nix",
        &system("own", "  sdImage.rootFilesystemCreator = ./fs.nix;"),
    );
    ran(&mut person.build(&["--force", "--glue", "native"])).exits(0);
}

#[test]
fn what_fails_without_native_glue_is_not_tried_again() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    // As with a cross configuration: nothing to be had natively, and programs of the builder's make the image.
    let image = fresh("    exit 1");
    person.write(
        "sd-card.nix",
        &configuration(&format!(
            "  system.build.sdImage = lib.mkForce ((import pkgs.path {{ system = builtins.currentSystem; }}).runCommand \
             \"hopeless\" {{ }} ''\n{image}\n  '');"
        )),
    );
    let failed = ran(&mut person.build(&[])).exits(4);
    let failed = failed.says(&["hopeless"]);
    let told = failed.stderr.matches("without native glue").count();
    assert_eq!(told, 1, "{}", failed.stderr);
    let tries = builds(&person);
    let tries = tries.iter().filter(|drv| drv.ends_with("-hopeless.drv"));
    assert_eq!(tries.count(), 1);
}

#[test]
fn a_mistake_in_the_configuration_is_told_once_and_by_its_place() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    person.write(
        "sd-card.nix",
        &system("wrong", "  networking.hotsName = \"x\";"),
    );
    let failed = ran(&mut person.build(&[])).exits(2);
    let failed = failed.says(&["networking.hotsName", "sd-card.nix"]);
    assert_eq!(
        failed.stderr.matches("error:").count(),
        1,
        "{}",
        failed.stderr
    );
}

/// The container image of a builder, which the engine has after a build.
fn builder() -> String {
    let person = Person::new();
    person.write("sd-card.nix", &configuration(""));
    ran(&mut person.build(&[])).exits(0);
    let images = docker(&["images", "--quiet", "sdbuild/builder"]);
    images.lines().next().unwrap().to_owned()
}

/// What a shell script says in a builder, without a network.
fn says_in(builder: &str, volumes: &[&str], script: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--network", "none"]);
    command.args(volumes).arg(builder);
    command.args(["sh", "-c"]).args(script);
    ran(&mut command).exits(0).stdout.trim().to_owned()
}

/// In a builder: an initrd with the program at `$1` in it, packed as `$2` says; then the guard's word on it.
const LOOK_INTO_AN_INITRD: &str = r#"
TMPDIR=/tmp/work; export TMPDIR; mkdir -p $TMPDIR/glue /tmp/made /tmp/tree/bin
remove() { chmod -R u+w "$1"; rm -rf "$1"; }
. /glue
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
fn a_program_in_an_initrd_is_found() {
    if !engine_is_here() {
        return;
    }
    let glue = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/containers/builder/glue:/glue:ro"
    );
    let builder = builder();
    let look = |program: &str, packer: &str| {
        says_in(
            &builder,
            &["--volume", glue],
            &[LOOK_INTO_AN_INITRD, "sh", program, packer],
        )
    };
    for packer in ["cat", "gzip", "xz"] {
        let said = look("/usr/bin/bash", packer);
        let found =
            "/bin/program in /tmp/made/initrd is a program of the builder's own architecture";
        assert_eq!(said, found, "{packer}");
        assert_eq!(look("/glue", packer), "clean", "{packer}");
    }
}
