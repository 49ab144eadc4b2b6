# Runs the phases of a derivation with the programs of the host.
set -euo pipefail
export PATH=/usr/bin:/bin

# Inside its sandbox Nix 2.8 gives a path from outside of it (NixOS/nix#6736).
if [ -e .attrs.sh ]; then
  . ./.attrs.sh
  out=${outputs[out]}
fi

for input in ${nativeBuildInputs[@]-} ${compiler-}; do
  PATH=$input/bin:$PATH
  if [ -e "$input/nix-support/setup-hook" ]; then . "$input/nix-support/setup-hook"; fi
done

runHook() {
  ran="${ran-} $1"
  if declare -F "$1" > /dev/null; then "$1"; elif [ -n "${!1-}" ]; then eval "${!1}"; fi
}

substituteInPlace() {
  local file=$1 text
  shift
  while [ $# -gt 0 ]; do
    text=$(< "$file")
    case $1 in
      --replace-fail) [[ $text == *"$2"* ]] || { echo "not in $file: $2" >&2; exit 1; } ;;
      --replace-warn) [[ $text == *"$2"* ]] || echo "warning: not in $file: $2" >&2 ;;
      *) echo "substituteInPlace no longer takes $1" >&2; exit 1 ;;
    esac
    printf '%s\n' "${text//"$2"/"$3"}" > "$file"
    shift 3
  done
}

if [ -n "${buildCommand-}" ]; then
  eval "$buildCommand"
  exit
fi

# Those of nixpkgs, as far as the generated expressions rely on them.
unpackPhase=${unpackPhase-'runHook preUnpack; tar -xf "$src"; cd ./*/; runHook postUnpack'}
fixupPhase=${fixupPhase-'runHook preFixup; runHook postFixup'}

for phase in unpack configure build install fixup installCheck; do
  skip="dont${phase^}"
  body="${phase}Phase"
  if [ -n "${!skip-}" ] || { [ "$phase" = installCheck ] && [ -z "${doInstallCheck-}" ]; }; then
    continue
  elif [ -z "${!body-}" ]; then
    echo "the stand-in for nixpkgs has no default $body" >&2
    exit 1
  fi
  ran=
  eval "${!body}"
  if [ "$ran" != " pre${phase^} post${phase^}" ]; then
    echo "$body must run the hooks before and after it, ran:$ran" >&2
    exit 1
  fi
done
