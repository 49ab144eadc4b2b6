"""A signed apt repository in a directory."""
