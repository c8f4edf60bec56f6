# Native tools that make an ext4 file system of a directory: the same every time, and without waiting for each other.
{ lib, native }:
let
  # A package with the programs of `package`, of which `scripts` (names and commands) stand for some.
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
  # ext4 keeps the names of a directory in the order of a hash with a random seed: here it is `seed`, so that two builds are
  # the same; and the time at which the file system was written last is the one that nixpkgs' step says it was made at.
  # mke2fs obeys the last -E: one that the caller gives wins.
  e2fsprogs =
    seed:
    standingIn "e2fsprogs-reproducible" native.e2fsprogs {
      "mkfs.ext4" = "E2FSPROGS_FAKE_TIME=1 exec ${lib.getBin native.e2fsprogs}/bin/mkfs.ext4 -E hash_seed=${seed} \"$@\"";
      resize2fs = "E2FSPROGS_FAKE_TIME=1 exec ${lib.getBin native.e2fsprogs}/bin/resize2fs \"$@\"";
    };

  # For every file the command asks the daemon and waits, and the daemon waits for the command: on two processors each
  # question wakes one of them up, and that takes longer than all the rest.
  fakeroot = standingIn "fakeroot-on-one-processor" native.fakeroot {
    fakeroot = ''
      # The processor that this runs on: field 39 of proc(5)'s stat.
      read -ra fields </proc/self/stat
      taskset=${lib.getBin utilLinux}/bin/taskset on=
      "$taskset" -c "''${fields[38]-}" true 2>/dev/null && on="$taskset -c ''${fields[38]}"
      exec $on ${lib.getBin native.fakeroot}/bin/fakeroot "$@"'';
  };
}
