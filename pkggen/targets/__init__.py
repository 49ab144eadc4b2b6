"""The targets: each turns a recipe into a tree of files for one package manager."""
