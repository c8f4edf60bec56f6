# A module for the variant `container`, which nixpkgs does not have: an image for container engines that starts the init of the
# system, made natively. It is an OCI image layout, and with its manifest.json also an archive for `docker load` of any release.
#
# What an engine has to do with the network, `/etc/hosts`, `/etc/resolv.conf` and the host name is left to it.
_:
{ config, lib, modulesPath, options, pkgs, ... }:
let
  native = import ./native.nix pkgs;
  registration = import ./registration.nix { inherit config lib; };
  inherit (config.system.build) toplevel;

  # Store paths of this many bytes and more have a layer of their own, which pushes and pulls of the next image pass over.
  largeBytes = 8 * 1024 * 1024;
  # Docker's limit is 127 layers of an image.
  largeLayers = 100;

  architectures = { aarch64-linux = "arm64"; x86_64-linux = "amd64"; };
  host = config.networking.hostName;
  # Docker's names have small letters, and single separators.
  name = if host == "" || host == "nixos" then "nixos" else "nixos-${lib.toLower (lib.replaceStrings [ "_" ] [ "-" ] host)}";
  imageConfig = {
    created = "1970-01-01T00:00:01Z";
    architecture = architectures.${pkgs.stdenv.hostPlatform.system};
    os = "linux";
    config = {
      # Podman knows by this path that the container needs what systemd needs.
      Cmd = [ "/sbin/init" ];
      Env = [ "PATH=/run/wrappers/bin:/run/current-system/sw/bin" "container=docker" ];
      # At which systemd shuts down; it does nothing at SIGTERM.
      StopSignal = "SIGRTMIN+3";
      Labels = {
        "org.opencontainers.image.title" = name;
        "org.opencontainers.image.version" = config.system.nixos.label;
      };
    };
  };
  # Without the closing brace: the layers follow.
  openImageConfig = lib.removeSuffix "}" (builtins.toJSON imageConfig);

  image = native.stdenvNoCC.mkDerivation {
    name = config.image.fileName;
    nativeBuildInputs = [ native.gnutar ];
    preferLocalBuild = true;
    inherit openImageConfig;
    buildCommand = ''
      closure=${native.closureInfo { rootPaths = [ toplevel ]; }}
      mkdir -p blobs/sha256 $out/nix-support

      # Store paths may have hard links to each other, which depend on the store.
      pack() { tar --create --format=gnu --sort=name --mtime=@1 --owner=0 --group=0 --numeric-owner --hard-dereference "$@"; }

      # Makes a file a blob, and tells its descriptor; the digest is in $digest.
      place() {
        local size
        size=$(stat -c %s "$1")
        digest=$(sha256sum <"$1")
        digest=''${digest%% *}
        mv "$1" blobs/sha256/$digest
        descriptor='{"mediaType":"application/vnd.oci.image.'$2'","digest":"sha256:'$digest'","size":'$size'}'
      }
      layers= diffs= files=
      add_layer() {
        place layer layer.v1.tar
        layers=$layers''${layers:+,}$descriptor
        # The layers are not compressed: a layer and its content have the same digest.
        diffs=$diffs''${diffs:+,}'"sha256:'$digest'"'
        files=$files''${files:+,}'"blobs/sha256/'$digest'"'
      }

      find $(cat $closure/store-paths) -type f -exec stat -c '%s %n' {} + |
        awk '{ split($0, part, "/"); size[part[4]] += $1 }
          END { for (name in size) if (size[name] >= ${toString largeBytes}) print size[name], name }' |
        sort -k1,1rn -k2,2 | head -n ${toString largeLayers} | cut -d' ' -f2 | sort | sed 's|^|/nix/store/|' >large
      awk 'FILENAME == "large" { large[$0]; next } !($0 in large)' large $closure/store-paths | sed 's|^/||' >small
      while read -r path; do
        pack --directory=/ "''${path#/}" >layer
        add_layer
      done <large
      pack --directory=/ --files-from=small >layer
      add_layer

      mkdir -p root/dev root/etc root/nix/store root/proc root/root root/run root/sbin root/sys root/tmp root/var
      ln -s ${toplevel}/init root/sbin/init
      cp $closure/registration root${registration.file}
      chmod 0755 root root/*
      chmod 0700 root/root
      chmod 0644 root${registration.file}
      chmod 1777 root/tmp
      pack --directory=root . >layer
      add_layer

      printf '%s,"rootfs":{"type":"layers","diff_ids":[%s]}}' "$openImageConfig" "$diffs" >config
      place config config.v1+json
      printf '[{"Config":"blobs/sha256/%s","RepoTags":["${name}:latest"],"Layers":[%s]}]' $digest "$files" >manifest.json
      printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
        "$descriptor" "$layers" >manifest
      place manifest manifest.v1+json
      printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,"annotations":%s}]}' \
        "''${descriptor%\}}" '{"io.containerd.image.name":"docker.io/library/${name}:latest","org.opencontainers.image.ref.name":"latest"}' >index.json
      printf '{"imageLayoutVersion":"1.0.0"}' >oci-layout

      pack --remove-files oci-layout index.json manifest.json blobs >$out/${config.image.fileName}
      echo "file oci-archive $out/${config.image.fileName}" >$out/nix-support/hydra-build-products
    '';
  };
  # Stronger than lib.mkDefault, because a configuration of a machine has that in many places, and weaker than a plain definition.
  unlessSet = lib.mkOverride 900;
in
{
  imports = [ "${modulesPath}/image/file-options.nix" ];
  config = {
    image.extension = "oci.tar";
    system.build.image = image;
    boot.isContainer = true;
    boot.postBootCommands = ''
      mkdir -p /run/systemd
      echo docker >/run/systemd/container
      ${registration.commands}
    '';
    # What needs rights that a container has not.
    networking.useDHCP = unlessSet false;
    networking.firewall.enable = unlessSet false;
    services.openssh.startWhenNeeded = unlessSet false;
  };
}
