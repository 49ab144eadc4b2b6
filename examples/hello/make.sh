#!/bin/sh
# Builds the example with the real opam and writes what orb would record of it.
#
#   make.sh [OUTPUT]     OUTPUT/record and OUTPUT/download-cache are replaced;
#                        OUTPUT is the directory of this script by default
#
# Needs opam 2.1, gcc, make, GNU tar, gzip and sha256sum on x86_64 Linux; no network.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
output=${1:-$here}
mkdir -p "$output"
output=$(CDPATH='' cd -- "$output" && pwd)

export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1589138087
root=hello-unikernel

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

export HOME="$work/home" OPAMROOT="$work/opam" OPAMROOTISOK=1 OPAMYES=1 OPAMCOLOR=never \
  OPAMNOENVNOTICE=1 OPAMNODEPEXTS=1 OPAMPRECISETRACKING=1 OPAMJOBS=1
unset OPAMSWITCH OPAM_SWITCH_PREFIX MAKEFLAGS MAKELEVEL MFLAGS CC CFLAGS LDFLAGS
mkdir "$HOME"

# cached FILE: keep FILE where opam looks before it downloads
cached() {
  for algorithm in sha256 sha512; do
    digest=$("${algorithm}sum" "$1" | cut -d ' ' -f 1)
    directory=$work/download-cache/$algorithm/$(printf %.2s "$digest")
    mkdir -p "$directory"
    cp "$1" "$directory/$digest"
  done
}

# The repository: our packages, with the tarballs of our sources behind made-up URLs.
mkdir "$work/repo"
cp -R "$here/packages" "$work/repo/packages"
printf 'opam-version: "2.0"\n' >"$work/repo/repo"
for package in greeting.0.1 hello-unikernel.1.0.0; do
  name=${package%%.*}
  source=$name-${package#*.}
  tar --create --format=ustar --sort=name --owner=0 --group=0 --numeric-owner \
    --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" --directory="$here/src" "$source" |
    gzip -9 -n >"$work/$source.tar.gz"
  cached "$work/$source.tar.gz"
  cat >>"$work/repo/packages/$name/$package/opam" <<END
url {
  src: "https://pkggen.test/releases/$source.tar.gz"
  checksum: [
    "sha256=$(sha256sum "$work/$source.tar.gz" | cut -d ' ' -f 1)"
    "sha512=$(sha512sum "$work/$source.tar.gz" | cut -d ' ' -f 1)"
  ]
}
END
done

opam init --bare --no-setup --disable-sandboxing --bypass-checks --kind=local default "$work/repo"
mkdir -p "$OPAMROOT/download-cache"
cp -R "$work/download-cache/." "$OPAMROOT/download-cache/"
opam switch create --empty myswitch
opam install --switch=myswitch "$root"

record=$work/record
mkdir -p "$record/bin"
opam switch export --switch=myswitch --full --freeze "$record/opam-switch"
cp "$OPAMROOT/myswitch/.opam-switch/install/$root.changes" "$record/$root.build-hashes"
cp "$OPAMROOT/myswitch/bin/hello.hvt" "$record/bin/hello.hvt"
chmod 644 "$record/bin/hello.hvt"
cp "$here/system-packages" "$record/system-packages"

# What orb's job script for a Debian 12 worker leaves; the last line has no end.
printf %s "HOME=/home/builder
PATH=/bin:/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin
SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH
OPAMSOLVERTIMEOUT=600
OPAMERRLOGLEN=0
ORB_BUILDING_PACKAGE=$root
OPAMROOT=/tmp
PREFIX=/tmp/myswitch
SWITCH_PATH=myswitch
ORB_DATA=2
ARCH=x86_64
OS_FAMILY=debian
OS_VERSION=12
OS_DISTRIBUTION=debian
OS=linux" >"$record/build-environment"

# entry PATH: the entry of a file in record.json
entry() {
  printf '    {\n      "path": "%s",\n      "sha256": "%s",\n      "size": %d\n    }' \
    "$1" "$(sha256sum "$record/$1" | cut -d ' ' -f 1)" "$(wc -c <"$record/$1")"
}

# What `pkggen record` adds (pkggen/record/manifest.py), with fixed times.
cat >"$work/record.json" <<END
{
  "artifacts": [
$(entry bin/hello.hvt)
  ],
  "finished": "2026-08-20T12:01:00Z",
  "image": "bin/hello.hvt",
  "job": "hello-unikernel",
  "metadata": [
$(entry build-environment),
$(entry "$root.build-hashes"),
$(entry opam-switch),
$(entry system-packages)
  ],
  "origin": null,
  "platform": "debian-12",
  "schema": "1.0.0",
  "started": "2026-08-20T12:00:00Z"
}
END
mv "$work/record.json" "$record/record.json"

rm -rf "$output/record" "$output/download-cache"
cp -R "$record" "$output/record"
cp -R "$work/download-cache" "$output/download-cache"
