"""Skill-It (arXiv 2307.14430): the mixture to train on next, by which skill helps which, and by their losses."""
