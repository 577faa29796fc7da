"""In-process hosting: run the handler of an archive or of a folder of artifacts in Python, without TorchServe."""
