#!/bin/sh
# Installs sdbuild into ~/.local/bin of the user who runs it, its manual pages and shell completions into ~/.local/share, and
# changes nothing else.
#
#   ./install.sh                in a clone: compiles it, with this machine's Rust, or else in a container of Docker or Podman
#   ./install.sh --uninstall    removes what it installed; before it, sdbuild clean removes what builds left
#   ./install.sh --help         names the files that it writes
#
# Once a release is published (OWNER is the account that publishes it),
#
#   curl -fsSL https://github.com/OWNER/sdbuild/releases/latest/download/install.sh | sh
#
# downloads it with curl or wget, and verifies its SHA-256 and its signature. Variables:
#
#   SDBUILD_INSTALL_DIR   the directory to install to [default: ~/.local/bin]; for /usr/local/bin the rest goes to /usr/local/share
#   SDBUILD_COMPILER      what compiles: cargo, docker or podman [default: the first of them that works]
#   SDBUILD_VERSION       the release to install, such as 0.1.0 [default: the newest]
#   SDBUILD_RELEASES      the address of the releases [default: that of the repository]
#   SDBUILD_UNVERIFIED    yes: where ssh-keygen is not installed, the signature is not verified
set -eu
# With it, `cd` may print where it went.
unset CDPATH

github=https://github.com/OWNER/sdbuild/releases
releases=${SDBUILD_RELEASES:-$github}
# The public key that releases are signed with; scripts/release writes it here.
release_key=''
signer=release@sdbuild

say() { printf '%s\n' "$*" >&2; }
outcome='nothing was installed'
die() {
  say "install.sh: $*"
  say "install.sh: $outcome"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

usage() {
  choose_directory
  case $github in
    */OWNER/*) default='none: no release is published yet' once=', once one is published' ;;
    *) default=$github once='' ;;
  esac
  printf '%s\n' "Installs sdbuild for the user who runs it. In a clone, the script compiles sdbuild.
Elsewhere it downloads a release and verifies it$once.

  ./install.sh                installs sdbuild; after git pull, updates it
  ./install.sh --uninstall    removes what it installed"
  if source=$(source_dir); then
    printf '%s\n' "
To compile sdbuild, the script needs Rust $(oldest_rust) or newer and a C compiler, or else Docker or Podman. It also needs
a network, five to ten minutes, and 1 GB of disk with your Rust, or 2 GB in a container. Your Rust leaves the directory
target in the clone, and Cargo's downloads in ~/.cargo. A container leaves the container image rust:alpine."
  fi
  printf '%s\n' "
The script installs these files:

  $into/sdbuild"
  choose_share
  if [ -n "$share" ]; then
    print_name "$share/man/man1/sdbuild.1"
    print_name "$share/man/man1/sdbuild-COMMAND.1, for each command"
    each_completion print_name
  fi
  printf '%s\n' "
Variables:

  SDBUILD_INSTALL_DIR   the directory of the program [default: ~/.local/bin]
  SDBUILD_COMPILER      what compiles: cargo, docker or podman [default: the first of them that works]
  SDBUILD_VERSION       the release to install, such as 0.1.0 [default: the newest]
  SDBUILD_RELEASES      the address of the releases [default: $default]
  SDBUILD_UNVERIFIED    yes: where ssh-keygen is not installed, the signature is not verified

For all users: sudo SDBUILD_INSTALL_DIR=/usr/local/bin ./install.sh
After git pull, the same command updates sdbuild. With --uninstall at the end, it removes sdbuild."
}
print_name() { printf '  %s\n' "$1"; }

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

# Prints the directory of the source that this script belongs to. That of a release has a key, and belongs to none.
source_dir() {
  [ -z "$release_key${SDBUILD_RELEASES:-}${SDBUILD_VERSION:-}" ] && [ -f "$0" ] || return 1
  case $0 in
    */*) dir=$(cd "${0%/*}" && pwd) ;;
    *) dir=$(pwd) ;;
  esac
  [ -f "$dir/Cargo.toml" ] && [ -f "$dir/install.sh" ] && echo "$dir"
}

# Prints the oldest version of Rust that compiles the source.
oldest_rust() {
  sed -n 's/^rust-version = "\(1\.[0-9]*\)"$/\1/p' "$source/Cargo.toml"
}

