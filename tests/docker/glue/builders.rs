//! Which builders take the builder's own tools, and which stay the image's.

use std::collections::BTreeMap;

use super::{ready, said_inside, system};
use crate::support::*;

#[test]
fn commands_that_depend_on_the_machine_stay_emulated() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("gen.sh", "[ \"$(uname -m)\" = aarch64 ] && echo right\n");
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
    let joined = "pkgs.symlinkJoin { name = \"j\"; paths = [ ]; script = ./gen.sh; postBuild = \"sh $script\"; }";
    let body = format!("{body}  environment.etc.j.source = {joined};\n");
    user.build_of(&system("machine", &body), &["--glue", "native"]).assert_exit_code(0);
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
  made = who: { type = "derivation"; drvPath = who; overrideAttrs = _: made who; override = _: made who; };
  tools = who: builtins.mapAttrs (_: _: null) trivial // {
    path = /nixpkgs;
    runtimeShell = "";
    buildEnv = { __functor = _: _: made who; override = _: _: made who; };
    replaceVarsWith = _: made who;
    substitute = _: made who;
    replaceVars = _: _: made who;
    # As callPackage leaves it.
    closureInfo = { __functor = _: _: made who; };
    installShellFiles = "/nix/store/pages";
    makeWrapper = "/nix/store/wrap";
    stdenvNoCC.mkDerivation = _: made who;
    perl.withPackages = packages: { override = set: set.buildEnv { postBuild = packages; }; };
    nixos-enter.override = { __functor = _: set: set.replaceVarsWith script; __functionArgs.replaceVarsWith = false; };
  };
  using = {
    inherit lib;
    target = tools "images";
    native = tools "builders";
    changed = [ ];
    retry = import /glue/retry.nix { inherit lib; failed = [ ]; };
    isEmulated = _: (import /glue/text.nix { inherit lib; }).isSuspicious;
    unproven = { path = [ ". ./file" ]; system = [ ]; };
  };
  of = import /glue/builders.nix using;
  withChanged = tool: import /glue/builders.nix (using // { changed = [ tool ]; });
  script = { src = ./ours.sh; isExecutable = true; replacements.shell = "/nix/store/shell"; };
  page = { nativeBuildInputs = [ "/nix/store/pages" ]; postInstall = "  installManPage /nix/store/ours.8\n"; passthru = { }; };
  nixos = {
    name = "nixos-system-x";
    __structuredAttrs = true;
    toplevelVar = "out";
    buildCommand = "(\n  source /nix/store/wrap/nix-support/setup-hook\n  wrapProgram a --set TOP \${!toplevelVar}\n)\njq a(. | first)\n";
  };
  text = { src = ./theirs.sh; substitutions = [ "--replace-fail" "a" "b" ]; };
in
builtins.mapAttrs (_: map (made: made.drvPath)) {
  builders = [
    (of.replaceVarsWith script)
    (of.replaceVarsWith { src = ./theirs.sh; replacements = { }; })
    (of.substitute text)
    (of.closureInfo { })
    (of.replaceVars ./ours.sh { })
    ((of.buildEnv { }).overrideAttrs { preferLocalBuild = true; })
    ((of.buildEnv { }).overrideAttrs (old: { name = old.name; }))
    (of.replaceVarsWith (script // page))
    of.nixos-enter
    (of.perl.withPackages "cd x")
    (of.stdenvNoCC.mkDerivation nixos)
  ];
  images = [
    (of.replaceVarsWith (script // { src = ./theirs.sh; }))
    (of.replaceVarsWith (script // { src = "/nix/store/made-by-a-derivation"; }))
    (of.replaceVarsWith (script // { postInstall = "true $target"; }))
    (of.buildEnv { postBuild = "echo $BASH_VERSINFO"; })
    (of.buildEnv { name = "system-path"; postBuild = "true\n. ./file\n"; })
    (of.replaceVarsWith (script // { preFixup = ""; }))
    (of.replaceVarsWith (script // { replacements.shell = "/bin/sh"; }))
    ((of.closureInfo { }).overrideAttrs { buildCommand = ""; })
    ((of.replaceVars ./ours.sh { }).overrideAttrs { buildCommand = ""; })
    ((of.buildEnv { }).override { })
    (of.buildEnv { derivationArgs = { }; })
    (of.substitute (text // { substitutions = [ "--subst-var" "system" ]; }))
    (of.substitute (text // { postInstall = ""; }))
    ((of.buildEnv { }).overrideAttrs { preferLocalBuild = true; buildCommand = ""; })
    ((of.buildEnv { }).overrideAttrs (old: old // { }))
    (of.replaceVarsWith (script // page // { nativeBuildInputs = [ "/nix/store/other" ]; }))
    (of.replaceVarsWith (script // page // { postInstall = page.postInstall + "true\n"; }))
    ((withChanged "installShellFiles").replaceVarsWith (script // page))
    (of.perl.withPackages "echo $BASH_VERSINFO")
    (of.stdenvNoCC.mkDerivation (nixos // { toplevelVar = "other"; }))
    (of.stdenvNoCC.mkDerivation (nixos // { buildCommand = nixos.buildCommand + "source /nix/store/other\n"; }))
    ((withChanged "makeWrapper").stdenvNoCC.mkDerivation nixos)
    (of.stdenvNoCC.mkDerivation (nixos // { name = "other"; }))
  ];
  # Without these, those of the image are used.
  gone = map (tool: { drvPath = if withChanged tool ? closureInfo then "there" else "gone"; }) [ "jq" "stdenv" "closureInfo" ]
    ++ map (tool: { drvPath = if withChanged tool ? buildEnv then "gone" else "there"; }) [ "jq" "htop" ]
    ++ map (tool: { drvPath = if withChanged tool ? nixos-enter || withChanged tool ? perl then "there" else "gone"; }) [ "stdenv" ]
    ++ [ { drvPath = if withChanged "replaceVarsWith" ? nixos-enter || withChanged "buildEnv" ? perl then "there" else "gone"; } ];
}'
"#;

/// In a builder: which texts of commands look as if they depended on the machine.
const SUSPICIOUS: &str = r#"
nix-instantiate --eval --strict --json --expr '
let
  text = import /glue/text.nix { lib = import /nixpkgs/lib; };
in
map text.isSuspicious [
  "makeEtcEntry /proc/mounts mtab direct-symlink +0 +0"
  "jq .a = (. | first)"
  "makeEtcEntry /proc/*/stat x symlink +0 +0"
  "makeEtcEntry /proc/mounts mtab direct-symlink +0 +0; cat /proc/cpuinfo"
  "makeEtcEntry /proc/mounts $(cat /proc/version) symlink +0 +0"
  "cat /proc/mounts"
  ". ./file"
  "true | . file"
]'
"#;

#[test]
fn links_to_the_kernels_files_are_no_reading_of_them() {
    needs!(engine_ready());
    ready();
    let said: Vec<bool> = serde_json::from_str(&said_inside(STORE, SUSPICIOUS, &[])).unwrap();
    assert_eq!(said, [false, false, true, true, true, true, true, true]);
}

#[test]
fn small_builders_use_native_tools_only_where_invisible() {
    needs!(engine_ready());
    ready();
    let said = said_inside(STORE, WHOSE_TOOLS, &[]);
    let whose: BTreeMap<String, Vec<String>> = serde_json::from_str(&said).unwrap();
    for (wanted, got) in &whose {
        assert!(!got.is_empty() && got.iter().all(|who| who == wanted), "{whose:?}");
    }
    assert_eq!(whose.len(), 3);
}
