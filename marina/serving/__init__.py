"""Serving of archives: TorchServe behind Envoy, with versions, readiness and restarts."""