# Whether this machine's Rust compiles the source: it needs a linker too, which C compilers bring.
cargo_works() {
  has cargo && has cc && found=$(cargo --version 2>/dev/null) || return 1
  found=${found#cargo 1.}
  oldest=$(oldest_rust)
  [ "${found%%.*}" -ge "${oldest#1.}" ] 2>/dev/null
}

# Whether the engine $1 answers.
engine_works() {
  has "$1" && "$1" version >/dev/null 2>&1
}

# Fails for the engine $1, which does not answer.
refuse_silent_engine() {
  "$1" version >/dev/null || :
  case $1:$(id -u) in
    docker:0) die "docker does not answer, see above. Start it: systemctl start docker" ;;
    docker:*) die "docker does not answer, see above. Start it: sudo systemctl start docker. If permission is denied, run sudo usermod -aG docker $(id -un), and log out and in again" ;;
    *) die "$1 does not answer, see above" ;;
  esac
}

# Prints what compiles: cargo, docker or podman.
compiler() {
  case ${SDBUILD_COMPILER:-} in
    cargo | docker | podman)
      has "$SDBUILD_COMPILER" || die "SDBUILD_COMPILER is $SDBUILD_COMPILER, which is not installed"
      [ "$SDBUILD_COMPILER" = cargo ] || engine_works "$SDBUILD_COMPILER" || refuse_silent_engine "$SDBUILD_COMPILER"
      echo "$SDBUILD_COMPILER"
      ;;
    ?*) die "SDBUILD_COMPILER is $SDBUILD_COMPILER, and must be cargo, docker or podman" ;;
    *)
      if cargo_works; then
        echo cargo
      elif engine_works docker; then
        echo docker
      elif engine_works podman; then
        echo podman
      elif has docker; then
        refuse_silent_engine docker
      else
        die "it needs Docker or Podman, or Rust $(oldest_rust) or newer with a C compiler. Install your distribution's package docker.io, moby-engine or docker"
      fi
      ;;
  esac
}

# Has $compiler download the image $rust, if it does not have it.
pull_rust() {
  if ! "$compiler" image inspect "$rust" >/dev/null 2>&1; then
    say "downloading rust:alpine, the image that compiles: it takes about 1 GB of disk"
    "$compiler" pull "$rust" >&2 || die "$compiler could not download the image rust:alpine: the lines above say why"
  fi
}

# Compiles the source in a container of $compiler and writes the program to $work/sdbuild. The source goes in and the program
# comes out through pipes: so it works with a rootless engine, with SELinux, and with an engine on another machine.
compile_in_container() {
  rust=docker.io/library/rust:alpine
  pull_rust
  say_compiling
  # Ctrl-C ends the client alone, so `clean_up` removes the container.
  container=sdbuild-install-$$
  cd "$source"
  set --
  for file in *; do
    [ "$file" = target ] || set -- "$@" "$file"
  done
  # Cargo has no terminal there, but what it writes goes to this one.
  bar=auto
  [ ! -t 2 ] || bar=always
  # shellcheck disable=SC2016  # for the shell in the container
  tar -cf - "$@" | "$compiler" run --rm -i --name "$container" --sig-proxy=false --log-driver none \
    -e CARGO_TERM_PROGRESS_WHEN=$bar -e CARGO_TERM_PROGRESS_WIDTH=80 "$rust" \
    sh -ec 'cd "$(mktemp -d)" && tar -xf - && export PATH="$PWD/installed/bin:$PATH" &&
      cargo install --locked --path . --root installed >&2 && cat installed/bin/sdbuild' \
    >"$work/sdbuild" || die "it could not be compiled: the lines above say why"
  chmod 755 "$work/sdbuild"
}

say_compiling() { say "compiling sdbuild with $compiler: this takes five to ten minutes"; }

# Compiles the source with $compiler, and sets `program`.
compile() {
  if [ "$compiler" = cargo ]; then
    say_compiling
    # The clone belongs to the user, who could not compile in a `target` of root.
    [ -z "${SUDO_USER:-}" ] || export CARGO_TARGET_DIR="$work/target"
    # In PATH, or Cargo advises to add this directory.
    PATH=$work/installed/bin:$PATH cargo install --locked --path "$source" --root "$work/installed" || die "it could not be compiled: the lines above say why"
    program=$work/installed/bin/sdbuild
  else
    compile_in_container
    program=$work/sdbuild
  fi
}

# Checks that the release key signed SHA256SUMS.
verify_signature() {
  if [ -z "$release_key" ]; then
    say "signature not checked: this copy of install.sh is not that of a release and has no key"
  elif ! has ssh-keygen; then
    [ "${SDBUILD_UNVERIFIED:-}" = yes ] ||
      die "the signature cannot be verified, because ssh-keygen (openssh-client) is not installed. Install it, or set SDBUILD_UNVERIFIED=yes"
    say "signature not verified: ssh-keygen is not installed"
  else
    download SHA256SUMS.sig "$work/SHA256SUMS.sig"
    printf '%s %s\n' "$signer" "$release_key" >"$work/signers"
    ssh-keygen -Y verify -f "$work/signers" -I "$signer" -n file -s "$work/SHA256SUMS.sig" \
      <"$work/SHA256SUMS" >/dev/null 2>&1 || die "SHA256SUMS is not signed with the release key"
    say "signature verified"
  fi
}

