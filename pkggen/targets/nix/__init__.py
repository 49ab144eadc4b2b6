"""Nix expressions as nixpkgs wants them: one package per recorded image."""
