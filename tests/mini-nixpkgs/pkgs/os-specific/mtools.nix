{ fromDebian, glibc, runtimeShell }:
# mtools converts file names through code page 850, so each program must find glibc's table of it.
fromDebian {
  debs = [ "mtools" ];
  programs = [ "mtools" ];
  postFixup = ''
    mkdir $out/libexec
    mv $out/bin/mtools $out/libexec/
    cat >$out/bin/mtools <<EOF
    #!${runtimeShell}
    export GCONV_PATH=${glibc}/lib/gconv
    exec -a "\''${0##*/}" $out/libexec/mtools "\$@"
    EOF
    chmod +x $out/bin/mtools
    for name in mcopy mdir mmd mtype; do ln -s mtools $out/bin/$name; done
  '';
}
