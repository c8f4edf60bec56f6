# cloud-init's data source NoCloud, under the names of nixpkgs' module. What reads the seed is a script here, and not cloud-init: of
# user-data it knows `hostname`, `users` with `name` and `ssh_authorized_keys`, `ssh_authorized_keys`, `write_files` with `path`,
# `content` and `permissions`, and `runcmd`, as lists with one entry a line. DHCP is there anyway.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.services.cloud-init;
  enable = default: mkOption { type = types.bool; inherit default; };

  # Writes what user-data say into files: users (`NAME KEY` a line), N.path, N.permissions and N.content of each file, and runcmd.
  reader = pkgs.writeText "read-user-data.awk" ''
    function value(text) {
      sub(/^[^:]*: */, "", text)
      gsub(/^["']|["']$/, "", text)
      return text
    }
    {
      match($0, /^ */)
      indent = RLENGTH
      text = substr($0, indent + 1)
    }
    block != "" {
      if (text == "" || indent > outer) {
        if (inner < 0) inner = indent
        print substr($0, inner + 1) >block
        next
      }
      block = ""
    }
    text == "" || text ~ /^#/ { next }
    indent == 0 && text !~ /^-/ {
      top = text
      sub(/:.*/, "", top)
      if (top == "hostname") print value(text) >(dir "/hostname")
      user = "root"
      next
    }
    {
      outer = indent
      item = sub(/^- */, "", text)
      if (item) outer += 2
    }
    top == "users" && text ~ /^name:/ {
      user = value(text)
      print user >(dir "/users")
    }
    top ~ /^(users|ssh_authorized_keys)$/ && item && text ~ /^(ssh|ecdsa|sk)-/ { print user, text >(dir "/users") }
    top == "runcmd" && item { print text >(dir "/runcmd") }
    top == "write_files" {
      if (item) files++
      file = dir "/" files
      if (text ~ /^(path|permissions):/) {
        name = text
        sub(/:.*/, "", name)
        print value(text) >(file "." name)
      }
      if (text ~ /^content: *\|/) {
        block = file ".content"
        inner = -1
      } else if (text ~ /^content:/) print value(text) >(file ".content")
    }
  '';
in
{
  options.services.cloud-init = {
    enable = enable false;
    btrfs.enable = enable false;
    ext4.enable = enable true;
    xfs.enable = enable false;
    network.enable = enable false;
    settings = mkOption { type = types.attrsOf types.anything; default = { }; };
    config = mkOption { type = types.str; default = ""; };
  };

  config = lib.mkIf cfg.enable {
    boot.initrd.availableKernelModules = [ "vfat" "nls_cp437" "nls_ascii" "nls_iso8859-1" "isofs" ];
    system.activationScripts.cloud-init = ''
      read_seed() {
        local device file name key uid home dir=/run/cloud-init
        device=$(findfs LABEL=CIDATA 2>/dev/null || findfs LABEL=cidata 2>/dev/null) || return 0
        mkdir -p $dir/seed
        mount -o ro "$device" $dir/seed || return 0
        sed -n 's/^local-hostname: *"*\([^"]*\)"*$/\1/p' $dir/seed/meta-data >$dir/hostname
        [ "$(head -c 13 $dir/seed/user-data)" != '#cloud-config' ] || awk -v dir=$dir -f ${reader} $dir/seed/user-data
        if [ -s $dir/hostname ]; then
          rm -f /etc/hostname
          cp $dir/hostname /etc/hostname
        fi
        [ ! -e $dir/users ] || while read -r name key; do
          if ! grep -q "^$name:" /etc/passwd; then
            uid=$(awk -F: '$3 >= 1000 && $3 < 60000 && $3 > n { n = $3 } END { print (n ? n : 999) + 1 }' /etc/passwd)
            echo "$name:x:$uid:100::/home/$name:/bin/bash" >>/etc/passwd
            echo "$name:!:1::::::" >>/etc/shadow
            mkdir -p -m 700 "/home/$name"
            chown "$uid:100" "/home/$name"
          fi
          [ -n "$key" ] || continue
          home=$(grep "^$name:" /etc/passwd | cut -d: -f6)
          mkdir -p -m 700 "$home/.ssh"
          echo "$key" >>"$home/.ssh/authorized_keys"
          chmod 600 "$home/.ssh/authorized_keys"
          chown -R "$(stat -c %u:%g "$home")" "$home/.ssh"
        done <$dir/users
        for file in $dir/*.path; do
          [ -e "$file" ] || continue
          name=$(cat "$file")
          mkdir -p "$(dirname "$name")"
          rm -f "$name"
          cat "''${file%.path}.content" >"$name"
          chmod "$(cat "''${file%.path}.permissions" 2>/dev/null || echo 644)" "$name"
        done
        [ ! -e $dir/runcmd ] || echo "::once:${pkgs.runtimeShell} $dir/runcmd" >>/run/inittab
      }
      read_seed
    '';
  };
}
