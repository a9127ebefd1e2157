"""The configuration of a config repository: one schema, read once, with defaults and the place of each error."""
