# An apt of our own for any suite of Debian: nothing of this machine's own apt is changed, no root is needed, and
# whatever comes has passed apt's checks of the archive's signature. Sourced, never run; its user has `say`, `die`,
# $work (a folder that it removes), and $mirror and $keyring out of what is here.
# shellcheck shell=bash disable=SC2154

find_keyring() {
  local file
  for file in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
    if [ -r "$file" ]; then
      printf '%s\n' "$file"
      return
    fi
  done
  die "the Debian archive's keys are not here (apt-get install debian-archive-keyring)"
}

find_mirror() {
  local file url
  if [ -n "${SDBUILD_DEBIAN_MIRROR:-}" ]; then
    printf '%s\n' "${SDBUILD_DEBIAN_MIRROR%/}"
    return
  fi
  for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -r "$file" ] || continue
    url=$(sed -e '/^[[:space:]]*#/d' "$file" | grep -oE 'https?://[^][:space:]]+/debian/?([[:space:]]|$)' | head -n 1 | tr -d '[:space:]') || true
    if [ -n "$url" ]; then
      printf '%s\n' "${url%/}"
      return
    fi
  done
  printf 'http://ftp.debian.org/debian\n'
}

# This machine's way to the network (proxy, time-outs, date checks), but none of what would weaken signatures.
network_habits() {
  apt-config dump --format '%F "%v";%n' |
    grep -E '^Acquire::(https?::|Retries|Check-Valid-Until|Check-Date|Max-FutureTime|ForceIPv)' || true
}

# An apt of its own for one suite and architecture, with more lines of configuration: prints its configuration file.
apt_root() {
  local suite=$1 arch=$2 more=${3:-} root conf
  root=$work/apt/$suite-$arch
  conf=$root/apt.conf
  if [ -e "$root/ready" ]; then
    printf '%s\n' "$conf"
    return
  fi
  mkdir -p "$root"/{etc/apt.conf.d,etc/preferences.d,etc/sources.list.d,etc/trusted.gpg.d,lists/partial,cache/archives/partial}
  : >"$root/status"
  printf 'deb [arch=%s signed-by=%s] %s %s main\n' "$arch" "$keyring" "$mirror" "$suite" >"$root/etc/sources.list"
  {
    network_habits
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
  APT_CONFIG=$conf apt-get -qq update >&2 || die "$suite/$arch: the archive's metadata did not pass apt's checks; nothing was written"
  : >"$root/ready"
  printf '%s\n' "$conf"
}
