{ debian, glibc, runtimeShell, stdenv }:
# Debian's cloud-init with the Python that runs it. Debian compiles Python's files when a package is installed, which nobody can do
# in a store: here, those that a boot loads are compiled when the package is built.
let
  python = "python3.13";
in
stdenv.mkDerivation {
  pname = "cloud-init";
  version = debian.version "cloud-init";
  debs = map debian.deb [
    "cloud-init" "${python}-minimal" "lib${python}-minimal" "lib${python}-stdlib" "ca-certificates" "python3-attr" "python3-certifi"
    "python3-charset-normalizer" "python3-configobj" "python3-idna" "python3-jinja2" "python3-json-pointer" "python3-jsonpatch"
    "python3-jsonschema" "python3-jsonschema-specifications" "python3-markupsafe" "python3-referencing" "python3-requests"
    "python3-rpds-py" "python3-urllib3" "python3-yaml" "libbz2-1.0" "libexpat1" "libffi8" "libgcc-s1" "liblzma5" "libssl3t64" "libuuid1"
    "libyaml-0-2" "libzstd1" "zlib1g"
  ];
  inherit (debian) libFolder dynamicLinker;
  inherit glibc python;
  buildCommand = ''
    for deb in $debs; do dpkg-deb -x $deb .; done
    mkdir -p $out/bin $out/libexec $out/lib $out/etc/ssl/certs
    cp -d $libFolder/*.so* $out/lib/
    cp -r usr/lib/$python usr/lib/python3 usr/lib/cloud-init $out/lib/
    (
      cd $out/lib/$python
      rm -rf ensurepip idlelib pydoc_data turtledemo
      rm -f lib-dynload/*test* lib-dynload/*xx* lib-dynload/_{codecs_,curses,dbm,sqlite3}* lib-dynload/readline*
    )
    cat usr/share/ca-certificates/mozilla/*.crt >$out/etc/ssl/certs/ca-certificates.crt
    sed -i "s|'/etc/ssl/|'$out/etc/ssl/|" $out/lib/python3/dist-packages/certifi/core.py

    # patchelf breaks this program, whose place in memory is fixed.
    cp usr/bin/$python $out/libexec/
    cat >$out/bin/$python <<EOF
    #!${runtimeShell}
    exec $glibc/lib/$dynamicLinker --library-path $out/lib:$glibc/lib --argv0 $out/bin/$python $out/libexec/$python "\$@"
    EOF
    sed "1s|.*|#!$out/bin/$python|" usr/bin/cloud-init >$out/bin/cloud-init
    chmod +x $out/bin/*

    find $out -exec touch -h -d @1 {} +
    PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 $out/bin/$python ${./compile-loaded.py}
  '';
}
