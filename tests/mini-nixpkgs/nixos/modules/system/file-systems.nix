{ config, lib, ... }:
let
  inherit (lib) types mkOption;
  fileSystem =
    { name, ... }:
    {
      options = {
        mountPoint = mkOption { type = types.str; default = name; };
        device = mkOption { type = types.nullOr types.nonEmptyStr; default = null; };
        label = mkOption { type = types.nullOr types.nonEmptyStr; default = null; };
        fsType = mkOption { type = types.nonEmptyStr; default = "auto"; };
        options = mkOption { type = types.nonEmptyListOf types.str; default = [ "defaults" ]; };
        autoResize = mkOption { type = types.bool; default = false; };
        neededForBoot = mkOption { type = types.bool; default = false; };
        overlay = mkOption { type = types.nullOr types.attrs; default = null; };
        noCheck = mkOption { type = types.bool; default = false; };
      };
    };
  deviceOf = fs: if fs.device != null then fs.device else if fs.label != null then "/dev/disk/by-label/${fs.label}" else throw "fileSystems.\"${fs.mountPoint}\" has neither `device' nor `label'";
  # busybox' mount takes LABEL=, and there is no udev that would make the links.
  line = fs: "${builtins.replaceStrings [ "/dev/disk/by-label/" "/dev/disk/by-uuid/" ] [ "LABEL=" "UUID=" ] (deviceOf fs)} ${fs.mountPoint} ${fs.fsType} ${lib.concatStringsSep "," fs.options} 0 0\n";
in
{
  options = {
    fileSystems = mkOption { type = types.attrsOf (types.submodule fileSystem); default = { }; };
    swapDevices = mkOption { type = types.listOf (types.attrsOf types.anything); default = [ ]; };
    boot.supportedFilesystems = mkOption {
      type = types.coercedTo (types.listOf types.str) (names: lib.genAttrs names (_: true)) (types.attrsOf types.bool);
      default = { };
      description = "File systems that can be mounted; only ext4 really can be.";
    };
  };
  config = {
    assertions = [ { assertion = config.boot.isContainer || config.fileSystems ? "/"; message = "The `fileSystems' option does not specify your root file system."; } ];
    # The first stage of the boot mounts the others.
    environment.etc.fstab.text = lib.concatMapStrings line (lib.filter (fs: fs.overlay == null && fs.fsType != "tmpfs") (lib.attrValues config.fileSystems));
  };
}
