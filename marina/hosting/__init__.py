"""An archive, or a folder of artifacts, in any Python process, without TorchServe."""
