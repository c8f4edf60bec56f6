# The package set. Same call as nixpkgs': import <nixpkgs> { system = "aarch64-linux"; overlays = [ … ]; }
{
  system ? builtins.currentSystem,
  localSystem ? system,
  crossSystem ? null,
  config ? { },
  overlays ? [ ],
}:
let
  lib = import ../lib;
  platform = lib.systems.elaborate localSystem;
  ground = final: {
    inherit lib config overlays;
    inherit (platform) system;
    path = ../.;
    pkgs = final;
    buildPackages = final;
    pkgsBuildBuild = final;
    pkgsHostTarget = final;
    targetPackages = final;
    callPackage = lib.callPackageWith final;
    newScope = extra: lib.callPackageWith (final // extra);
    extend = overlay: import ./. { inherit localSystem crossSystem config; overlays = overlays ++ [ overlay ]; };
  };
  stages = [
    (import ./bootstrap { inherit lib platform; })
    (import ./build-support)
    (import ./packages.nix)
    (import ./stand-ins.nix)
  ];
in
if crossSystem != null && (lib.systems.elaborate crossSystem).system != platform.system then
  throw "the miniature nixpkgs cannot cross-compile from ${platform.system}; give it the image's own system"
else
  lib.fix (lib.extends (lib.composeManyExtensions (stages ++ overlays)) ground)
