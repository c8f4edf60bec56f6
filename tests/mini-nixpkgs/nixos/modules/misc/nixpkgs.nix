# Which package set the configuration gets.
{ config, lib, options, ... }:
let
  cfg = config.nixpkgs;
  inherit (lib) types mkOption;
  platform = default: mkOption { type = types.either types.str types.attrs; inherit default; apply = lib.systems.elaborate; };
in
{
  options.nixpkgs = {
    system = mkOption { type = types.str; default = "x86_64-linux"; description = "The system of the image when hostPlatform is not set."; };
    hostPlatform = platform cfg.system;
    buildPlatform = platform cfg.hostPlatform;
    config = mkOption { type = types.attrs; default = { }; };
    overlays = mkOption { type = types.listOf types.raw; default = [ ]; };
    pkgs = mkOption { type = types.raw; description = "A package set made elsewhere; then the other options here have no effect."; };
  };
  config._module.args.pkgs =
    if options.nixpkgs.pkgs.isDefined then
      cfg.pkgs
    else
      import ../../.. {
        inherit (cfg) config overlays;
        localSystem = cfg.buildPlatform.system;
        crossSystem = cfg.hostPlatform.system;
      };
}
