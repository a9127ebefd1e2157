"""The real parts that tests run against: each module starts one of them, on free ports, and cleans up after it."""
