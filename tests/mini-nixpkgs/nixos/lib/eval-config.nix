# What nixosSystem calls: the miniature's own modules and the given ones, evaluated.
{
  system ? builtins.currentSystem,
  modules,
  extraModules ? [ ],
  baseModules ? import ../modules/module-list.nix,
  specialArgs ? { },
  pkgs ? null,
  lib ? import ../../lib,
  prefix ? [ ],
}:
let
  given = {
    _file = toString ./eval-config.nix;
    nixpkgs.system = lib.mkIf (system != null) (lib.mkDefault system);
    nixpkgs.pkgs = lib.mkIf (pkgs != null) (lib.mkDefault pkgs);
  };
  withPkgs =
    evaluation:
    evaluation
    // {
      inherit lib;
      inherit (evaluation._module.args) pkgs;
      extendModules = args: withPkgs (evaluation.extendModules args);
    };
in
withPkgs (
  lib.evalModules {
    inherit prefix;
    class = "nixos";
    specialArgs = { modulesPath = toString ../modules; } // specialArgs;
    modules = baseModules ++ extraModules ++ [ given ] ++ modules;
  }
)
