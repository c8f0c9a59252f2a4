"""Inputs: finding files, reading their formats, and fitting their columns to a record."""
