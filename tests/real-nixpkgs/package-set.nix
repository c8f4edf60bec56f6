{ lib, ... }: { imports = [ ./base.nix ]; nixpkgs.pkgs = import <nixpkgs> { system = "aarch64-linux"; }; }
