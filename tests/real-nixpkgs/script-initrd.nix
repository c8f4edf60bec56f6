{ imports = [ ./base.nix ]; boot.initrd.systemd.enable = false; }
