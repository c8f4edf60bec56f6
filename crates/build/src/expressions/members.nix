# Formats that are a few files of the store. No derivation makes one file of them: sdbuild does while it copies them, without
# emulation. Attributes: from the configuration of the variant to the file name of the archive and to what is in it.
let
  fileOf = config: "${config.system.build.kernel}/${config.system.boot.loader.kernelFile or config.system.build.kernel.target}";
in
{
  # What nixpkgs' own archive of the variant is meant to be: its script looks for kernel and initrd beside itself.
  kexec = config: {
    name = "${config.image.baseName}.tar";
    members = {
      bzImage = fileOf config;
      "initrd.gz" = "${config.system.build.netbootRamdisk}/initrd";
      kexec-boot = config.system.build.kexecScript;
    };
  };
  netboot = config: {
    name = "${config.image.baseName}.netboot.tar";
    members = {
      ${builtins.unsafeDiscardStringContext (baseNameOf (fileOf config))} = fileOf config;
      initrd = "${config.system.build.netbootRamdisk}/initrd";
      "netboot.ipxe" = "${config.system.build.netbootIpxeScript}/netboot.ipxe";
    };
  };
}
