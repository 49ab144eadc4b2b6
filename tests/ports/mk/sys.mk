# The stand-in for bsd.port.mk brings everything that it needs.
.SHELL: name=sh path=/bin/sh
