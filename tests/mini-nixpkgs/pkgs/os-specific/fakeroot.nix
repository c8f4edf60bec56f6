{ debian, fromDebian, runtimeShell }:
# Debian's own start script is an alternatives link that no unpacked .deb has; this one is smaller. It starts the
# daemon that remembers owners, runs the command with the library loaded, and stops the daemon.
fromDebian {
  debs = [ "fakeroot" "libfakeroot" ];
  programs = [ "faked-sysv" ];
  libraries = [ "libfakeroot/libfakeroot-sysv.so" ];
  postFixup = ''
    cat >$out/bin/fakeroot <<EOF
    #!${runtimeShell}
    state=\$($out/bin/faked-sysv) || exit 1
    trap 'kill "\''${state#*:}"' EXIT
    FAKEROOTKEY=\''${state%%:*} LD_PRELOAD=$out/lib/libfakeroot-sysv.so "\$@"
    EOF
    chmod +x $out/bin/fakeroot
  '';
}
