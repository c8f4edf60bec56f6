# The static binaries. Sourced by scripts/release.
# shellcheck shell=bash disable=SC2154  # root, target and tools come from scripts/release

built=$target/release-build
ziglang=0.17.1
cargo_zigbuild=0.24.0
packagers=(cargo-deb@3.8.0 cargo-generate-rpm@0.21.1 cargo-cyclonedx@0.5.9)

# Installs Zig and cargo-zigbuild, unless these versions are there.
install_linker() {
  local wanted="ziglang==$ziglang cargo-zigbuild==$cargo_zigbuild"
  export PATH=$tools/zig/bin:$PATH
  [ "$(cat "$tools/zig/versions" 2>/dev/null)" != "$wanted" ] || return 0
  rm -rf "$tools/zig"
  mkdir -p "$tools"
  python3 -m venv "$tools/zig"
  # shellcheck disable=SC2086  # two words
  "$tools/zig/bin/pip" install --quiet --disable-pip-version-check $wanted >&2
  echo "$wanted" >"$tools/zig/versions"
}

# Installs the makers of packages, unless these versions are there. They run for seconds: it is not worth optimising them.
install_packagers() {
  export PATH=$tools/bin:$PATH
  CARGO_TARGET_DIR=$tools/target cargo install --quiet --locked --debug --root "$tools" "${packagers[@]}" >&2
  rm -rf "$tools/target"
}

# Builds the static binary for the Rust target $1 and prints its path. Paths of this machine are not in it.
# Runs in a shell of its own: nothing else is compiled with these variables.
binary() (
  triple=$1 arguments=()
  sysroot=$(rustc --print sysroot)
  if [ ! -d "$sysroot/lib/rustlib/$triple/lib" ] && ! rustup target add "$triple" >&2; then
    # Without Rust's server the standard library is compiled from its source, which crates.io completes.
    [ -d "$sysroot/lib/rustlib/src/rust/library" ] || die "neither the target $triple nor rust-src is installed"
    say "compiling the standard library for $triple"
    arguments=(-Z build-std=std)
    export RUSTC_BOOTSTRAP=1
  fi
  export SOURCE_DATE_EPOCH CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$built
  SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
  # By cargo's own encoding: paths may have spaces. What the shell's environment has for other builds does not count.
  unset RUSTFLAGS
  CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "--remap-path-prefix=$root=/sdbuild" \
    "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" "--remap-path-prefix=$sysroot=/rust")
  export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
  # The crate `cc` splits them as a shell does.
  CFLAGS=$(printf '%q ' "-ffile-prefix-map=$root=/sdbuild" "-ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo")
  export CFLAGS CC_SHELL_ESCAPED_FLAGS=1
  (cd "$root" && cargo zigbuild --locked --profile dist --target "$triple" "${arguments[@]}") >&2 || die "$triple: cargo zigbuild failed"
  printf '%s\n' "$built/$triple/dist/sdbuild"
)

# Checks that sdbuild compiles for macOS. Linking needs Apple's libraries, so there is no program.
check_macos() (
  triple=aarch64-apple-darwin
  [ -d "$(rustc --print sysroot)/lib/rustlib/$triple/lib" ] || rustup target add "$triple" >&2 || die "the target $triple is not installed"
  unset RUSTFLAGS
  cd "$root" || exit
  CARGO_TARGET_DIR=$built cargo-zigbuild check --quiet --locked --target "$triple" --lib --bins >&2 || die "it does not compile for $triple"
)
