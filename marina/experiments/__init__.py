"""A/B experiments in front of TorchServe: spec, routing, log, statistics and report."""
