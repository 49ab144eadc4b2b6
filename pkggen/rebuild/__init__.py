"""Rebuilds on this machine: lay out, run here or in a chroot, compare, and say why not the same."""
