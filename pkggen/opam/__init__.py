"""The opam language: text to values, to packages and switch exports; filters; version order."""
