"""Runs the archives: TorchServe behind Envoy, with versions, readiness and restarts."""
