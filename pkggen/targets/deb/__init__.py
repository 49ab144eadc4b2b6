"""Packages for Debian and what is derived from it."""
