{ imports = [ ./base.nix ]; documentation.enable = true; }
