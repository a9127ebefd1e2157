"""The road from a commit to a healthy cluster, as functions on plain records."""

__version__ = "0.1.0"
