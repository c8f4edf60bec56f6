{ lib, stdenv }:
# Some kernel modules and what they depend on, unpacked, with `load-order`: their files, dependencies first.
# Debian's package has no modules.dep, so the dependencies are read from the modules themselves.
{ kernel, rootModules, name ? kernel.name, allowMissing ? false, ... }:
stdenv.mkDerivation {
  name = "${name}-modules-shrunk";
  inherit rootModules allowMissing;
  source = "${kernel.modules}/lib/modules/${kernel.modDirVersion}";
  target = "lib/modules/${kernel.modDirVersion}";
  buildCommand = ''
    mkdir -p $out/$target
    find $source -name '*.ko*' >files

    add() {
      local file base dependency
      # virtio_blk and virtio-blk are one name.
      base=''${1//[-_]/[-_]}
      case $seen in *" ''${1//-/_} "*) return ;; esac
      seen="$seen ''${1//-/_} "
      ! grep -q "/$base\.ko$" $source/modules.builtin || return 0
      file=$(grep "/$base\.ko" files) || {
        echo "modprobe: FATAL: Module $1 not found in directory $source"
        [ -n "$allowMissing" ]
        return
      }
      case $file in *.xz) xz -dc $file ;; *) cat $file ;; esac >$out/$target/$1.ko
      for dependency in $(strings $out/$target/$1.ko | sed -n 's/^depends=//p' | tr , ' '); do add $dependency; done
      echo $1.ko >>$out/$target/load-order
    }
    seen=" "
    touch $out/$target/load-order
    for module in $rootModules; do add $module; done
  '';
}
