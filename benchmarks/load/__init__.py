"""Load: HTTP clients in a closed and an open loop, and the protocols of the stacks."""
