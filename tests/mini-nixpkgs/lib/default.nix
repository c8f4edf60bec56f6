# The part of nixpkgs' `lib` that configurations use, under the same names.
let
  parts = builtins.mapAttrs (_: file: import file lib) {
    trivial = ./trivial.nix;
    lists = ./lists.nix;
    attrsets = ./attrsets.nix;
    strings = ./strings.nix;
    customisation = ./customisation.nix;
    options = ./options.nix;
    properties = ./properties.nix;
    modules = ./modules.nix;
  };
  lib = parts // builtins.foldl' (all: part: all // part) { } (builtins.attrValues parts) // {
    types = import ./types.nix lib;
    systems = import ./systems.nix lib;
  };
in
lib
