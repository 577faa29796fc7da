"""Names of the HTTP headers that the gateway, the experiments and the clients share.

Envoy compares header names in lower case. `serving/envoy/request.lua` removes the internal ones (`x-marina-*`) from
what clients send, so that nobody can forge them; it spells them out itself, because Lua can't import this file. The
handlers do so, too: they import nothing of `marina`, and set `PREDICTION`.
"""

# Of requests and responses
REQUEST_ID = "x-request-id"

# Of requests: the variant that the client wants, past the split.
# Of responses: the variant that responded, and why: "path", "header", "split", "fallback" or "mirror".
VARIANT = "x-variant"
VARIANT_SOURCE = "x-variant-source"

# Of responses
MODEL_VERSION = "x-model-version"
PREDICTION = "x-prediction"  # a summary of the prediction as percent-encoded JSON, for the log of exposures

# Internal, from the public listener to the inner one and to the log of exposures
EXPERIMENT = "x-marina-experiment"
ASSIGNED_VARIANT = "x-marina-variant"
EXPERIMENT_KEY = "x-marina-key"  # the value of the experiment's key header
MIRROR = "x-marina-mirror"  # the variant that gets a copy of the request
