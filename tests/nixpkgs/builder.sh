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
done

runHook() {
  ran="${ran-} $1"
  if declare -F "$1" > /dev/null; then "$1"; elif [ -n "${!1-}" ]; then eval "${!1}"; fi
}

if [ -n "${buildCommand-}" ]; then
  eval "$buildCommand"
  exit
fi

for phase in unpack configure build install fixup; do
  skip="dont${phase^}"
  body="${phase}Phase"
  if [ -n "${!skip-}" ]; then
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
