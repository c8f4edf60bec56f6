# Evaluates a configuration so that as little as possible of it is built under emulation, and returns the `evaluation`, and in `built`
# one line:
#
#   native IMAGE.drv PART…      built by the builder's own architecture where possible; the PARTs (SYSTEM.drv, or
#                               DERIVATION.drv!OUTPUT,…) are the paths that may be part of the image
#   emulated IMAGE.drv REASON   no gain, or not safe: the derivation is the one that plain NixOS evaluates to
#
# The packages of the image, its options and the user's configuration keep their meaning: only the small builders in
# `pkgs` (see builders.nix) are replaced by native ones. The user's modules get a `pkgs` of their own, in which a command
# is native only if nothing in it can depend on the machine: NixOS's commands are tested with every release of it, the
# user's are not.
{
  # The user's module, for scripts.
  configuration ? null,
  # The image's system.
  system,
  # The builder's system.
  builderSystem ? builtins.currentSystem,
  # The .drv files, separated by spaces, of native derivations that are to be built under emulation.
  failed ? "",
  # From a list of modules to the configuration with them.
  evaluate ? modules: evaluateChanged (module: module) modules,
  # The same; its first argument changes the user's module. Null if the user's modules cannot be told from others.
  evaluateChanged ? change: modules: import <nixpkgs/nixos/lib/eval-config.nix> { inherit system; modules = [ (change configuration) ] ++ modules; },
  # From a configuration to its image: see image.nix.
  imageOf ? configuration: { choice.attribute = "config.system.build.sdImage"; derivation = configuration.config.system.build.sdImage; },
  # Why that is another one than nixpkgs' SD image module makes.
  asItIs ? null,
}:
let
  plainly = evaluate [ ];
  base = (if evaluateChanged == null then evaluate else evaluateChanged usersModules) [ module ];
  attribute = (imageOf base).choice.attribute or null;
  # nixpkgs' card of a configuration without an image is that configuration with one more module.
  isVariant = attribute == "config.system.build.images.sd-card" && base ? extendModules;
  variant = base.extendModules { modules = [ base.config.image.modules.sd-card ]; };
  glued = if isVariant then variant // { pkgs = variant.pkgs or variant._module.args.pkgs; } else base;
  inherit (glued) config options;

  usersModules = import ./user_modules.nix {
    lib = import <nixpkgs/lib>;
    change = arguments: if arguments ? pkgs then arguments // { pkgs = arguments.pkgs.sdbuildGlue.users or arguments.pkgs; } else arguments;
    # The key: the same module is in each definition of a container.
    ofContainers = [ { key = "sdbuild-glue"; imports = [ module ]; } ];
  };

  # `given`, the package set of the configuration, with the native builders for it.
  glueOf =
    { config, options, modulesPath }: given:
    let
      # What has a given hash is fetched natively: no path of an output depends on who fetches it. A package set that nixpkgs has not
      # made from its overlays alone may have more in it, and stays as it is.
      target = if isMadeByNixpkgs && given ? extend then given.extend (_: _: fetchers) else given;
      isMadeByNixpkgs = !(options.nixpkgs.pkgs.isDefined or true) && lib.all isInNixpkgs definers;
      definers = lib.concatLists (lib.zipListsWith definer options._module.args.files options._module.args.definitions);
      definer = file: args: lib.optional (args ? pkgs && !(args.pkgs ? isOurs)) file;
      fetchers = builtins.removeAttrs (builtins.intersectAttrs (lib.genAttrs fetcherNames (_: null)) plain) changed;
      fetcherNames = [
        "fetchurl" "fetchzip" "fetchgit" "fetchsvn" "fetchhg" "fetchpatch" "fetchpatch2" "fetchFromGitHub" "fetchFromGitLab"
        "fetchFromGitea" "fetchFromSourcehut" "fetchPypi" "fetchCrate"
      ];
      plain = import given.path { localSystem = builderSystem; config = { }; overlays = [ ]; };
      isInNixpkgs = file: lib.hasPrefix "${toString modulesPath}/" (toString file);
      inherit (given) lib;
      text = import ./text.nix { inherit lib; };
      # The commands in an option that the user's modules define and that could depend on the machine.
      unprovenIn =
        option:
        let
          definition = file: commands: lib.optional (!(isInNixpkgs file || text.isSimple commands)) commands;
        in
        lib.optionals (option ? files) (lib.concatLists (lib.zipListsWith definition option.files option.definitions));
      inherit (options) sdImage environment;
      # The names that an overlay of the user defines; the values are not evaluated.
      names = overlay: builtins.attrNames (overlay given given);
      # A package set of the user's own has its own overlays and settings.
      overlays = config.nixpkgs.overlays ++ given.overlays or [ ];
      configured = given.config.packageOverrides or config.nixpkgs.config.packageOverrides or (_: { });
      changed = lib.concatMap names overlays ++ builtins.attrNames (configured given);
      using = {
        inherit lib target changed;
        native = import ./machine.nix { inherit lib target; native = plain; };
        retry = import ./retry.nix { inherit lib; failed = lib.filter builtins.isString (builtins.split " " failed); };
        unproven = lib.mapAttrs (_: lib.concatMap unprovenIn) {
          path = [ (environment.extraSetup or { }) ];
          system = [ (options.system.extraSystemBuilderCmds or { }) (options.system.systemBuilderCommands or { }) ];
          root = [ (sdImage.populateRootCommands or { }) ];
          disk = map (step: sdImage.${step} or { }) diskSteps;
        };
      };
      builders = isEmulated: import ./builders.nix { inherit (using) lib target native changed retry unproven; inherit isEmulated; };
      # Variables of a derivation that its commands do not see, or that mean nothing to them.
      harmless = [ "meta" "passthru" "preferLocalBuild" "allowSubstitutes" ];
      # Where the user's modules cannot be told from NixOS's: whether a command has files beside it, as scripts are.
      mayBeUsers = variables: command: !text.isSimple command && lib.any text.namesFile (lib.attrValues variables ++ [ command ]);
      glue = {
        inherit target;
        # Structured attributes are files, in which Nix has written the builder's system.
        builders = builders (
          variables: command:
          variables ? __structuredAttrs || text.isSuspicious command || evaluateChanged == null && mayBeUsers variables command
        );
        assembly = import ./assembly.nix { inherit (using) lib target native changed retry unproven; };
        # The package set for the user's modules.
        users = target // builders (variables: command: builtins.removeAttrs variables harmless != { } || !text.isSimple command) // { sdbuildGlue = glue; };
      };
    in
    glue;

  module =
    { config, lib, options, modulesPath, ... }:
    let
      # `pkgs` as all other modules define it. Found within this evaluation, because a second evaluation of the whole
      # configuration without this module takes longer than native nixpkgs.
      others = lib.zipListsWith definition options._module.args.files options._module.args.definitions;
      definition = file: args: lib.optionalAttrs (args ? pkgs && !(args.pkgs ? isOurs)) { _file = file; config.pkgs = args.pkgs; };
      argument.options.pkgs = lib.mkOption { type = lib.types.raw or lib.types.unspecified; };
      glue = glueOf { inherit config options modulesPath; } (lib.evalModules { modules = [ argument ] ++ others; }).config.pkgs;
      pkgs = glue.target // glue.builders // { inherit (glue.assembly) callPackage; sdbuildGlue = glue; };
    in
    # Priority 60 is stronger than NixOS' own definition and weaker than the user's `_module.args.pkgs = mkForce …`. The
    # mark `isOurs` is on the definition: reading it from `pkgs` itself would be an infinite recursion.
    { _module.args.pkgs = (lib.mkOverride 60 pkgs) // { isOurs = true; }; };

  glue = glued.pkgs.sdbuildGlue or (glueOf { inherit config options; modulesPath = glued.pkgs.path + "/nixos/modules"; } glued.pkgs);
  inherit (glue) assembly;
  inherit (glue.target) lib;
  inherit (glue.target.stdenv) buildPlatform hostPlatform;
  isCross = buildPlatform.system != hostPlatform.system;

  commandsOf = lib.concatMapStringsSep "\n" (step: config.sdImage.${step} or "");
  diskSteps = [ "populateFirmwareCommands" "preBuildCommands" "postBuildCommands" ];
  commands = commandsOf diskSteps;
  image = assembly.disk config.system.build.sdImage (config.sdImage.rootFilesystemImage or { }) commands;

  # Paths that the image's own commands refer to may be outside the system, and may be copied into the image. All of them
  # are built for the image anyway. Whether plain NixOS has them too is not checked: the commands refer to the system, so
  # that would take another full evaluation. So a native program that they only run is refused as well, which costs time
  # and nothing else.
  named =
    let
      # Not defined when the configuration's own function makes the file system without these commands.
      root = builtins.tryEval (commandsOf [ "populateRootCommands" ]);
      context = builtins.getContext (commands + "\n" + (if root.success then root.value else ""));
      derivations = lib.filterAttrs (_: how: how ? outputs || how.allOutputs or false) context;
      looked = map builtins.unsafeDiscardStringContext systems ++ assembly.unneeded;
      # Only the outputs that are referred to: others would be fetched or built for nothing.
      part = derivation: how: derivation + lib.optionalString (!(how.allOutputs or false)) "!${lib.concatStringsSep "," how.outputs}";
    in
    lib.mapAttrsToList part (builtins.removeAttrs derivations looked);
  toplevel = config.system.build.toplevel.drvPath;
  deployment = ((imageOf base).deployment config.system.build.toplevel).drvPath;
  systems = lib.catAttrs "drvPath" config.sdImage.storePaths;

  # Without declared contents, an image cannot be inspected before it is built.
  isSdImage = isVariant || attribute == "config.system.build.sdImage";
  known = isSdImage && config ? sdImage && config.sdImage ? storePaths && config.system.build.sdImage ? override && lib.all isNixpkgs makers;
  # The files that define the image.
  makers = lib.concatLists (lib.zipListsWith (file: built: lib.optional (built ? sdImage) file) options.system.build.files options.system.build.definitions);
  isNixpkgs = file: builtins.match ".*/nixos/modules/installer/(sd-card|cd-dvd)/sd-image[.]nix" (toString file) != null;
  # Neither can a root file system that replaces the one that nixpkgs' module makes from the declared contents. Another
  # function to make it is fine: it gets no native builders. These options exist since 25.11.
  ownRoot = options.sdImage ? rootFilesystemImage && options.sdImage.rootFilesystemImage.highestPrio < (lib.mkOptionDefault { }).priority;
  reason =
    if asItIs != null then
      asItIs
    else if isCross then
      "cross: ${buildPlatform.system}"
    else if hostPlatform.system == builderSystem then
      "the builder runs ${builderSystem} itself"
    else if !known then
      "the image is not made by nixpkgs' own SD image module"
    else if ownRoot then
      "the configuration makes the root file system itself"
    else if !lib.all lib.isDerivation config.sdImage.storePaths then
      "the image holds something that is not a derivation"
    else
      null;
in
{
  # What is found out about it must need nothing else of it: otherwise an error in the configuration would be met here first.
  evaluation = if asItIs == null && isCross then plainly else base;
  built =
    if reason != null then
      "emulated ${(imageOf plainly).derivation.drvPath} ${reason}"
    else
      lib.concatStringsSep " " ([ "native" ] ++ (if (imageOf base).isSystem or false then [ deployment toplevel ] else [ image.drvPath ] ++ systems ++ named));
}
