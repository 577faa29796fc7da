"""FastAPI under uvicorn, a process per core, unbatched: FastAPI has no batching. `server.py W1|W2 PORT`."""

import os
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks.machine import cores
from benchmarks.networks import tuned

app = FastAPI()
model = tuned(os.environ["BENCH_WORKLOAD"]) if "BENCH_WORKLOAD" in os.environ else None


@app.post("/predict")
async def predict(request: Request) -> Response:
    """Predict in the event loop: a thread would only add a context switch, since each process has one core."""
    assert model is not None
    return Response(model.respond([await request.body()])[0], media_type="application/json")


if __name__ == "__main__":
    os.environ["BENCH_WORKLOAD"] = sys.argv[1]
    sys.path.insert(0, str(Path(__file__).parent))
    uvicorn.run("server:app", port=int(sys.argv[2]), workers=cores(), log_level="warning", access_log=False)
