"""FastAPI app of control, on port 8090; the reconciler and the control loop of the experiments run in it."""
