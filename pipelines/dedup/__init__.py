"""Stages that remove duplicates, and rows found in evaluation sets, from any dataset."""
