# Well-known packages that are not here for real. They evaluate, build and run; what runs says what it is.
# An unknown name stays an error, as in nixpkgs.
final: previous:
let
  # Not the final set's: which names there are must be known before it.
  lib = import ../lib;
  inherit (final) busybox writeShellScriptBin;
  names = [
    "btop" "cacert" "curl" "dig" "dnsutils" "ethtool" "fastfetch" "fd" "file" "fzf" "gcc" "git" "gnumake" "gnupg"
    "gptfdisk" "htop" "i2c-tools" "iotop" "iperf3" "iproute2" "iw" "libgpiod" "libraspberrypi" "lsof" "mosh"
    "nano" "ncdu" "neofetch" "neovim" "nmap" "nodejs" "parted" "pciutils" "python3" "raspberrypi-eeprom" "ripgrep"
    "rsync" "screen" "sqlite" "strace" "tcpdump" "tmux" "tree" "unzip" "usbutils" "vim" "wireguard-tools"
    "wirelesstools" "wget" "zip" "zsh"
  ];
  # Where busybox does the same job, it does it.
  applets = { vim = "vi"; neovim = "vi"; nano = "vi"; htop = "top"; btop = "top"; wget = "wget"; unzip = "unzip"; };
  programs = { neovim = "nvim"; python3 = "python3"; ripgrep = "rg"; nodejs = "node"; gnumake = "make"; gnupg = "gpg"; };
  standIn =
    name:
    writeShellScriptBin (programs.${name} or name) (
      if applets ? ${name} then
        ''exec ${busybox}/bin/${applets.${name}} "$@"''
      else
        ''
          echo "${name}: a stand-in of the miniature nixpkgs; build with the real nixpkgs to get ${name}" >&2
          exit 1
        ''
    );
in
lib.genAttrs names standIn
