"""Workers as forks of one process that has imported what all of them need. Linux only: `Settings.forking`.

TorchServe runs `shim` in place of Python; the shim asks `server` for a fork, `child`, which does the work.
"""
