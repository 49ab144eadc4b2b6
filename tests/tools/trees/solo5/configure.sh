#!/bin/sh
set -e
prefix=/usr/local toolchain=1
for argument; do
  case $argument in
  --prefix=*) prefix=${argument#*=} ;;
  --disable-toolchain) toolchain= ;;
  *) echo "unknown: $argument" >&2; exit 1 ;;
  esac
done
host=${HOST_CC:-cc}
case $($host -dumpmachine) in
*linux*) spt=1 ;;
*) spt= ;;
esac
${HOST_PKG_CONFIG:-pkg-config} libseccomp
cat >Makeconf <<EOF
CONFIG_PREFIX=$prefix
CONFIG_HOST_CC=$host
CONFIG_SPT=$spt
CONFIG_TOOLCHAIN=$toolchain
CONFIG_TARGET_TRIPLE=x86_64-solo5-none-static
CONFIG_TARGET_CC=${TARGET_CC:-cc}
EOF
