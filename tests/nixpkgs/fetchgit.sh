# Checks a commit out with its submodules, as nixpkgs' fetchgit does.
set -euo pipefail
export PATH=/usr/bin:/bin HOME=$PWD GIT_ALLOW_PROTOCOL=file
git -c advice.detachedHead=false clone --quiet --no-checkout "$url" "$out"
git -C "$out" checkout --quiet "$rev"
git -C "$out" submodule --quiet update --init --recursive
find "$out" -name .git -prune -exec rm -rf {} +
