# nixpkgs' small builders (runCommand, writeText, buildEnv, …) with the builder's own tools and the same results as for
# the image.
#
# `target` is the package set of the configuration: every package of the image comes from it, unchanged. `native` is
# nixpkgs for the builder's architecture, without the user's overlays and settings, so that binary caches have it, with
# the environment of machine.nix. `changed` are the names that the user's overlays define. `isEmulated` decides by the
# derivation's variables and its command's text. `unproven` has the commands of the user that are part of NixOS's own.
{ lib, target, native, changed, retry, isEmulated, unproven }:
let
  inherit (import ./text.nix { inherit lib; }) contains withoutContext;

  # nixpkgs' own function, called with native tools and the image's shell, which is in the first line of the scripts that
  # these builders write.
  trivial =
    let
      directory = target.path + "/pkgs/build-support/trivial-builders";
      make = import (if builtins.pathExists directory then directory else target.path + "/pkgs/build-support/trivial-builders.nix");
      tools = native // { inherit lib; inherit (target) runtimeShell; lndir = native.lndir or native.xorg.lndir; };
    in
    make (builtins.intersectAttrs (builtins.functionArgs make) tools);
  # Those outside that file, with the same environment for their commands.
  answering = { inherit (trivial) runCommand runCommandLocal; inherit (native) stdenv stdenvNoCC; };
  others = lib.optionalAttrs (native.buildEnv ? override) {
    buildEnv = native.buildEnv.override (old: builtins.intersectAttrs old answering);
  };

  # One of two derivations: `slow` if `emulate`, or if `fast` has failed, else `fast`. The condition is evaluated only for
  # the attributes that are needed to build: modules refer to values that they are about to define, and reading a command's
  # text before that is an infinite recursion. All other attributes are those of `fast`.
  either =
    emulate: slow: fast:
    let
      existing = lib.filter (name: fast ? ${name});
      chosen = if emulate then slow else retry.choose slow fast;
    in
    fast
    // lib.genAttrs (existing (decisive ++ fast.outputs or [ ])) (name: chosen.${name})
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
  emulated = name: environment: text: lib.elem name cached || isEmulated environment text;

  # runCommand and runCommandLocal.
  command =
    builder: plainly: name: environment: text:
    either (emulated name environment text) (target.${builder} name environment text) (trivial.${plainly} name environment text);
  # The user's commands are looked for in those derivations only that have them: elsewhere their texts may refer to the
  # derivation itself.
  hasUnproven =
    name: text:
    let
      commands = if name == "system-path" then unproven.path else if lib.hasPrefix systemName name then unproven.system else [ ];
    in
    lib.any (command: contains command text) commands;
  systemName = "nixos-system-";

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
    if !builtins.isAttrs args || args ? derivationArgs then
      target.${builder} args
    else
      oneOf (isEmulated (environment args) text || hasUnproven (args.name or "") text) from builder args;
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
    if builtins.removeAttrs args known != { } then target.${builder} args else oneOf (depends args) installing builder args;
  installing = native // {
    replaceVarsWith = args: native.replaceVarsWith (args // lib.optionalAttrs (args ? nativeBuildInputs) { nativeBuildInputs = [ native.installShellFiles ]; });
  };
  # The arguments with which NixOS's own tools install their manual page; none if there is more to them.
  manualPage =
    args:
    let
      isOnly = builtins.match "[[:space:]]*installManPage ${builtins.storeDir}/[[:alnum:]._+-]+[[:space:]]*" (withoutContext (args.postInstall or ""));
      isKnown = args.nativeBuildInputs or [ ] == [ (target.installShellFiles or null) ] && !lib.elem "installShellFiles" changed;
    in
    lib.optionals (isOnly != null && isKnown) [ "nativeBuildInputs" "postInstall" ];

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
    args.isExecutable or false != false && !(builtins.isPath args.src && inStore);
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
        either (emulated (args.name or "") (args.derivationArgs or { }) text) (target.runCommandWith args text) (trivial.runCommandWith args text);
    symlinkJoin = withEnvironment (args: builtins.removeAttrs args linked) [ "postBuild" ] trivial "symlinkJoin";
    writeTextFile = withParts [ "checkPhase" ] trivial "writeTextFile";
    concatTextFile = withParts [ "checkPhase" ] trivial "concatTextFile";
    writeShellApplication = withParts [ "checkPhase" ] trivial "writeShellApplication";
    # Replaces values in a file.
    replaceVarsWith =
      args:
      withKnownArguments ([ "dir" "isExecutable" "manPage" "meta" "name" "passthru" "replacements" "src" ] ++ manualPage args) "replaceVarsWith" namesShell args;
    # `--subst-var` takes a value from the derivation's environment, which includes $system.
    substitute = withKnownArguments [ "dir" "isExecutable" "name" "src" "substitutions" ] "substitute" (args: lib.elem "--subst-var" args.substitutions or [ ]);
  };
  linked = [ "name" "pname" "version" "paths" "postBuild" "stripPrefix" "failOnMissing" ];
  environments = lib.mapAttrs (name: _: withEnvironment (builtins.intersectAttrs inputs) [ "postBuild" ] others name) others;
  # Packages whose setup hooks run before the commands.
  inputs = { nativeBuildInputs = null; buildInputs = null; };
  # The system itself: commands of NixOS and of the user that link and copy existing paths. Everything else that this
  # function makes stays as it is.
  system = {
    stdenvNoCC = target.stdenvNoCC // {
      mkDerivation =
        args:
        let
          isSystem = builtins.isAttrs args && args ? buildCommand && lib.hasPrefix systemName (args.name or "");
          # Its structured attributes are read by the shell only, in which machine.nix corrects them.
          variables = builtins.removeAttrs args [ "__structuredAttrs" ];
          emulate = isEmulated variables (evident args) || hasUnproven args.name args.buildCommand;
          make = stdenv: stdenv.mkDerivation args;
        in
        if isSystem then either emulate (make target.stdenvNoCC) (make native.stdenvNoCC) else make target.stdenvNoCC;
    };
  };
  # The system's commands without what their text does not show, but what is known: a variable that is read by its name, and the hook
  # that wraps the program which switches to the system.
  evident =
    args:
    let
      isOut = args.toplevelVar or null == "out";
      wrapper = (target.buildPackages or target).makeWrapper or "";
      hook = "source ${withoutContext "${wrapper}"}/nix-support/setup-hook\n";
      isPristine = !lib.any (name: lib.elem name changed) [ "makeWrapper" "makeShellWrapper" "buildPackages" ];
    in
    builtins.replaceStrings
      (lib.optional isOut "\${!toplevelVar}" ++ lib.optional isPristine hook)
      (lib.optional isOut "$out" ++ lib.optional isPristine "\n")
      (withoutContext args.buildCommand);
  # NixOS's own tools that are packages: binary caches do not have them, because they prefer a local build.
  ownToolNames = [ "nixos-build-vms" "nixos-container" "nixos-enter" "nixos-install" ];
  ownTools =
    lib.genAttrs ownToolNames (
      name:
      let
        tool = target.${name};
        takes = lib.functionArgs (tool.override or (_: { }));
      in
      if takes ? replaceVarsWith then tool.override (builtins.intersectAttrs takes { inherit (all) replaceVarsWith nixos-enter; }) else tool
    );
  # Perl with the packages that NixOS's modules choose, which no binary cache has: by the native buildEnv in the place of the package
  # set's own. The programs around it are compiled by the image's compiler either way.
  perl = target.perl // lib.optionalAttrs (target.perl ? withPackages) {
    withPackages = packages: (target.perl.withPackages packages).override { buildEnv = all.buildEnv or target.buildEnv; };
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
  all = pick plain trivial // pick whole native // { inherit (native) formats; inherit perl; } // inspected // environments // system // ownTools;

  # The packages whose programs a builder runs: the arguments of its function, where these can be read, and those below.
  toolsOf = name: [ name "stdenv" "stdenvNoCC" "runCommand" ] ++ lib.optionals (lib.elem name whole) (argumentsOf name) ++ tools.${name} or [ ];
  argumentsOf = name: builtins.attrNames (native.${name}.override.__functionArgs or { });
  packers = [ "cpio" "libarchive" "ubootTools" "gzip" "bzip2" "xz" "lzma" "lzop" "zstd" "perl" ];
  tools = {
    formats = [ "jq" "remarshal" "remarshal_0_17" "yj" "python3" "libxml2" "libxslt" "xmlformat" "elixir" "lua" "black" "stylua" "hocon" ];
    symlinkJoin = [ "lndir" "xorg" ];
    buildEnv = [ "perl" ];
    perl = [ "buildEnv" "makeWrapper" "makeBinaryWrapper" "perlPackages" "stdenv" ];
    closureInfo = [ "jq" "coreutils" ];
    makeDBusConf = [ "dbus" "libxslt" "findXMLCatalogs" ];
    makeInitrd = packers;
    makeInitrdNG = packers ++ [ "makeInitrdNGTool" "make-initrd-ng" "glibc" "patchelf" ];
    makeModulesClosure = [ "kmod" "nukeReferences" ];
    aggregateModules = [ "kmod" "buildEnv" ];
    writeShellApplication = [ "shellcheck" "shellcheck-minimal" ];
  }
  // lib.genAttrs ownToolNames (_: [ "replaceVarsWith" "nixos-enter" ]);
  isPristine = name: _: !lib.any (tool: lib.elem tool changed) (toolsOf name);
in
# Only builders that this nixpkgs has and that the user's overlays do not change.
lib.filterAttrs isPristine (builtins.intersectAttrs target all)
