# Everything that is made of the binaries: archives, packages, container images, hashes. Sourced by scripts/release.
# shellcheck shell=bash disable=SC2154  # root, out, built, version, repository and targets come from scripts/release

# Writes all files; signs the hashes with the key $1 if there is one.
write_files() {
  local triple
  SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
  # The makers of packages take it for their times.
  export SOURCE_DATE_EPOCH CARGO_TARGET_DIR=$built
  for triple in "${targets[@]}"; do
    documents "$triple"
    archive "$triple"
    packages "$triple"
  done
  for triple in "${targets[@]}"; do container_image "$triple"; done
  bill_of_materials
  install_script "${1:-}"
  hashes
  # They name the archives of both architectures.
  [ ${#targets[@]} = 1 ] || recipes
  sign "${1:-}"
}

# What the program writes about itself, and the licences, beside the binary for $1: packages take them from there. The program
# for this machine writes them.
documents() {
  local into=$built/$1/dist/files program=$target/debug/sdbuild
  rm -rf "$into"
  mkdir -p "$into"
  (cd "$root" && CARGO_TARGET_DIR=$target cargo build --quiet --locked) >&2
  "$program" --quiet man --dir "$into/man"
  cp -r "$into/man" "$into/man-gz"
  gzip -n -9 "$into/man-gz/"*.1
  "$program" completions bash >"$into/sdbuild.bash"
  "$program" completions zsh >"$into/_sdbuild"
  "$program" completions fish >"$into/sdbuild.fish"
  third_party "$1" >"$into/LICENSES-THIRD-PARTY.txt"
}

# Prints the licences of everything in the binary for $1.
third_party() {
  local name number file
  echo "sdbuild contains musl (MIT), the standard library of Rust (MIT OR Apache-2.0), LLVM's libunwind (Apache-2.0 WITH"
  echo "LLVM-exception), and these crates:"
  (cd "$root" && cargo tree --locked --target "$1" --edges normal,no-proc-macro --prefix none --format '{p}%{l}') |
    sed 's/ (\*)$//; s/ (proc-macro)//' | grep -v '^sdbuild ' | LC_ALL=C sort -u | while IFS='% ' read -r name number licence; do
    printf '\n==== %s %s: %s\n' "$name" "${number#v}" "$licence"
    for file in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-${number#v}"/{LICEN[CS]E,COPYING,NOTICE}*; do
      [ ! -f "$file" ] || { echo && cat "$file"; }
    done
  done
}

# An archive with fixed names, owners, times and order.
archive() {
  local name=sdbuild-v$version-$1 stage
  stage=$built/$1/dist/$name
  rm -rf "$stage"
  mkdir -p "$stage/completions"
  install -m 755 "$built/$1/dist/sdbuild" "$stage/sdbuild"
  cp -r "$built/$1/dist/files/"{man,LICENSES-THIRD-PARTY.txt} "$root"/{README.md,CHANGELOG.md,LICENSE-APACHE,LICENSE-MIT} "$stage/"
  cp "$built/$1/dist/files/"{sdbuild.bash,_sdbuild,sdbuild.fish} "$stage/completions/"
  chmod -R u=rwX,go=rX "$stage"
  tar -C "${stage%/*}" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --format=ustar -cf - "$name" | gzip -n -9 >"$out/$name.tar.gz"
}

# The Debian and the RPM package; what is in them is described in Cargo.toml.
packages() {
  (cd "$root" && cargo deb --quiet --locked --no-build --no-strip --compress-type gz --profile dist --target "$1" --output "$out/") >&2
  (cd "$root" && cargo generate-rpm --profile dist --target "$1" --target-dir "$built" --output "$out/" \
    --source-date "$SOURCE_DATE_EPOCH") >&2
}

# The container image of the tool, as `docker load` takes it.
container_image() {
  local arch=amd64
  [ "${1%%-*}" = x86_64 ] || arch=arm64
  (cd "$root" && CARGO_TARGET_DIR=$target cargo run --quiet --locked --example tool-image -- \
    "$built/$1/dist/sdbuild" "$arch" "$built/image.tar") >&2
  gzip -n -9 <"$built/image.tar" >"$out/sdbuild-v$version-image-$arch.tar.gz"
}

bill_of_materials() {
  (cd "$root" && cargo cyclonedx --quiet --format json --spec-version 1.5 --override-filename sdbuild-release >&2)
  # sdbuild itself is named by the path of its directory.
  jq '.metadata.component as $self | walk(if type == "string" and startswith($self["bom-ref"])
    then "path+file:///sdbuild#" + $self.version + ltrimstr($self["bom-ref"]) else . end)' \
    "$root/sdbuild-release.json" >"$out/sdbuild-v$version.cdx.json"
  rm "$root/sdbuild-release.json"
}

# install.sh with the public half of the key $1.
install_script() {
  local public=
  [ -z "$1" ] || public=$(ssh-keygen -y -f "$1" | cut -d ' ' -f 1,2)
  sed "s,^release_key=''\$,release_key='$public'," "$root/install.sh" >"$out/install.sh"
  chmod 755 "$out/install.sh"
}

hashes() { (cd "$out" && LC_ALL=C sha256sum -- *) >"$built/SHA256SUMS" && mv "$built/SHA256SUMS" "$out/SHA256SUMS"; }

# Recipes of other package systems, with version, address and hashes filled in.
recipes() {
  local name recipe
  sum() { sed -n "s/  sdbuild-v$version-$1\.tar\.gz\$//p" "$out/SHA256SUMS"; }
  for recipe in aur/PKGBUILD homebrew/sdbuild.rb; do
    name=${recipe##*/}
    sed -e "s,@VERSION@,$version,g; s,@REPOSITORY@,$repository,g" \
      -e "s,@SHA256_X86_64@,$(sum x86_64-unknown-linux-musl),g; s,@SHA256_AARCH64@,$(sum aarch64-unknown-linux-musl),g" \
      "$root/packaging/$recipe" >"$out/$name"
    ! grep -n '@[A-Z0-9_]*@' "$out/$name" >&2 || die "$recipe: not filled in"
  done
  hashes_of_recipes
}
hashes_of_recipes() { (cd "$out" && sha256sum PKGBUILD sdbuild.rb) >>"$out/SHA256SUMS"; }

# Signs the hashes with the SSH key $1.
sign() {
  if [ -z "$1" ]; then
    say "not signed: give --key FILE for a release that others install"
    return
  fi
  ssh-keygen -q -Y sign -f "$1" -n file "$out/SHA256SUMS" 2>/dev/null || die "SHA256SUMS cannot be signed with $1"
}
