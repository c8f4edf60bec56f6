# All configurations of which `--build` compares the images, in one system, but for base and bootable.
{ imports = [ ./documentation.nix ./services.nix ./overlay.nix ./idioms.nix ./home.nix ./containers.nix ]; }
