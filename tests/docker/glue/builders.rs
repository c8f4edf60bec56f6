//! Which builders take the builder's own tools, and which stay the image's.

use std::collections::BTreeMap;

use super::{ready, said_inside, system};
use crate::support::*;

#[test]
fn commands_that_depend_on_the_machine_stay_emulated() {
    if !engine_available() {
        return;
    }
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
    user.write("sd-card.nix", &system("machine", &body));
    run(&mut user.build(&["--glue", "native"])).assert_exit_code(0);
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
  ];
  # Without these, those of the image are used.
  gone = map (tool: { drvPath = if withChanged tool ? closureInfo then "there" else "gone"; }) [ "jq" "stdenv" "closureInfo" ]
    ++ map (tool: { drvPath = if withChanged tool ? buildEnv then "gone" else "there"; }) [ "jq" "htop" ];
}'
"#;

#[test]
fn small_builders_use_native_tools_only_where_invisible() {
    if !engine_available() {
        return;
    }
    ready();
    let said = said_inside(STORE, WHOSE_TOOLS, &[]);
    let whose: BTreeMap<String, Vec<String>> = serde_json::from_str(&said).unwrap();
    for (wanted, got) in &whose {
        assert!(
            !got.is_empty() && got.iter().all(|who| who == wanted),
            "{whose:?}"
        );
    }
    assert_eq!(whose.len(), 3);
}
