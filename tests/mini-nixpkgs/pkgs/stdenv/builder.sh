# Runs one derivation: its buildCommand if it has one, else its phases.
set -e -o pipefail

# With structured attributes they are in a file, lists as lists.
if [ -n "${NIX_ATTRS_SH_FILE-}" ]; then
  source "$NIX_ATTRS_SH_FILE"
  for output in "${!outputs[@]}"; do export "$output=${outputs[$output]}"; done
fi

eval "${preHook-}"

PATH=
for input in ${nativeBuildInputs[@]-} ${buildInputs[@]-} ${initialPath[@]}; do
  PATH=$PATH${PATH:+:}$input/bin
done
export PATH SHELL=$BASH SOURCE_DATE_EPOCH=1 LC_ALL=C

# One directory of its own, whatever the build directory already holds (Nix puts its own files there).
mkdir -p "$NIX_BUILD_TOP/build"
cd "$NIX_BUILD_TOP/build"

phase() { printf '@nix {"action":"setPhase","phase":"%s"}\n' "$1" >&"${NIX_LOG_FD:-2}"; }

# nixpkgs' function for a file: its usual options.
substitute() {
  local from=$1 to=$2 text name
  text=$(cat "$from" && echo .)
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      --subst-var) name=$2 && text=${text//"@$name@"/"${!name}"} && shift 2 ;;
      --subst-var-by) text=${text//"@$2@"/"$3"} && shift 3 ;;
      --replace | --replace-fail | --replace-quiet) text=${text//"$2"/"$3"} && shift 3 ;;
      *) echo "substitute: unknown option $1" && return 1 ;;
    esac
  done
  printf %s "${text%.}" >"$to"
}

unpackPhase=${unpackPhase-'
  [ -z "${src-}" ] || if [ -d "$src" ]; then cp -r "$src" source && chmod -R u+w source && cd source; else tar -xf "$src" && cd */; fi'}

if [ -n "${buildCommandPath-}" ]; then
  phase buildPhase
  source "$buildCommandPath"
elif [ -n "${buildCommand-}" ]; then
  phase buildPhase
  eval "$buildCommand"
else
  for name in unpackPhase patchPhase configurePhase buildPhase checkPhase installPhase fixupPhase; do
    [ -n "${!name-}" ] || continue
    phase "$name"
    eval "${!name}"
  done
fi
