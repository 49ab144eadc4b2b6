"""The distro-neutral recipe: what to fetch, check and install, under which name and licence."""
