"""Batching without the wait: a lone request is taken at once, and a burst as one batch.

TorchServe takes the first job of its queue and then asks for more until `maxBatchDelay` ms are over, so that everybody
who comes alone waits for nothing; and it stops asking as soon as no time is left, so that with a delay of 0 it would
never take more than two. One comparison decides, in org.pytorch.serve.wlm.Model: `if (maxDelay <= 0) break`. Here it
becomes `if (maxDelay < 0) break`: with a delay of 0 all that is queued is taken, up to the batch size, and nothing is
waited for.

The same class makes the workers of a model take turns at its queue, by a lock. With continuous batching a busy one
looks into the queue between two steps, by `pollInferJob`, and would wait there until an idle one, which holds the lock,
has got something to do: its streams would stand still. So the lock is left out there, seven bytes that do nothing; the
queue needs none.
"""

from serving.java_class import Change

# lconst_0, lcmp, then "go on if greater" or "go on if greater or equal", over the three bytes of the break.
LEFT, OVERDRAWN = bytes.fromhex("09949d0006a7"), bytes.fromhex("09949c0006a7")
# this.lock.lockInterruptibly(), first in pollInferJob; unlocking asks who holds it.
LOCK, NOTHING = bytes.fromhex("2ab40100b601b8"), bytes(7)

CHANGE = Change(
    "org/pytorch/serve/wlm/Model.class",
    "7c5523f1fe77fe79aa32665469e17725e70518692abcf4987989ef72f10d4cff",
    ((LEFT, OVERDRAWN, -1), (LOCK, NOTHING, 1)),
)
