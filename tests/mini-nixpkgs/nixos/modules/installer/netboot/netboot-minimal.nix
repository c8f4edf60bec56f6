# An installer that runs from memory: kernel, initial RAM disk, and what starts them.
{
  imports = [ ../../profiles/base.nix ../../profiles/installation-device.nix ./netboot.nix ];
}
