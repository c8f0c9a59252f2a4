"""Inspecting datasets: the ancestry of rows, statistics, and comparison."""
