# nixpkgs' small builders (runCommand, writeText, buildEnv, …), made of the builder's own tools and yet giving what they
# give for the image.
#
# `target` is the package set that the configuration made: every package of the image comes from it and stays as it is.
# `native` is nixpkgs for the builder's architecture, without anything of the user's, so that binary caches have it.
{ lib, target, native, changed }:
let
  inherit (import ./text.nix { inherit lib; }) dependsOnMachine says;

  # Instantiated anew: nixpkgs' own function of few arguments, called with native tools but the image's shell, because
  # that one stands in the first line of what these builders write.
  trivial =
    let
      directory = target.path + "/pkgs/build-support/trivial-builders";
      make = import (if builtins.pathExists directory then directory else target.path + "/pkgs/build-support/trivial-builders.nix");
      tools = native // { inherit lib; inherit (target) runtimeShell; lndir = native.lndir or native.xorg.lndir; };
    in
    make (builtins.intersectAttrs (builtins.functionArgs make) tools);

  # One of two derivations. Which one is asked only by whoever wants to build it: modules refer to what they are about to
  # define, and looking at a command's text before that is an infinite recursion. So everything else is taken from `fast`.
  either =
    emulate: slow: fast:
    let
      existing = lib.filter (name: fast ? ${name});
    in
    fast
    // lib.genAttrs (existing (decisive ++ fast.outputs or [ ])) (name: if emulate then slow.${name} else fast.${name})
    # What becomes of it then, nobody has looked at; but for its name and what tells Nix how to build it.
    // lib.optionalAttrs (fast ? overrideDerivation) { inherit (slow) overrideDerivation; }
    // lib.optionalAttrs (fast ? overrideAttrs) {
      overrideAttrs =
        change:
        if onlyTells change then either emulate (slow.overrideAttrs change) (fast.overrideAttrs change) else slow.overrideAttrs change;
    };
  # Whether a change is of what does not reach the commands. A function is asked without the attributes that it changes.
  onlyTells =
    change:
    let
      set = if builtins.isFunction change then change (throw "not known") else change;
      names = builtins.tryEval (if builtins.isAttrs set then builtins.attrNames set else [ "?" ]);
    in
    names.success && lib.all (name: lib.elem name [ "name" "preferLocalBuild" "allowSubstitutes" ]) names.value;
  decisive = [ "drvPath" "outPath" "all" "drvAttrs" "system" "stdenv" "builder" "args" "inputDerivation" ];

  # Manuals and their like are made of the modules' texts alone: a binary cache often has them as they are.
  cached = [
    "options.json" "lazy-options.json" "nixos-manual-html" "nixos-manual-epub" "nixos-configuration-reference-manpage" "nixos-help"
  ];
  # NixOS's own commands that look suspicious and are not; most of the time of a build is theirs.
  trusted = [ "etc" "system-units" "user-units" "initrd-units" "udev-rules" "initrd-udev-rules" ];
  emulated = name: command: environment: lib.elem name cached || !lib.elem name trusted && dependsOnMachine command environment;

  # runCommand and runCommandLocal.
  command =
    builder: plainly: name: environment: text:
    either (emulated name text environment) (target.${builder} name environment text) (trivial.${plainly} name environment text);
  # Builders that take a set, of which `parts` are shell commands.
  withParts = withEnvironment (_: { });
  # The same, and `environment` of it are their variables.
  withEnvironment =
    environment: parts: from: builder: args:
    let
      text = lib.concatMapStringsSep "\n" (part: toString (args.${part} or "")) parts;
    in
    # A function of the final attributes, as newer builders take: what it says is not known before. Nor whatever else a
    # derivation may have.
    if !builtins.isAttrs args || args ? derivationArgs then target.${builder} args else oneOf (dependsOnMachine text (environment args)) from builder args;
  # What is said about a package is for the image's system, and the user's settings allow it: the native set knows neither.
  oneOf =
    emulate: from: builder: args:
    let
      slow = target.${builder} args;
      fast = from.${builder} (builtins.removeAttrs args [ "meta" ]);
    in
    either emulate slow fast
    // lib.optionalAttrs (args ? meta) { inherit (slow) meta; }
    # Other commands than those that were looked at.
    // lib.optionalAttrs (fast ? override) { inherit (slow) override; };

  # Builders that take a set with phases and whatever else a derivation may have: with more than `known`, they stay.
  knowing =
    known: builder: depends: args:
    if builtins.removeAttrs args known != { } then target.${builder} args else oneOf (depends args) native builder args;

  # Whether nixpkgs would put a program for a script's first line there: it takes one of its own tools. Not when the line
  # has a path of the store, or will have one. A script that a derivation makes cannot be read before.
  namesShell =
    args:
    let
      line = firstLine args.src;
      variable = builtins.match "#! *@([^@]*)@.*" line;
      value = toString (args.replacements.${lib.head variable} or "");
      inStore = builtins.match "#! *${builtins.storeDir}/.*" line != null || variable != null && lib.hasPrefix builtins.storeDir value;
    in
    (args.isExecutable or false != false || args ? postInstall) && !(builtins.isPath args.src && inStore)
    || lib.any (word: says word (args.postInstall or "")) [ "chmod" "install " ];
  firstLine = file: lib.head (builtins.split "\n" (builtins.readFile file));

  looked = {
    runCommand = command "runCommand" "runCommand";
    runCommandLocal = command "runCommandLocal" "runCommandLocal";
    # Old names of the same two.
    runCommandNoCC = command "runCommandNoCC" "runCommand";
    runCommandNoCCLocal = command "runCommandNoCCLocal" "runCommandLocal";
    # Somebody's own stdenv is there for a reason.
    runCommandWith =
      args: text:
      if args ? stdenv then
        target.runCommandWith args text
      else
        either (emulated (args.name or "") text (args.derivationArgs or { })) (target.runCommandWith args text) (trivial.runCommandWith args text);
    symlinkJoin = withEnvironment (args: builtins.removeAttrs args [ "meta" "passthru" ]) [ "postBuild" ] trivial "symlinkJoin";
    writeTextFile = withParts [ "checkPhase" ] trivial "writeTextFile";
    concatTextFile = withParts [ "checkPhase" ] trivial "concatTextFile";
    buildEnv = withParts [ "postBuild" ] native "buildEnv";
    writeShellApplication = withParts [ "checkPhase" ] trivial "writeShellApplication";
    # What puts values into a file. What is done with the file is looked at, not what it says.
    replaceVarsWith = knowing [ "dir" "isExecutable" "manPage" "meta" "name" "nativeBuildInputs" "postInstall" "replacements" "src" ] "replaceVarsWith" (
      args: namesShell args || dependsOnMachine (args.postInstall or "") { }
    );
    # This flag takes a value from the derivation's environment, which has $system.
    substitute = knowing [ "dir" "isExecutable" "name" "src" "substitutions" ] "substitute" (args: lib.elem "--subst-var" args.substitutions or [ ]);
  };
  # The system itself: commands of NixOS's and of the user's that link and copy what is there. Everything else that is
  # made by this function stays as it is.
  system = {
    stdenvNoCC = target.stdenvNoCC // {
      mkDerivation =
        args:
        let
          isSystem = builtins.isAttrs args && args ? buildCommand && lib.hasPrefix "nixos-system-" (args.name or "");
          make = stdenv: stdenv.mkDerivation args;
        in
        if isSystem then either (dependsOnMachine args.buildCommand args) (make target.stdenvNoCC) (make native.stdenvNoCC) else make target.stdenvNoCC;
    };
  };
  # Their texts are nixpkgs' own, and what the user gives is only copied.
  plain = [
    "writeText" "writeTextDir" "linkFarm" "linkFarmFromDrvs" "concatText" "concatScript" "writeScript" "writeScriptBin"
    "writeShellScript" "writeShellScriptBin" "writeReferencesToFile" "writeDirectReferencesToFile"
    "writeStringReferencesToFile"
  ];
  # Not those that put every variable of theirs into a text (substituteAll and its kin): @system@ is one of them.
  whole = [
    "closureInfo" "replaceVars" "makeInitrdNG" "makeInitrd" "makeModulesClosure"
    "makeDBusConf" "aggregateModules"
  ];
  # What is made of their results is not looked at either; but for `override`, which NixOS calls for what it makes itself.
  untilMade =
    slow: fast:
    if builtins.isFunction fast then
      argument: untilMade (slow argument) (fast argument)
    # As callPackage leaves a function.
    else if fast ? __functor then
      fast // { __functor = _: argument: untilMade (slow argument) (fast argument); }
    else if lib.isDerivation fast then
      either false slow fast
    else
      fast;
  pick = names: set: lib.mapAttrs (name: untilMade target.${name}) (builtins.intersectAttrs (lib.genAttrs names (_: null)) set);
  all = pick plain trivial // pick whole native // { inherit (native) formats; } // looked // system;
in
# Only what this nixpkgs has; and what the user's overlays have made of a builder stays theirs.
builtins.removeAttrs (builtins.intersectAttrs target all) changed
