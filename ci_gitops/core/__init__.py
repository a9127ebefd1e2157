"""The decisions, as pure functions on frozen records: no processes, sockets, files, clock, environment."""
