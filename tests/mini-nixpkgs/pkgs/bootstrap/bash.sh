dpkg-deb -x "$deb" unpacked
mkdir -p "$out/bin"
cp unpacked/usr/bin/bash-static "$out/bin/bash"
ln -s bash "$out/bin/sh"
