"""What an API server of Kubernetes does with objects, as far as the simulated cluster needs it: pure functions.

`schemas` says how values of a kind are built and merged, `typed` merges and compares by it, `ownership` keeps
`managedFields`, `serverside` is server-side apply; `defaults`, `canonical`, `validation` and `strategy` are what the
server makes of an object before it keeps it.
"""
