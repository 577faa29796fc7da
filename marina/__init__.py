"""Marina: train, package, sign and serve PyTorch models on TorchServe behind Envoy."""
