import ./pkgs
