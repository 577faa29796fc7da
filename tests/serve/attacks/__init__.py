"""Attacks of outsiders and local users on a running bundle, each of which must fail."""
