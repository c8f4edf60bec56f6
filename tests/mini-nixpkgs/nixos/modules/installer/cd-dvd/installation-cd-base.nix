# An installer on a CD or USB stick.
{
  imports = [ ./iso-image.nix ../../profiles/base.nix ../../profiles/installation-device.nix ];
  isoImage.makeEfiBootable = true;
  isoImage.makeUsbBootable = true;
}
