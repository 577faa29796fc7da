"""Streams over gRPC: whose client is there is not given up.

After each part of a reply TorchServe's continuous batching asks the job whether its client is still there, and
org.pytorch.serve.job.GRPCJob answers the opposite: `isOpen` is `isCancelled()`. So a stream ends after its first part,
and one whose client has left goes on. Here it is what its name says, `!isCancelled()`.

A call of Predictions is complete with its first part, and a second one would be an error that ends the worker: it is
not open from then on. Only StreamPredictions streams.
"""

from serving.java_class import Change

VARIABLE = "MARINA_GRPC_STREAMS"  # tells workers of it

# attribute_length, max_stack, max_locals, code_length; aload_0, getfield observer, checkcast, invokevirtual isCancelled
HEAD, CHANGED_HEAD = bytes.fromhex("0000003d 0001 0001 0000000b"), bytes.fromhex("0000004b 0003 0001 00000019")
CANCELLED = bytes.fromhex("2a b40007 c00041 b60040")
RETURN = bytes.fromhex("ac")
NOT = bytes.fromhex("04 82")  # iconst_1, ixor
# -getCmd().ordinal() >>> 31, which is 0 for PREDICT, the first, and 1 for all others; iand. A jump would need a frame.
AND_STREAMS = bytes.fromhex("2a b60094 b6009e 74 101f 7c 7e")

CHANGE = Change(
    "org/pytorch/serve/job/GRPCJob.class",
    "37d38e228b6314e854c0ab05d7488eb29ade8239683289b36d027357784058ce",
    ((HEAD + CANCELLED + RETURN, CHANGED_HEAD + CANCELLED + NOT + AND_STREAMS + RETURN, 1),),
)
