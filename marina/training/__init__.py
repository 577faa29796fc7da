"""Training: data sets by format, tasks on Lightning, evaluation through the handlers, artifacts."""
