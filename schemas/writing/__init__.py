"""Outputs: publishing dataset directories, and exporting rows for trainers."""
