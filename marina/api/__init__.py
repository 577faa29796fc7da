"""FastAPI app of control, on a unix socket; the reconciler and the control loop of the experiments run in it."""
