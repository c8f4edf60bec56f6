{ ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  networking.hostName = "pi;
  users.users.root.openssh.authorizedKeys.keys = [
    "ssh-ed25519 AAAA me@laptop"
  ];
}
