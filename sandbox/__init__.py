"""Runs untrusted Python: many programs, fast, in jails that are self-tested before use."""
