"""FreeBSD ports."""
