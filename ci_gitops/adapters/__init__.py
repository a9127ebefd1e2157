"""One outside thing per module: what they raise is ours, what they return are records of the core."""
