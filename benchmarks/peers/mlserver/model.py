"""MLServer's runtime around the tuned models: tensors of the V2 protocol in, one JSON text a row out."""

import os

from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.networks import dumps, tuned


class Bench(MLModel):
    """Loaded in each of MLServer's inference workers."""

    async def load(self) -> bool:
        self.workload = os.environ["BENCH_WORKLOAD"]
        self.model = tuned(self.workload)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (entry,) = payload.inputs
        if self.workload == "W1":
            replies = self.model.predict(Base64Codec.decode_input(entry))
        else:
            replies = self.model.predict(NumpyCodec.decode_input(entry).tolist())
        texts = [dumps(reply).decode() for reply in replies]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("reply", texts)])
