#!/bin/sh
# Installs sdbuild, one static program, for the user who runs it:
#
#   curl -fsSL https://github.com/OWNER/sdbuild/releases/latest/download/install.sh | sh
#
# It downloads a release, compares its SHA-256, and its signature where ssh-keygen is installed, and puts one file into
# ~/.local/bin. It needs curl or wget, and changes nothing else. Variables:
#
#   SDBUILD_VERSION       the release to install, such as 0.1.0 [default: the newest]
#   SDBUILD_INSTALL_DIR   the directory to install to [default: ~/.local/bin]
#   SDBUILD_RELEASES      where the releases are [default: https://github.com/OWNER/sdbuild/releases]
set -eu

releases=${SDBUILD_RELEASES:-https://github.com/OWNER/sdbuild/releases}
# The public key that releases are signed with; scripts/release writes it here.
release_key=''
signer=release@sdbuild

say() { printf '%s\n' "$*" >&2; }
die() {
  say "install.sh: $*"
  say "install.sh: nothing was installed"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# Prints the Rust target of this machine's binary.
target() {
  [ "$(uname -s)" = Linux ] || die "there is no binary for $(uname -s); docs/install.md names other ways"
  case $(uname -m) in
    x86_64 | amd64) echo x86_64-unknown-linux-musl ;;
    aarch64 | arm64) echo aarch64-unknown-linux-musl ;;
    *) die "there is no binary for $(uname -m), only for x86_64 and aarch64" ;;
  esac
}

# Downloads the file $1 of the release to $2.
download() {
  url=$base/$1
  if has curl; then
    # What begins with TLS must not be redirected to a server without.
    case $base in
      https:*) protocols=https ;;
      *) protocols=http,https ;;
    esac
    curl -fsSL --proto "=$protocols" --retry 2 --connect-timeout 20 -o "$2" "$url"
  elif has wget; then
    # GNU's tries for minutes when a connection breaks; BusyBox's has no such option.
    if wget --help 2>&1 | grep -q -e --tries; then
      wget -q --tries=2 -O "$2" "$url"
    else
      wget -q -O "$2" "$url"
    fi
  else
    die "it needs curl or wget"
  fi || die "$url cannot be downloaded"
}

sha256() {
  if has sha256sum; then
    sha256sum "$1"
  elif has shasum; then
    shasum -a 256 "$1"
  else
    die "it needs sha256sum or shasum"
  fi | cut -d ' ' -f 1
}

# Checks that the release key signed SHA256SUMS.
verify_signature() {
  if [ -z "$release_key" ]; then
    say "signature not checked: this copy of install.sh is not that of a release and has no key"
  elif ! has ssh-keygen; then
    say "signature not checked: ssh-keygen (openssh-client) is not installed"
  else
    download SHA256SUMS.sig "$work/SHA256SUMS.sig"
    printf '%s %s\n' "$signer" "$release_key" >"$work/signers"
    ssh-keygen -Y verify -f "$work/signers" -I "$signer" -n file -s "$work/SHA256SUMS.sig" \
      <"$work/SHA256SUMS" >/dev/null 2>&1 || die "SHA256SUMS is not signed with the release key"
    say "signature verified"
  fi
}

# Everything runs in a function: a script that is cut on its way does nothing.
main() {
  [ $# -eq 0 ] || die "it takes no arguments; SDBUILD_VERSION, SDBUILD_INSTALL_DIR and SDBUILD_RELEASES are its variables"
  case $releases in
    */OWNER/*) die "no release is published yet; in a checkout of the repository: cargo install --locked --path ." ;;
  esac
  target=$(target)
  if [ -n "${SDBUILD_VERSION:-}" ]; then
    base=$releases/download/v${SDBUILD_VERSION#v}
  else
    base=$releases/latest/download
  fi
  [ -n "${SDBUILD_INSTALL_DIR:-}${HOME:-}" ] || die "HOME is not set: give SDBUILD_INSTALL_DIR"
  into=${SDBUILD_INSTALL_DIR:-$HOME/.local/bin}
  mkdir -p "$into" || die "$into cannot be created"
  [ ! -d "$into/sdbuild" ] || die "$into/sdbuild is a directory"
  # A killed run leaves its directory.
  find "$into" -maxdepth 1 -name '.sdbuild-install.??????' -mmin +60 -exec rm -rf {} + 2>/dev/null || :
  # Beside the program, which the last step only renames.
  work=$(mktemp -d "$into/.sdbuild-install.XXXXXX") || die "$into is not writable"
  trap 'rm -rf "$work"' EXIT
  trap 'say "install.sh: interrupted"; exit 1' HUP INT TERM

  download SHA256SUMS "$work/SHA256SUMS"
  verify_signature
  archive=$(sed -n "s/^[0-9a-f]\{64\}  \(sdbuild-v[0-9A-Za-z.+-]*-$target\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
  [ -n "$archive" ] || die "$base/SHA256SUMS names no archive for $target"
  # The hashes of an older release are signed too.
  wanted=${SDBUILD_VERSION:-}
  [ -z "$wanted" ] || [ "$archive" = "sdbuild-v${wanted#v}-$target.tar.gz" ] ||
    die "$base/SHA256SUMS names no archive of ${wanted#v}, but $archive"
  expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $archive\$/\1/p" "$work/SHA256SUMS")
  download "$archive" "$work/archive.tar.gz"
  found=$(sha256 "$work/archive.tar.gz")
  [ "$found" = "$expected" ] || die "$archive has SHA-256 $found, expected is $expected"
  tar -xzf "$work/archive.tar.gz" -C "$work" || die "$archive cannot be unpacked"
  program=$work/${archive%.tar.gz}/sdbuild
  version=$("$program" --version) || die "$archive: its program does not run on this machine"
  mv "$program" "$into/sdbuild" || die "$into/sdbuild cannot be written"

  say "installed $version as $into/sdbuild (SHA-256 of its archive verified)"
  case :${PATH:-}: in
    *":$into:"*) ;;
    *) say "$into is not in PATH: add it, for example with  export PATH=\"$into:\$PATH\"" ;;
  esac
  first=$(command -v sdbuild) || first=$into/sdbuild
  [ "$first" = "$into/sdbuild" ] || say "the shell finds another sdbuild first: $first"
  say "next: sdbuild try"
}

main "$@"
