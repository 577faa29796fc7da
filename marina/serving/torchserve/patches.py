"""Patches of three Java classes of TorchServe 0.12.0, its last release, as edits of their bytecode.

A class file is identified by its SHA-256; one of another release is not patched.

Batching without waiting (org.pytorch.serve.wlm.Model): a single request is taken at once, and a burst as one batch.
TorchServe takes the first job of its queue and then polls for more until `maxBatchDelay` ms are over, so that a
single request waits for the whole delay; and it stops polling as soon as no time is left, so that with a delay of 0 a
batch would never hold more than two. One comparison decides: `if (maxDelay <= 0) break`. The patch makes it
`if (maxDelay < 0) break`: with a delay of 0 all queued jobs are taken, up to the batch size, without waiting.

Continuous batching without blocking (the same class): a lock lets one worker of a model poll the queue at a time. A
busy worker polls between two steps (`pollInferJob`), and would block there until the idle worker that holds the lock
receives a job: the busy worker's streams would stop. The patch replaces the call that locks by seven NOPs; the queue
itself is thread-safe.

Streams over gRPC (org.pytorch.serve.job.GRPCJob): after each part of a response TorchServe's continuous batching checks
that the client is still connected, but `isOpen` returns `isCancelled()`, the opposite. So the stream of a
connected client ends after its first part, and that of one who has left continues. The patch makes it `!isCancelled()`
for StreamPredictions. A call of Predictions, which is unary, is complete with its first part, and a second part would
be an error that ends the worker: for such a job `isOpen` returns false.

Archives alone (org.pytorch.serve.archive.model.ModelArchive): no folder is registered. TorchServe checks URLs against
`allowed_urls`, but takes the absolute path of any folder without a check, and runs the code in it. The patch replaces
the call of `isDirectory` on that path by the constant false, so that only the model store's files are left.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from marina.files import write_atomic

GRPC_STREAMS_VARIABLE = "MARINA_GRPC_STREAMS"  # environment variable by which workers detect the patch


@dataclass(frozen=True)
class ClassPatch:
    """Edits of the class file `member` of TorchServe's jar, valid for the file whose hash is `sha256`.

    Each of the `edits` holds the original bytes, their replacement, and the maximum number of replacements, -1 for
    no limit.
    """

    member: str
    sha256: str
    edits: tuple[tuple[bytes, bytes, int], ...]

    def patched(self, jar: Path) -> bytes | None:
        """Return the patched class file; None if the jar is of another release."""
        with zipfile.ZipFile(jar) as archive:
            content = archive.read(self.member)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            return None
        for old, new, count in self.edits:
            content = content.replace(old, new, count)
        return content

    def write(self, jar: Path, classes: Path) -> bool:
        """Write the class to the folder that is first on the JVM's class path.

        Return False for a jar of another release, and remove a patch that an earlier start wrote.
        """
        file, content = classes / self.member, self.patched(jar)
        if content is None:
            file.unlink(missing_ok=True)
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, content)
        return True

    def active(self, classes: Path) -> bool:
        """Return whether a TorchServe with the folder `classes` on its class path has the patch."""
        return (classes / self.member).is_file()


# lconst_0, lcmp, then ifgt or ifge, which jumps over the break (the three bytes of a goto, 0xa7).
BREAK_AT_ZERO, BREAK_BELOW_ZERO = bytes.fromhex("09949d0006a7"), bytes.fromhex("09949c0006a7")
# this.lock.lockInterruptibly(), the first call in pollInferJob. Its `finally` unlocks only if this thread has the lock.
LOCK, NOPS = bytes.fromhex("2ab40100b601b8"), bytes(7)

BATCHING = ClassPatch(
    "org/pytorch/serve/wlm/Model.class",
    "7c5523f1fe77fe79aa32665469e17725e70518692abcf4987989ef72f10d4cff",
    ((BREAK_AT_ZERO, BREAK_BELOW_ZERO, -1), (LOCK, NOPS, 1)),
)

# Header of isOpen's Code attribute: attribute_length, max_stack, max_locals, code_length.
HEAD, PATCHED_HEAD = bytes.fromhex("0000003d 0001 0001 0000000b"), bytes.fromhex("0000004b 0003 0001 00000019")
IS_CANCELLED = bytes.fromhex("2a b40007 c00041 b60040")  # aload_0, getfield observer, checkcast, invokevirtual
RETURN = bytes.fromhex("ac")  # ireturn
NOT = bytes.fromhex("04 82")  # iconst_1, ixor
# "& (-getCmd().ordinal() >>> 31)": 0 for PREDICT, whose ordinal is 0, and 1 for all other commands. Arithmetic, because
# a jump would need a stack map frame as well.
AND_STREAMS = bytes.fromhex("2a b60094 b6009e 74 101f 7c 7e")

GRPC_STREAMS = ClassPatch(
    "org/pytorch/serve/job/GRPCJob.class",
    "37d38e228b6314e854c0ab05d7488eb29ade8239683289b36d027357784058ce",
    ((HEAD + IS_CANCELLED + RETURN, PATCHED_HEAD + IS_CANCELLED + NOT + AND_STREAMS + RETURN, 1),),
)

# aload 7, invokevirtual File.isDirectory, ifeq +93: the only one in the class whose object is a local variable.
IS_FOLDER, IS_NO_FOLDER = bytes.fromhex("1907 b6009a 99005d"), bytes.fromhex("1907 570300 99005d")  # pop, iconst_0, nop

ARCHIVES_ONLY = ClassPatch(
    "org/pytorch/serve/archive/model/ModelArchive.class",
    "0baabc70f99e18cc9aa986fcda6481eeaa0c221020be4f414eb962b763970cd0",
    ((IS_FOLDER, IS_NO_FOLDER, 1),),
)
