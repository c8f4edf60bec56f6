# From pinned .debs and a bare /bin/sh to a shell, its tools and `stdenv`.
{ lib, platform }:
final: previous:
let
  lock = lib.importJSON (../../pins + "/${platform.debianArch}.lock.json");
  pins = builtins.listToAttrs (map (pin: lib.nameValuePair pin.name pin) lock.packages);
  # Where variables are not seen, a file in Nix's search path says it.
  files = builtins.filter (entry: entry.prefix == "debian-mirror") builtins.nixPath;
  set = if files == [ ] then builtins.getEnv "SDBUILD_DEBIAN_MIRROR" else builtins.readFile (builtins.head files).path;
  mirror = lib.removeSuffix "/" (if set == "" then "http://ftp.debian.org/debian" else set);

  # The mirror is not part of the result's path: the hash alone says what comes.
  fetch =
    pin:
    import <nix/fetchurl.nix> {
      url = "${mirror}/${pin.path}";
      name = builtins.replaceStrings [ "~" ":" "%" ] [ "_" "_" "_" ] (baseNameOf pin.path);
      inherit (pin) sha256;
    };
  pinOf = name: pins.${name} or (throw "no package `${name}' in pins/${platform.debianArch}.lock.json");

  raw =
    name: builder: args: env:
    derivation ({ inherit name builder args; inherit (platform) system; } // env);

  # Nix opens .tar.xz by itself, but no .deb; so the one thing done by the host is to cut the .tar.xz out.
  busyboxTar = raw "busybox-data.tar.xz" "/bin/sh" [ "-e" ./cut-deb.sh ] {
    deb = fetch (pinOf "busybox-static");
    PATH = "/bin:/usr/bin:/usr/local/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:/root/.nix-profile/bin";
  };
  busyboxUnpacked = raw "busybox-unpacked" "builtin:unpack-channel" [ ] { src = busyboxTar; channelName = "usr"; };

  withBusybox = script: name: env: raw name "${busyboxUnpacked}/usr/bin/busybox" [ "sh" "-e" script ] env;
  # Debian's version as a store path may have it: without the epoch, and `~` is not a letter there.
  versionOf = name: builtins.replaceStrings [ "~" ] [ "_" ] (lib.last (lib.splitString ":" (pinOf name).version));
  static =
    pname: script: env:
    let
      version = versionOf "${pname}-static";
    in
    withBusybox script "${pname}-${version}" env // { inherit pname version; meta.mainProgram = pname; };
in
{
  debian = {
    names = builtins.attrNames pins;
    version = versionOf;
    deb = name: fetch (pinOf name);
    libFolder = "usr/lib/${platform.qemuArch}-linux-gnu";
    dynamicLinker = if platform.isAarch64 then "ld-linux-aarch64.so.1" else "ld-linux-x86-64.so.2";
  };
  busybox = static "busybox" ./busybox.sh { unpacked = busyboxUnpacked; };
  bash = static "bash" ./bash.sh { deb = final.debian.deb "bash-static"; };
  runtimeShell = "${final.bash}/bin/bash";
  stdenv = lib.makeOverridable (import ../stdenv) { inherit lib platform; inherit (final) bash; initialPath = [ final.bash final.busybox ]; };
  stdenvNoCC = final.stdenv;
}
