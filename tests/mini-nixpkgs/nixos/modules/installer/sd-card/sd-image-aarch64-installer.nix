{
  imports = [ ../../profiles/installation-device.nix ./sd-image-aarch64.nix ];
}
