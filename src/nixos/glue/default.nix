# Evaluates a configuration so that as little as possible of it is built under emulation, and says in one line what came
# of it:
#
#   native IMAGE.drv PART…      built by the builder's own architecture where it can be; the PARTs (SYSTEM.drv, or
#                               DERIVATION.drv!OUTPUT,…) are what may go into the image
#   emulated IMAGE.drv REASON   nothing to gain or not safe here: the derivation is the one that plain NixOS gives
#
# The packages of the image, its options and everything that the user wrote keep their meaning: the configuration is
# evaluated as ever, but for a `pkgs` in which the small builders (see builders.nix) are native ones.
{
  # The user's module.
  configuration,
  # The image's system.
  system,
  # The builder's.
  builderSystem ? builtins.currentSystem,
}:
let
  evaluate = modules: import <nixpkgs/nixos/lib/eval-config.nix> { inherit system; modules = [ configuration ] ++ modules; };
  glued = evaluate [ module ];
  inherit (glued) config options;

  # The package set that the configuration made, and what is native beside it.
  glueOf =
    config: target:
    let
      # What the user's overlays define. Only their names are looked at.
      names = overlay: builtins.attrNames (overlay target target);
      # A package set that the user brings has overlays and settings of its own.
      overlays = config.nixpkgs.overlays ++ target.overlays or [ ];
      configured = target.config.packageOverrides or config.nixpkgs.config.packageOverrides or (_: { });
      using = {
        inherit target;
        inherit (target) lib;
        native = import target.path { localSystem = builderSystem; config = { }; overlays = [ ]; };
        changed = target.lib.concatMap names overlays ++ builtins.attrNames (configured target);
      };
    in
    { inherit target; builders = import ./builders.nix using; assembly = import ./assembly.nix using; };

  module =
    { config, lib, options, ... }:
    let
      # What `pkgs` is by all the others' word. Asked within the one evaluation, because a second one of the whole
      # configuration, without us, takes longer than native nixpkgs.
      others = lib.zipListsWith definition options._module.args.files options._module.args.definitions;
      definition = file: args: lib.optionalAttrs (args ? pkgs && !(args.pkgs ? isOurs)) { _file = file; config.pkgs = args.pkgs; };
      argument.options.pkgs = lib.mkOption { type = lib.types.raw or lib.types.unspecified; };
      glue = glueOf config (lib.evalModules { modules = [ argument ] ++ others; }).config.pkgs;
      pkgs = glue.target // glue.builders // { inherit (glue.assembly) callPackage; sdbuildGlue = glue; };
    in
    # Stronger than what NixOS sets, weaker than a `_module.args.pkgs = mkForce …` of the user's. The mark is on the
    # definition: to ask `pkgs` itself would be an infinite recursion.
    { _module.args.pkgs = (lib.mkOverride 60 pkgs) // { isOurs = true; }; };

  glue = glued.pkgs.sdbuildGlue or (glueOf config glued.pkgs);
  inherit (glue) assembly;
  inherit (glue.target) lib;
  inherit (glue.target.stdenv) buildPlatform hostPlatform;

  commandsOf = lib.concatMapStringsSep "\n" (step: config.sdImage.${step} or "");
  commands = commandsOf [ "populateFirmwareCommands" "preBuildCommands" "postBuildCommands" ];
  image = assembly.disk config.system.build.sdImage (config.sdImage.rootFilesystemImage or { }) commands;

  # What the image's own commands name need not be in a system, and they may copy it. All of it is built for the image
  # anyway. Which of it plain NixOS has as well is not asked: the commands name the system, so that would be a whole
  # evaluation more. So a native program that they only run is refused too, which costs time and nothing else.
  named =
    let
      # Nobody needs to have said these whose own function makes the file system without.
      root = builtins.tryEval (commandsOf [ "populateRootCommands" ]);
      context = builtins.getContext (commands + "\n" + (if root.success then root.value else ""));
      derivations = lib.filterAttrs (_: how: how ? outputs || how.allOutputs or false) context;
      looked = map builtins.unsafeDiscardStringContext systems ++ assembly.unneeded;
      # Not the outputs that nobody asks for: they would be fetched, or built.
      part = derivation: how: derivation + lib.optionalString (!(how.allOutputs or false)) "!${lib.concatStringsSep "," how.outputs}";
    in
    lib.mapAttrsToList part (builtins.removeAttrs derivations looked);
  systems = lib.catAttrs "drvPath" config.sdImage.storePaths;

  # An image whose contents nobody declared cannot be looked at before it is made.
  known = config ? sdImage && config.sdImage ? storePaths && config.system.build.sdImage ? override && lib.all isNixpkgs makers;
  # The files that define the image.
  makers = lib.concatLists (lib.zipListsWith (file: built: lib.optional (built ? sdImage) file) options.system.build.files options.system.build.definitions);
  isNixpkgs = file: builtins.match ".*/nixos/modules/installer/(sd-card|cd-dvd)/sd-image[.]nix" (toString file) != null;
  # Nor can a root file system in place of the one that nixpkgs' module makes of what is declared. Another function for
  # that one gets no native builders, so it can be anybody's. The options came with 25.11.
  ownRoot = options.sdImage ? rootFilesystemImage && options.sdImage.rootFilesystemImage.highestPrio < (lib.mkOptionDefault { }).priority;
  reason =
    if buildPlatform.system != hostPlatform.system then
      "the configuration cross-compiles"
    else if hostPlatform.system == builderSystem then
      "the builder runs ${builderSystem} itself"
    else if !known then
      "the image is not made by nixpkgs' own SD image module"
    else if ownRoot then
      "the configuration makes the root file system itself"
    else if !lib.all lib.isDerivation config.sdImage.storePaths then
      "the image holds something that is no derivation"
    else
      null;
in
if reason != null then
  "emulated ${(evaluate [ ]).config.system.build.sdImage.drvPath} ${reason}"
else
  lib.concatStringsSep " " ([ "native" image.drvPath ] ++ systems ++ named)
