"""What runs a stage: its contract, the runner, the rows and tables of a run, and the equipment that recipes share."""
