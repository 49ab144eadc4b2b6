"""Putting finished trees where others take them from."""
