# Native tools that make an ext4 file system from a directory, reproducibly and fast.
{ lib, native }:
let
  # A package with the programs of `package`, some of them replaced by `scripts` (names and commands).
  standingIn =
    name: package: scripts:
    native.runCommand name { } ''
      mkdir -p $out/bin
      ln -s ${lib.getBin package}/bin/* $out/bin/
      cd $out/bin
      rm ${lib.concatStringsSep " " (builtins.attrNames scripts)}
      ${lib.concatStrings (lib.mapAttrsToList script scripts)}
    '';
  script = name: commands: ''
    cat >${name} <<'SCRIPT'
    #!${native.runtimeShell}
    ${commands}
    SCRIPT
    chmod +x ${name}
  '';
  utilLinux = native.util-linux or native.utillinux;
in
{
  # ext4 orders the names in a directory by a hash with a random seed: a fixed `seed` makes builds reproducible, and so
  # does a fixed time of the last write, the same as nixpkgs' step sets for the creation. mke2fs uses the last -E, so that
  # of the caller takes precedence.
  e2fsprogs =
    seed:
    standingIn "e2fsprogs-reproducible" native.e2fsprogs {
      "mkfs.ext4" = "E2FSPROGS_FAKE_TIME=1 exec ${lib.getBin native.e2fsprogs}/bin/mkfs.ext4 -E hash_seed=${seed} \"$@\"";
      resize2fs = "E2FSPROGS_FAKE_TIME=1 exec ${lib.getBin native.e2fsprogs}/bin/resize2fs \"$@\"";
    };

  # Command and daemon alternate: for every file one waits for the other. On two processors each message wakes one of them
  # up, which takes longer than everything else.
  fakeroot = standingIn "fakeroot-on-one-processor" native.fakeroot {
    fakeroot = ''
      # The processor that this runs on: field 39 of proc(5)'s stat.
      read -ra fields </proc/self/stat
      taskset=${lib.getBin utilLinux}/bin/taskset on=
      "$taskset" -c "''${fields[38]-}" true 2>/dev/null && on="$taskset -c ''${fields[38]}"
      exec $on ${lib.getBin native.fakeroot}/bin/fakeroot "$@"'';
  };
}
