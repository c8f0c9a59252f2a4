"""Stages that the rows of any dataset can go through: without their doubles, and without what evaluation sets hold."""
