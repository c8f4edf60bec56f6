# Downloads Debian packages of any suite and architecture by an apt with a configuration of its own: this machine's apt is not
# changed, root is not needed, and apt has verified the archive's signature for everything downloaded. Sourced after lib.sh,
# never run; the sourcing script sets $work, a scratch directory.
# shellcheck shell=bash disable=SC2154

# The signing keys of the Debian archive.
find_keyring() {
  local file
  for file in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
    if [ -r "$file" ]; then
      printf '%s\n' "$file"
      return
    fi
  done
  die "the keys of the Debian archive are missing (apt-get install debian-archive-keyring)"
}

# Prints this machine's network settings for apt (proxy, timeouts, date checks), but none that would weaken signatures.
network_settings() {
  apt-config dump --format '%F "%v";%n' |
    grep -E '^Acquire::(https?::|Retries|Check-Valid-Until|Check-Date|Max-FutureTime|ForceIPv)' || true
}

# Makes an apt configuration for the suite $1 and the architecture $2, with more lines in $3, and prints its path. An
# existing one is used again.
apt_root() {
  local suite=$1 arch=$2 more=${3:-} root=$work/apt/$1-$2 conf keyring mirror
  keyring=$(find_keyring)
  mirror=$(mirrors | head -n 1)
  conf=$root/apt.conf
  if [ -e "$root/ready" ]; then
    printf '%s\n' "$conf"
    return
  fi
  mkdir -p "$root"/{etc/apt.conf.d,etc/preferences.d,etc/sources.list.d,etc/trusted.gpg.d,lists/partial,cache/archives/partial}
  : >"$root/status"
  printf 'deb [arch=%s signed-by=%s] %s %s main\n' "$arch" "$keyring" "$mirror" "$suite" >"$root/etc/sources.list"
  {
    network_settings
    cat <<CONF
Dir "$root";
Dir::Etc "$root/etc";
Dir::Etc::trusted "/dev/null";
Dir::State "$root";
Dir::State::lists "$root/lists";
Dir::State::status "$root/status";
Dir::Cache "$root/cache";
Dir::Log "$root";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
APT::Sandbox::User "";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
$more
CONF
  } >"$conf"
  say "reading $suite/$arch from $mirror"
  APT_CONFIG=$conf apt-get -qq update >&2 || die "$suite/$arch: apt could not verify the archive's metadata; nothing was written"
  : >"$root/ready"
  printf '%s\n' "$conf"
}

# Downloads the packages $5… of the suite $1 for the architecture $2 into the directory $4; $3: `all` with their dependencies,
# `only` without. $apt_settings: more lines of configuration.
fetch_packages() {
  local conf how=$3 directory=$4
  conf=$(apt_root "$1" "$2" "${apt_settings:-}") || return
  shift 4
  [ "$how" = only ] ||
    mapfile -t < <(APT_CONFIG=$conf apt-get -qq --simulate install "$@" | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
  [ "$how" = only ] || set -- "${MAPFILE[@]}"
  [ $# -gt 0 ] || return
  mkdir -p "$directory" && (cd "$directory" && APT_CONFIG=$conf apt-get -qq download "$@" >&2)
}

# Unpacks the packages $2… below the directory $1 with a merged /usr. Their scripts are not run.
unpack_packages() {
  local into=$1 name package
  shift
  for name in bin sbin lib lib64; do
    mkdir -p "$into/usr/$name"
    ln -sfn "usr/$name" "$into/$name"
  done
  mkdir -p "$into/etc"
  for package in "$@"; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$into"
  done
}

# Downloads and unpacks the packages $5… of the suite $1 for the architecture $2 below the directory $4; $3 as above.
from_debian() {
  local packages=$work/packages/$1-$2 into=$4
  rm -rf "$packages"
  say "fetching ${*:5} of $1"
  fetch_packages "$1" "$2" "$3" "$packages" "${@:5}" || die "${*:5} of $1 for $2 cannot be downloaded"
  unpack_packages "$into" "$packages"/*.deb
  # The archive changes: the next call reads its metadata again.
  rm -rf "$packages" "$work/apt/$1-$2"
}

# Prints the package with the path $1 in the archive and the hash $2, from sdbuild's downloads or from a mirror.
locked_package() {
  local object=${XDG_CACHE_HOME:-$HOME/.cache}/sdbuild/sha256/$2 mirror
  [ ! -f "$object" ] || { cat "$object" && return; }
  for mirror in $(mirrors); do
    ! curl -sfL --retry 2 "$mirror/${1//+/%2B}" || return 0
  done
  die "$1 cannot be downloaded"
}
