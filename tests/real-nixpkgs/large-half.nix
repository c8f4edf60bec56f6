# Half of `large`, whose files are few enough to be linked, not copied, while the file system is made.
{ imports = [ ./base.nix ./large-packages.nix ]; networking.hostName = "half"; real.part = 2; }