# Whether the version $1 has smaller numbers than $2.
is_older() {
  one=${1%%[-+]*} other=${2%%[-+]*}
  while [ -n "$one$other" ]; do
    [ "${one%%.*}" = "${other%%.*}" ] || {
      [ "${one%%.*}" -lt "${other%%.*}" ] 2>/dev/null
      return
    }
    case $one in *.*) one=${one#*.} ;; *) one= ;; esac
    case $other in *.*) other=${other#*.} ;; *) other= ;; esac
  done
  return 1
}

# Refuses $archive if it is older than the program that is installed: a server may offer an old release, which is signed too, as the
# newest one.
refuse_older() {
  [ -z "${SDBUILD_VERSION:-}" ] && [ -f "$into/sdbuild" ] && is_sdbuild "$into/sdbuild" || return 0
  installed=$("$into/sdbuild" --version)
  offered=${archive#sdbuild-v}
  offered=${offered%-"$target".tar.gz}
  ! is_older "$offered" "${installed#sdbuild }" ||
    die "the newest release at $releases is $offered, older than the installed ${installed#sdbuild }. Set SDBUILD_VERSION=$offered to install it"
}

# Sets `target` and `base`, the program to download and the address of its release.
choose_release() {
  case $releases in
    */OWNER/*) die "no release is published yet: run ./install.sh in a clone of the repository, which compiles sdbuild" ;;
  esac
  target=$(target)
  if [ -n "${SDBUILD_VERSION:-}" ]; then
    base=$releases/download/v${SDBUILD_VERSION#v}
  else
    base=$releases/latest/download
  fi
}

# Downloads the release, verifies it, and sets `program`.
download_release() {
  download SHA256SUMS "$work/SHA256SUMS"
  verify_signature
  archive=$(sed -n "s/^[0-9a-f]\{64\}  \(sdbuild-v[0-9A-Za-z.+-]*-$target\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
  [ -n "$archive" ] || die "$base/SHA256SUMS names no archive for $target"
  refuse_older
  # The hashes of an older release are signed too.
  wanted=${SDBUILD_VERSION:-}
  [ -z "$wanted" ] || [ "$archive" = "sdbuild-v${wanted#v}-$target.tar.gz" ] ||
    die "$base/SHA256SUMS names no archive of ${wanted#v}, but $archive"
  expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $archive\$/\1/p" "$work/SHA256SUMS")
  download "$archive" "$work/archive.tar.gz"
  found=$(sha256 "$work/archive.tar.gz")
  [ "$found" = "$expected" ] || die "$archive has SHA-256 $found, expected is $expected"
  tar -xzf "$work/archive.tar.gz" -C "$work" || die "$archive cannot be unpacked"
  say "SHA-256 of $archive verified"
  program=$work/${archive%.tar.gz}/sdbuild
}

# Sets `into`, the directory of the program. It may not exist.
choose_directory() {
  [ -n "${SDBUILD_INSTALL_DIR:-}${HOME:-}" ] || die "HOME is not set: give SDBUILD_INSTALL_DIR"
  into=${SDBUILD_INSTALL_DIR:-$HOME/.local/bin}
  case $into in
    /*) ;;
    *) into=$(pwd)/$into ;;
  esac
  if [ -d "$into" ]; then
    into=$(cd "$into" && pwd)
  fi
}

# With sudo and without a directory, the program would get into the home directory of root, or root's files into that of the user.
refuse_home_of_root() {
  case ${SDBUILD_INSTALL_DIR:-}:${SUDO_USER:-root} in
    :root) ;;
    :*)
      [ "$(id -u)" != 0 ] || die "with sudo it would install sdbuild for root alone. For $SUDO_USER, run it without sudo. For all users: sudo SDBUILD_INSTALL_DIR=/usr/local/bin $0"
      ;;
  esac
}

# Removes what this run made, except what it installed.
clean_up() {
  [ -z "${container:-}" ] || "$compiler" rm -f "$container" >/dev/null 2>&1 || :
  [ -z "${work:-}" ] || rm -rf "$work"
  while [ "$made" != "$existed" ] && { rmdir "$made" 2>/dev/null || [ ! -e "$made" ]; }; do
    made=${made%/*}
  done
}

# Creates `into`, and in it `work`: so the last step only renames.
make_work_directory() {
  made=$into
  existed=$into
  while [ -n "$existed" ] && [ ! -e "$existed" ]; do
    existed=${existed%/*}
  done
  trap clean_up EXIT
  trap 'say "install.sh: interrupted"; exit 1' HUP INT TERM
  mkdir -p "$into" || die "$into cannot be created"
  into=$(cd "$into" && pwd)
  [ ! -d "$into/sdbuild" ] || die "$into/sdbuild is a directory"
  # A killed run leaves its directory.
  find "$into" -maxdepth 1 -name '.sdbuild-install.??????' -mmin +60 -exec rm -rf {} + 2>/dev/null || :
  work=$(mktemp -d "$into/.sdbuild-install.XXXXXX") || die "$into is not writable"
}

# Sets `share`, the directory of what belongs to the program. Without a `bin` beside it there is none.
choose_share() {
  case $into in
    /*/bin) share=${into%/bin}/share ;;
    *) share= ;;
  esac
}

