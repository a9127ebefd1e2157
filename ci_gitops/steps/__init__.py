"""The steps of the road that several commands share: each takes records and adapters and returns records."""
