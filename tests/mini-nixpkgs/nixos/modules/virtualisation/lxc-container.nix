# The root file system of a container that runs its own init.
{ config, lib, pkgs, ... }:
{
  imports = [ ../image/file-options.nix ];
  config = {
    boot.isContainer = true;
    users.users.root.initialHashedPassword = lib.mkOverride 150 "";
    services.openssh.enable = lib.mkDefault true;
    system.nixos.tags = lib.mkOverride 99 [ "lxc" ];
    image.extension = "tar.xz";
    image.filePath = "tarball/${config.image.fileName}";
    system.build.image = lib.mkOverride 99 config.system.build.tarball;
    system.build.tarball = pkgs.callPackage ../../lib/make-system-tarball.nix {
      fileName = config.image.baseName;
      storeContents = [ { object = config.system.build.toplevel; symlink = "none"; } ];
      contents = [ { source = config.system.build.toplevel + "/init"; target = "/sbin/init"; } ];
      extraCommands = "mkdir -p proc sys dev";
    };
  };
}
