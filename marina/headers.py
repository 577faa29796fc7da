"""Names of the HTTP headers that Envoy, the experiments and the clients share, in lower case as Envoy compares them.

Three places repeat names because they can't import this file: `marina/serving/envoy/request.lua`, which is Lua, and
`handlers/request.py` and `handlers/response.py`, because archives contain the handlers without the package `marina`.
"""

REQUEST_ID = "x-request-id"  # in requests and responses
CONTENT_TYPE = "content-type"

# In a request: the variant to use, whatever the split of the experiment. In a response: the variant that responded.
VARIANT = "x-variant"
VARIANT_SOURCE = "x-variant-source"  # why that variant responded: "path", "header", "split", "fallback" or "mirror"

# In responses
MODEL_VERSION = "x-model-version"
PREDICTION = "x-prediction"  # summary of the prediction as percent-encoded JSON, for Envoy's log of exposures

# In responses to requests of an experiment; POST /v1/feedback must give it (marina/experiments/feedback_token.py)
FEEDBACK_TOKEN = "x-feedback-token"  # noqa: S105 - a header's name

# Internal, set by Envoy's public listener for its inner listener and for the log of exposures. `request.lua` removes
# them from the requests of clients, so that no client can forge them.
EXPERIMENT = "x-marina-experiment"
EXPOSURE_ID = "x-marina-exposure"  # Envoy's own id of the request: clients choose x-request-id, and may repeat it
ASSIGNED_VARIANT = "x-marina-variant"  # the variant that the split chose
EXPERIMENT_KEY = "x-marina-key"  # value of the header by which the experiment assigns users, x-user-id for instance
SENT_CONTENT_TYPE = "x-marina-content-type"  # of the client's request, where Envoy hides it from TorchServe
MIRROR = "x-marina-mirror"  # the variant that gets a copy of the request
CALLER = "x-marina-caller"  # to control: the access key or the node that Envoy verified (marina.security.caller)
CALLER_PROOF = "x-marina-caller-proof"  # to control: proves that Envoy has set CALLER

# Headers of requests that hold credentials: of the client, or of Envoy for TorchServe. No handler sees them.
CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
