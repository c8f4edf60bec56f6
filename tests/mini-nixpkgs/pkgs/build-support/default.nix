# What builds small things out of text and other packages, under nixpkgs' names.
final: previous:
let
  builders = import ./trivial-builders { inherit (final) lib stdenv stdenvNoCC runtimeShell; };
in
builders
// {
  buildEnv = final.callPackage ./build-env.nix { };
  closureInfo = final.callPackage ./closure-info.nix { };
  fromDebian = final.callPackage ./from-debian.nix { };
  makeModulesClosure = final.callPackage ./modules-closure.nix { };
  makeInitrd = final.callPackage ./initrd.nix { };
  makeInitrdNG = final.callPackage ./initrd-ng.nix { };
  fetchurl =
    { url ? builtins.head urls, urls ? [ ], sha256 ? "", hash ? sha256, name ? baseNameOf url, ... }:
    import <nix/fetchurl.nix> { inherit url name hash; };
}
