# nixpkgs' small builders (runCommand, writeText, buildEnv, …) with the builder's own tools and the same results as for
# the image.
#
# `target` is the package set of the configuration: every package of the image comes from it, unchanged. `native` is
# nixpkgs for the builder's architecture, without the user's overlays and settings, so that binary caches have it.
{ lib, target, native, changed }:
let
  inherit (import ./text.nix { inherit lib; }) dependsOnMachine contains;

  # nixpkgs' own function, called with native tools and the image's shell, which is in the first line of the scripts that
  # these builders write.
  trivial =
    let
      directory = target.path + "/pkgs/build-support/trivial-builders";
      make = import (if builtins.pathExists directory then directory else target.path + "/pkgs/build-support/trivial-builders.nix");
      tools = native // { inherit lib; inherit (target) runtimeShell; lndir = native.lndir or native.xorg.lndir; };
    in
    make (builtins.intersectAttrs (builtins.functionArgs make) tools);

  # One of two derivations: `slow` if `emulate`, else `fast`. The condition is evaluated only for the attributes that are
  # needed to build: modules refer to values that they are about to define, and reading a command's text before that is an
  # infinite recursion. All other attributes are those of `fast`.
  either =
    emulate: slow: fast:
    let
      existing = lib.filter (name: fast ? ${name});
    in
    fast
    // lib.genAttrs (existing (decisive ++ fast.outputs or [ ])) (name: if emulate then slow.${name} else fast.${name})
    # An override is not inspected, so it applies to `slow`, unless it changes only the metadata.
    // lib.optionalAttrs (fast ? overrideDerivation) { inherit (slow) overrideDerivation; }
    // lib.optionalAttrs (fast ? overrideAttrs) {
      overrideAttrs =
        change:
        if changesOnlyMetadata change then either emulate (slow.overrideAttrs change) (fast.overrideAttrs change) else slow.overrideAttrs change;
    };
  # Whether an override changes only attributes that do not affect the commands. A function is called without the
  # previous attributes.
  changesOnlyMetadata =
    change:
    let
      set = if builtins.isFunction change then change (throw "not known") else change;
      names = builtins.tryEval (if builtins.isAttrs set then builtins.attrNames set else [ "?" ]);
    in
    names.success && lib.all (name: lib.elem name [ "name" "preferLocalBuild" "allowSubstitutes" ]) names.value;
  decisive = [ "drvPath" "outPath" "all" "drvAttrs" "system" "stdenv" "builder" "args" "inputDerivation" ];

  # Manuals depend on the modules' texts only: binary caches often have them.
  cached = [
    "options.json" "lazy-options.json" "nixos-manual-html" "nixos-manual-epub" "nixos-configuration-reference-manpage" "nixos-help"
  ];
  # NixOS' own commands that look suspicious and are safe; they take most of the time of a build.
  trusted = [ "etc" "system-units" "user-units" "initrd-units" "udev-rules" "initrd-udev-rules" ];
  emulated = name: command: environment: lib.elem name cached || !lib.elem name trusted && dependsOnMachine command environment;

  # runCommand and runCommandLocal.
  command =
    builder: plainly: name: environment: text:
    either (emulated name text environment) (target.${builder} name environment text) (trivial.${plainly} name environment text);
  # Builders that take an attribute set, in which `parts` are shell commands.
  withParts = withEnvironment (_: { });
  # The same; `environment` returns the variables of the commands.
  withEnvironment =
    environment: parts: from: builder: args:
    let
      text = lib.concatMapStringsSep "\n" (part: toString (args.${part} or "")) parts;
    in
    # A function of the final attributes, as newer builders accept, cannot be inspected; nor can other attributes of the
    # derivation.
    if !builtins.isAttrs args || args ? derivationArgs then target.${builder} args else oneOf (dependsOnMachine text (environment args)) from builder args;
  # `meta` is that of the image's system with the user's settings (such as allowed licenses), not of the native set.
  oneOf =
    emulate: from: builder: args:
    let
      slow = target.${builder} args;
      fast = from.${builder} (builtins.removeAttrs args [ "meta" ]);
    in
    either emulate slow fast
    // lib.optionalAttrs (args ? meta) { inherit (slow) meta; }
    # An override can bring commands that were not inspected.
    // lib.optionalAttrs (fast ? override) { inherit (slow) override; };

  # Builders that take a set with phases and any other attribute of a derivation: emulated with more than the `known` ones.
  withKnownArguments =
    known: builder: depends: args:
    if builtins.removeAttrs args known != { } then target.${builder} args else oneOf (depends args) native builder args;

  # Whether nixpkgs would replace the interpreter in a script's first line by one of the builder's own tools. Not when the
  # line has a store path already, or gets one. A script that a derivation makes cannot be read before it is built.
  namesShell =
    args:
    let
      line = firstLine args.src;
      variable = builtins.match "#! *@([^@]*)@.*" line;
      value = toString (args.replacements.${lib.head variable} or "");
      inStore = builtins.match "#! *${builtins.storeDir}/.*" line != null || variable != null && lib.hasPrefix builtins.storeDir value;
    in
    (args.isExecutable or false != false || args ? postInstall) && !(builtins.isPath args.src && inStore)
    || lib.any (word: contains word (args.postInstall or "")) [ "chmod" "install " ];
  firstLine = file: lib.head (builtins.split "\n" (builtins.readFile file));

  inspected = {
    runCommand = command "runCommand" "runCommand";
    runCommandLocal = command "runCommandLocal" "runCommandLocal";
    # Old names of these two.
    runCommandNoCC = command "runCommandNoCC" "runCommand";
    runCommandNoCCLocal = command "runCommandNoCCLocal" "runCommandLocal";
    # A custom stdenv must be used as it is.
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
    # Replaces values in a file. The commands that process the file are inspected, not its content.
    replaceVarsWith = withKnownArguments [ "dir" "isExecutable" "manPage" "meta" "name" "nativeBuildInputs" "postInstall" "replacements" "src" ] "replaceVarsWith" (
      args: namesShell args || dependsOnMachine (args.postInstall or "") { }
    );
    # `--subst-var` takes a value from the derivation's environment, which includes $system.
    substitute = withKnownArguments [ "dir" "isExecutable" "name" "src" "substitutions" ] "substitute" (args: lib.elem "--subst-var" args.substitutions or [ ]);
  };
  # The system itself: commands of NixOS and of the user that link and copy existing paths. Everything else that this
  # function makes stays as it is.
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
  # Their commands are nixpkgs' own, and the user's input is only copied.
  plain = [
    "writeText" "writeTextDir" "linkFarm" "linkFarmFromDrvs" "concatText" "concatScript" "writeScript" "writeScriptBin"
    "writeShellScript" "writeShellScriptBin" "writeReferencesToFile" "writeDirectReferencesToFile"
    "writeStringReferencesToFile"
  ];
  # Not substituteAll and similar ones, which put all their variables into a text: @system@ is one of them.
  whole = [
    "closureInfo" "replaceVars" "makeInitrdNG" "makeInitrd" "makeModulesClosure"
    "makeDBusConf" "aggregateModules"
  ];
  # Overrides of their results are not inspected either, except `override`, which NixOS calls on its own derivations.
  untilMade =
    slow: fast:
    if builtins.isFunction fast then
      argument: untilMade (slow argument) (fast argument)
    # A function as callPackage returns it.
    else if fast ? __functor then
      fast // { __functor = _: argument: untilMade (slow argument) (fast argument); }
    else if lib.isDerivation fast then
      either false slow fast
    else
      fast;
  pick = names: set: lib.mapAttrs (name: untilMade target.${name}) (builtins.intersectAttrs (lib.genAttrs names (_: null)) set);
  all = pick plain trivial // pick whole native // { inherit (native) formats; } // inspected // system;
in
# Only builders that this nixpkgs has and that the user's overlays do not change.
builtins.removeAttrs (builtins.intersectAttrs target all) changed