# Runs $1 for each completion: with the file, and with the arguments for which the program prints it.
each_completion() {
  "$1" "$share/bash-completion/completions/sdbuild" completions bash
  "$1" "$share/fish/vendor_completions.d/sdbuild.fish" completions fish
  "$1" "$share/zsh/site-functions/_sdbuild" completions zsh
}

# Writes the file $1 with what the program prints for the other arguments. The program works without it.
write_completion() {
  file=$1
  shift
  if ! { "$into/sdbuild" "$@" >"$work/completion" && mkdir -p "${file%/*}" && mv -f "$work/completion" "$file"; }; then
    say "$file cannot be written"
  fi
}

# Replaces the manual pages by those of the program: another version may have had other commands.
write_pages() {
  man=$share/man/man1
  if "$into/sdbuild" --quiet man --dir "$work/man" && mkdir -p "$man"; then
    rm -f "$man/sdbuild.1" "$man"/sdbuild-*.1
    mv -f "$work/man/"*.1 "$man/" && return
  fi
  say "the manual pages cannot be written to $man"
}

# Removes the file $1 if it is there.
remove_file() {
  [ -f "$1" ] || return 0
  rm -f "$1" || die "$1 cannot be removed"
  say "removed $1"
  removed=yes
}

# Whether the program $1 is an sdbuild.
is_sdbuild() {
  case $("$1" --version 2>/dev/null </dev/null) in
    'sdbuild '*) ;;
    *) return 1 ;;
  esac
}

# Removes what was installed, as far as it is there.
uninstall() {
  outcome='sdbuild was not removed'
  removed=
  choose_directory
  [ ! -f "$into/sdbuild" ] || is_sdbuild "$into/sdbuild" ||
    die "$into/sdbuild does not print the version of sdbuild, so it may be another program. If it is sdbuild, remove it and run this again: rm $into/sdbuild"
  choose_share
  if [ -n "$share" ]; then
    for page in "$share/man/man1/sdbuild.1" "$share/man/man1"/sdbuild-*.1; do
      remove_file "$page"
    done
    each_completion remove_file
  fi
  remove_file "$into/sdbuild"
  [ -n "$removed" ] || die "there is nothing to remove, neither $into/sdbuild nor the other files of sdbuild"
  say "install.sh: what builds keep in Docker or Podman stays, unless \`sdbuild clean\` removed it before"
}

# Says what was installed, and what to do next.
report() {
  say "installed $version as $into/sdbuild"
  [ -z "${share:-}" ] || say "its manual pages and the completions of bash, fish and zsh are in $share"
  case :${PATH:-}: in
    *":$into:"*) ;;
    *) say "$into is not in PATH: run  export PATH=\"$into:\$PATH\"  and add that line to ~/.bashrc (~/.zshrc of zsh)" ;;
  esac
  next=sdbuild
  first=$(command -v sdbuild) || first=
  if [ "$first" != "$into/sdbuild" ]; then
    next=$into/sdbuild
    [ -z "$first" ] || say "the shell finds another sdbuild first: $first"
  fi
  say "next: $next doctor"
}

# Everything runs in a function: a script that is cut on its way does nothing.
main() {
  case $#:${1:-} in
    0:) ;;
    1:--help | 1:-h)
      usage
      return
      ;;
    1:--uninstall)
      uninstall
      return
      ;;
    *) die "it takes only --uninstall or --help" ;;
  esac
  refuse_home_of_root
  choose_directory
  if source=$(source_dir); then
    compiler=$(compiler)
  else
    choose_release
  fi
  make_work_directory
  if [ -n "$source" ]; then
    compile
  else
    download_release
  fi
  # An empty file runs too.
  is_sdbuild "$program" || die "the program does not run on this machine"
  version=$("$program" --version)
  mv "$program" "$into/sdbuild" || die "$into/sdbuild cannot be written"
  choose_share
  if [ -n "$share" ]; then
    write_pages
    each_completion write_completion
  fi
  report
}

main "$@"
