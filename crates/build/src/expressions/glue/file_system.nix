# nixpkgs' function for ext4 file systems (make-ext4-fs.nix) with native tools, of the package set `native`: reproducible, and
# without a copy of all data. Files, owners, modes, labels and UUIDs are the same as with emulated tools.
{ lib, native }:
let
  toolsFor = import ./tools.nix { inherit lib native; };
  copies = import ./copies.nix { inherit lib; };
  # With the attribute `bin` that packages with several outputs have.
  withBin = package: package // { bin = package; };
in
function: args:
let
  e2fsprogs = withBin (toolsFor.e2fsprogs (args.uuid or "44444444-4444-4444-8888-888888888888"));
  takes = builtins.functionArgs (import function);
  ours = builtins.intersectAttrs takes { inherit (native) stdenv; inherit e2fsprogs; fakeroot = withBin toolsFor.fakeroot; };
  made = native.callPackage function (ours // args);
in
made.overrideAttrs (old: lib.optionalAttrs (old ? buildCommand) { buildCommand = copies.linked old.buildCommand; })
