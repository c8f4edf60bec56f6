# Applies what Raspberry Pi Imager 2.0.11 or later asks before it writes the card, once, at the first start. It reads the file
# rpi-preseed.toml (https://github.com/raspberrypi/rpi-preseed) and removes it, because it has passwords.
# `journalctl -u rpi-preseed` tells what was done with each value.
#
# Values of the configuration stay: leave out networking.hostName ("") and time.timeZone (null) for those of Imager.
{ config, lib, pkgs, ... }:
let
  file = "/boot/firmware/rpi-preseed.toml";
  # A line KEY=VALUE for each value, and for each element of a list.
  reader = pkgs.writeText "rpi-preseed-reader.nix" ''
    let
      text = value: if builtins.isBool value then (if value then "true" else "false") else toString value;
      below = name: key: if name == "" then key else "''${name}.''${key}";
      lines =
        name: value:
        if builtins.isAttrs value then
          builtins.concatMap (key: lines (below name key) value.''${key}) (builtins.attrNames value)
        else if builtins.isList value then
          builtins.concatMap (lines name) value
        else
          [ "''${name}=''${builtins.replaceStrings [ "\n" ] [ " " ] (text value)}\n" ];
    in
    builtins.concatStringsSep "" (lines "" (fromTOML (builtins.readFile ${file})))
  '';

  wireless = config.networking.wireless;
  # Each writes $ssid (hexadecimal), $key (a passphrase, 64 hexadecimal digits, or nothing for an open network) and $hidden for one program.
  wifi = {
    NetworkManager = ''
      mkdir -p /etc/NetworkManager/system-connections
      key=''${key//\\/\\\\}
      {
        printf '[connection]\nid=rpi-preseed\ntype=wifi\n\n[wifi]\nmode=infrastructure\nhidden=%s\nssid=' "$hidden"
        for ((i = 0; i < ''${#ssid}; i += 2)); do printf '%d;' "0x''${ssid:i:2}"; done
        [ -z "$key" ] || printf '\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=%s' "''${key// /\\s}"
        echo
      } >/etc/NetworkManager/system-connections/rpi-preseed.nmconnection
    '';
    iwd = ''
      mkdir -p /var/lib/iwd
      # Only of such names iwd reads the file under the name itself.
      pattern='^[A-Za-z0-9_ -]+$'
      name=$(get wlan.ssid)
      [[ $name =~ $pattern ]] || name="=$ssid"
      kind=psk
      line="PreSharedKey=$key"
      if [ "''${#key}" != 64 ]; then
        key=''${key//\\/\\\\}
        line="Passphrase=''${key// /\\s}"
      fi
      [ -n "$key" ] || kind=open line=
      printf '[Security]\n%s\n[Settings]\nHidden=%s\n' "$line" "$hidden" >"/var/lib/iwd/$name.$kind"
    '';
    wpa_supplicant = ''
      ${lib.optionalString (dirOf imperative != "/etc") "mkdir -p ${dirOf imperative}; chmod 750 ${dirOf imperative}"}
      key="psk=\"$key\""
      [ "''${#key}" != 70 ] || key="psk=''${key:5:64}"
      [ "$key" != 'psk=""' ] || key=key_mgmt=NONE
      [ "$hidden" = true ] && scan=1 || scan=0
      {
        ! has wlan.country || echo "country=$(get wlan.country)"
        printf 'network={\n  ssid=%s\n  %s\n  scan_ssid=%s\n}\n' "$ssid" "$key" "$scan"
      } >>${imperative}
      unset "given[wlan.country]"
    '';
  };
  imperative = if lib.versionAtLeast lib.trivial.release "26.05" then "/etc/wpa_supplicant/imperative.conf" else "/etc/wpa_supplicant.conf";
  program =
    if config.networking.networkmanager.enable then
      "NetworkManager"
    else if wireless.iwd.enable or false then
      "iwd"
    else
      "wpa_supplicant";
in
{
  options.services.rpi-preseed.enable = lib.mkEnableOption "the values that Raspberry Pi Imager asks for" // { default = true; };

  config = lib.mkIf config.services.rpi-preseed.enable {
    assertions = [
      {
        assertion = config.users.mutableUsers;
        message = "services.rpi-preseed makes the user that Raspberry Pi Imager names, whom users.mutableUsers = false would remove.";
      }
    ];
    users.groups.rpi-preseed-sudo = { };
    security = lib.genAttrs [ "sudo" "sudo-rs" ] (_: {
      extraRules = [
        {
          groups = [ "rpi-preseed-sudo" ];
          commands = [ { command = "ALL"; options = [ "NOPASSWD" ]; } ];
        }
      ];
    });
    # Where nothing else manages wireless networks.
    networking.wireless = lib.mkIf (program == "wpa_supplicant") {
      enable = lib.mkDefault true;
      allowAuxiliaryImperativeNetworks = true;
    };
    hardware.enableRedistributableFirmware = lib.mkDefault true;

    systemd.services.rpi-preseed = {
      description = "Values from Raspberry Pi Imager";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-pre.target" ];
      # wpa_supplicant does not wait for network-pre.target.
      before = [ "network-pre.target" "systemd-user-sessions.service" "wpa_supplicant.service" ]
        ++ map (interface: "wpa_supplicant-${interface}.service") (wireless.interfaces or [ ]);
      unitConfig = {
        RequiresMountsFor = dirOf file;
        ConditionPathExists = file;
      };
      serviceConfig.Type = "oneshot";
      path = [ config.nix.package pkgs.shadow ];
      script = ''
        set -euo pipefail
        declare -A given
        has() { [ -n "''${given[$1]-}" ]; }
        # Without the end of its line.
        get() { printf %s "$(printf %s "''${given[$1]-}")"; }
        told() {
          echo "$1: $2"
          unset "given[$1]"
        }

        # A file that cannot be read to its end changes nothing.
        lines=$(nix --extra-experimental-features nix-command eval --raw --file ${reader})
        while IFS= read -r line; do
          given[''${line%%=*}]+="''${line#*=}"$'\n'
        done <<<"$lines"
        case $(get config_version) in
          1 | 1.*) unset "given[config_version]" ;;
          *)
            echo "config_version: '$(get config_version)' is not known, only 1"
            exit 1
            ;;
        esac

        ${lib.optionalString (config.networking.hostName == "") ''
          if has system.hostname; then
            get system.hostname >/etc/hostname
            get system.hostname >/proc/sys/kernel/hostname
            told system.hostname "it is $(cat /etc/hostname)"
          fi
        ''}
        ${lib.optionalString (config.time.timeZone == null) ''
          zone=$(get locale.timezone)
          if [ -n "$zone" ] && [ -e "${pkgs.tzdata}/share/zoneinfo/$zone" ]; then
            ln -sfn "/etc/zoneinfo/$zone" /etc/localtime
            told locale.timezone "it is $zone"
          elif [ -n "$zone" ]; then
            told locale.timezone "there is no time zone $zone"
          fi
        ''}

        umask 077
        # The first user, unless another one is named.
        user=$(sed -n 's/^\([^:]*\):[^:]*:1000:.*/\1/p' /etc/passwd)
        user=''${user:-root}
        if has user.name; then
          user=$(get user.name)
          if ! [[ $user =~ ^[a-z_][a-z0-9_-]*$ ]]; then
            echo "user.name: '$user' cannot be the name of a user"
            exit 1
          fi
          grep -q "^$user:" /etc/passwd || useradd --create-home --gid users --shell /run/current-system/sw/bin/bash "$user"
          told user.name "there is the user $user"
        fi
        if [[ $(get user.password) = '$5$'* ]]; then
          told user.password 'NixOS knows no hashes that begin with $5$: type it anew in Imager'
        elif has user.password; then
          how=(--crypt-method SHA512)
          [ "$(get user.password_encrypted)" != true ] || how=(--encrypted)
          printf '%s:%s\n' "$user" "$(get user.password)" | chpasswd "''${how[@]}"
          told user.password "$user has it"
        fi
        unset "given[user.password_encrypted]"
        # Of users in the configuration NixOS makes the groups anew.
        declared=/var/lib/nixos/declarative-users
        [ -e "$declared" ] || declared=/dev/null
        [ "$(get user.passwordless_sudo)" != true ] || given[user.groups]+=$'rpi-preseed-sudo\n'
        for group in ''${given[user.groups]-}; do
          # Its name in NixOS.
          [ "$group" != sudo ] || group=wheel
          if tr ' ' '\n' <"$declared" | grep -qxF "$user"; then
            told user.groups "the configuration names those of $user"
          elif grep -q "^$group:" /etc/group; then
            usermod --append --groups "$group" "$user"
            told user.groups "$user is in $group"
          else
            told user.groups "there is no group $group"
          fi
        done
        unset "given[user.passwordless_sudo]"
        if has ssh.authorized_keys; then
          home=$(sed -n "s/^$user:[^:]*:[^:]*:[^:]*:[^:]*:\([^:]*\):.*/\1/p" /etc/passwd)
          mkdir -p "$home/.ssh"
          touch "$home/.ssh/authorized_keys"
          keys=$(printf %s "''${given[ssh.authorized_keys]}" | cat "$home/.ssh/authorized_keys" - | sort -u)
          echo "$keys" >"$home/.ssh/authorized_keys"
          chown -R "$user:" "$home/.ssh"
          told ssh.authorized_keys "$user logs in with $(wc -l <"$home/.ssh/authorized_keys") of them"
        fi

        ssid=$(get wlan.ssid_hex)
        [ -n "$ssid" ] || ssid=$(get wlan.ssid | od -An -v -tx1 | tr -d ' \n')
        if [ -n "$ssid" ] && ${lib.boolToString (program != "wpa_supplicant" || wireless.enable)}; then
          key=$(get wlan.password)
          [ "$(get wlan.hidden)" = true ] && hidden=true || hidden=false
          ${wifi.${program}}
          for key in ssid ssid_hex password password_encrypted hidden; do unset "given[wlan.$key]"; done
          echo "wlan: ${program} has the network"
        fi

        for key in "''${!given[@]}"; do
          echo "$key: not taken, the configuration decides it"
        done
        rm ${file}
        sync
      '';
    };
  };
}
