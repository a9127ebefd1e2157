"""Where a destination keeps what was deployed to it: inventories, records and who writes now."""
