{
  fileSystems."/" = { device = "x"; fsType = "ext4"; };
  boot.loader.grub.enable = false;
  nixpkgs.hostPlatform = "arm64";
}
