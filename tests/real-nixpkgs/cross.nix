{ imports = [ ./base.nix ]; nixpkgs.buildPlatform = "x86_64-linux"; }
