# Another function for the root file system: the image around it is nixpkgs' own still.
{ modulesPath, ... }: { imports = [ ./base.nix ]; sdImage.rootFilesystemCreator = modulesPath + "/../lib/make-btrfs-fs.nix"; }
