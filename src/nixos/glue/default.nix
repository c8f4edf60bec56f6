# Evaluates a configuration so that as little as possible of it is built under emulation, and says in one line what came
# of it:
#
#   native IMAGE.drv PART…      built by the builder's own architecture where it can be; the PARTs (SYSTEM.drv, or
#                               DERIVATION.drv!OUTPUT,…) are what may go into the image
#   emulated IMAGE.drv REASON   nothing to gain or not safe here: the derivation is the one that plain NixOS gives
#
# The packages of the image, its options and everything that the person wrote keep their meaning: the configuration is
# evaluated as ever, then once more with a `pkgs` in which the small builders (see builders.nix) are native ones.
{
  # The person's module.
  configuration,
  # The image's system.
  system,
  # The builder's.
  builderSystem ? builtins.currentSystem,
}:
let
  evaluate = modules: import <nixpkgs/nixos/lib/eval-config.nix> { inherit system; modules = [ configuration ] ++ modules; };
  plain = evaluate [ ];
  # nixpkgs before 21.11 cannot extend what it has evaluated.
  extend = modules: if plain ? extendModules then plain.extendModules { inherit modules; } else evaluate modules;

  target = plain.pkgs;
  inherit (target) lib;
  native = import target.path { localSystem = builderSystem; config = { }; overlays = [ ]; };
  inherit (target.stdenv) buildPlatform hostPlatform;

  # What the person's overlays define. Only their names are looked at.
  changed =
    let
      names = overlay: builtins.attrNames (overlay target target);
      # A package set that the person brings has overlays and settings of its own.
      overlays = plain.config.nixpkgs.overlays ++ target.overlays or [ ];
      configured = target.config.packageOverrides or plain.config.nixpkgs.config.packageOverrides or (_: { });
    in
    lib.concatMap names overlays ++ builtins.attrNames (configured target);

  builders = import ./builders.nix { inherit lib target native changed; };
  assembly = import ./assembly.nix { inherit lib target native changed; };
  # Stronger than what NixOS sets, weaker than a `_module.args.pkgs = mkForce …` of the person's.
  module = { lib, ... }: { _module.args.pkgs = lib.mkOverride 60 (target // builders // { inherit (assembly) callPackage; }); };
  glued = (extend [ module ]).config;

  commandsOf = lib.concatMapStringsSep "\n" (step: glued.sdImage.${step} or "");
  commands = commandsOf [ "populateFirmwareCommands" "preBuildCommands" "postBuildCommands" ];
  image = assembly.disk glued.system.build.sdImage (glued.sdImage.rootFilesystemImage or { }) commands;

  # What the image's own commands name need not be in a system, and they may copy it. All of it is built for the image
  # anyway. Which of it plain NixOS has as well is not asked: the commands name the system, so that would be a whole
  # evaluation more. So a native program that they only run is refused too, which costs time and nothing else.
  named =
    let
      # Nobody needs to have said these who brings a file system of their own.
      root = builtins.tryEval (commandsOf [ "populateRootCommands" ]);
      context = builtins.getContext (commands + "\n" + (if root.success then root.value else ""));
      derivations = lib.filterAttrs (_: how: how ? outputs || how.allOutputs or false) context;
      looked = map builtins.unsafeDiscardStringContext systems ++ assembly.unneeded;
      # Not the outputs that nobody asks for: they would be fetched, or built.
      part = derivation: how: derivation + lib.optionalString (!(how.allOutputs or false)) "!${lib.concatStringsSep "," how.outputs}";
    in
    lib.mapAttrsToList part (builtins.removeAttrs derivations looked);
  systems = lib.catAttrs "drvPath" glued.sdImage.storePaths;

  # An image whose contents nobody declared cannot be looked at before it is made.
  known = plain.config ? sdImage && plain.config.sdImage ? storePaths && plain.config.system.build.sdImage ? override;
  reason =
    if buildPlatform.system != hostPlatform.system then
      "the configuration cross-compiles"
    else if hostPlatform.system == builderSystem then
      "the builder runs ${builderSystem} itself"
    else if !known then
      "the image is not made by nixpkgs' own SD image module"
    else if !lib.all lib.isDerivation glued.sdImage.storePaths then
      "the image holds something that is no derivation"
    else
      null;
in
if reason != null then
  "emulated ${plain.config.system.build.sdImage.drvPath} ${reason}"
else
  lib.concatStringsSep " " ([ "native" image.drvPath ] ++ systems ++ named)
