"""Recorded MirageOS builds in; Nix, Debian and FreeBSD packages out."""

__version__ = "0.1.0"
