# A virtual machine with UEFI for QEMU, libvirt, Proxmox or OpenStack. Put your key in, change what you like, then run `sdbuild build`.
{ lib, pkgs, modulesPath, ... }:
{
  imports = [
    # The drivers of QEMU's disks and networks.
    (modulesPath + "/profiles/qemu-guest.nix")
  ];

  # For a PC: "x86_64-linux" here, and the line  system = "x86_64-linux"  in sdbuild.toml.
  nixpkgs.hostPlatform = "aarch64-linux";

  # The name by which the machine is known in your network.
  networking.hostName = "nixos-sd";

  # Your time zone, as in https://en.wikipedia.org/wiki/List_of_tz_database_time_zones
  time.timeZone = "Europe/Berlin";

  # Language, and how dates and numbers are written. Any other than en_US.UTF-8 is built for the image, which takes minutes.
  i18n.defaultLocale = "en_US.UTF-8";

  # Remote login, with keys only.
  services.openssh.enable = true;
  services.openssh.settings.PasswordAuthentication = false;
  services.openssh.settings.KbdInteractiveAuthentication = false;

  # Who may log in: your public key, the one line in ~/.ssh/id_ed25519.pub
  users.users.root.openssh.authorizedKeys.keys = [
    "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY"
  ];

  # Programs that you want to have there.
  environment.systemPackages = with pkgs; [ vim htop git ];

  # The mainline kernel, because it is in the binary cache.
  boot.kernelPackages = pkgs.linuxPackages;

  # ZFS off, because it lags behind new kernels: the build would fail or compile it for a long time.
  boot.supportedFilesystems.zfs = lib.mkForce false;

  # The boot loader and the file systems that the image has: with these lines nixos-rebuild works on the machine.
  boot.loader.systemd-boot.enable = true;
  boot.growPartition = true;
  fileSystems."/" = { device = "/dev/disk/by-label/nixos"; fsType = "ext4"; autoResize = true; };
  fileSystems."/boot" = { device = "/dev/disk/by-label/ESP"; fsType = "vfat"; };

  # The screen and the serial console show what the kernel says, and the serial console asks for a login.
  boot.kernelParams = [ "console=tty0" "console=ttyS0,115200n8" "console=ttyAMA0,115200n8" ];

  # Tells the host the machine's addresses, and lets it shut the machine down.
  services.qemuGuest.enable = true;

  # The NixOS release that this system starts with. Leave it when you upgrade.
  system.stateVersion = "26.05";
}
