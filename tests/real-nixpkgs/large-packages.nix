# Packages that are in the image without being in PATH: those of Perl that evaluate, or one of `real.part` of them.
{ config, lib, pkgs, ... }:
let
  evaluates = package: let drv = builtins.tryEval (lib.isDerivation package && package.drvPath != ""); in drv.success && drv.value;
  names = lib.filter (name: evaluates pkgs.perlPackages.${name}) (lib.attrNames pkgs.perlPackages);
  taken = lib.filter (number: lib.mod number config.real.part == 0) (lib.range 0 (lib.length names - 1));
in
{
  options.real.part = lib.mkOption { type = lib.types.ints.positive; default = 1; };
  config.system.extraDependencies = map (number: pkgs.perlPackages.${lib.elemAt names number}) taken;
}
