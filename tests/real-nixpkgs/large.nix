# A system of real size: some 2,000 store paths, 4 GB and 150,000 files (stand_ins/large.py).
{ imports = [ ./base.nix ./large-packages.nix ]; networking.hostName = "large"; }
