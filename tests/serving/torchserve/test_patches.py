"""The patches of TorchServe's classes change the intended bytes and nothing else."""

import zipfile
from pathlib import Path

from handlers import streaming
from marina.serving.torchserve import patches, process
from marina.serving.torchserve.patches import ARCHIVES_ONLY, BATCHING, GRPC_STREAMS

JAR = process.package_home() / "ts" / "frontend" / "model-server.jar"


def test_two_comparisons_and_a_lock_of_the_class_are_changed_and_nothing_else():
    with zipfile.ZipFile(JAR) as archive:
        original = archive.read(BATCHING.member)
    patched = BATCHING.patched(JAR)
    assert patched is not None
    different = [(before, after) for before, after in zip(original, patched, strict=True) if before != after]
    comparison = (0x9D, 0x9C)  # ifgt -> ifge, in pollBatch and in pollInferJob
    lock = [(byte, 0) for byte in patches.LOCK if byte]  # in the latter: nop, seven times
    assert different == [comparison, *lock, comparison]
    assert patched.count(patches.LOCK) == original.count(patches.LOCK) - 1 == 1  # that of pollBatch stays


def test_the_other_change_is_of_one_method_and_workers_detect_it():
    original = zipfile.ZipFile(JAR).read(GRPC_STREAMS.member)
    patched = GRPC_STREAMS.patched(JAR)
    assert patched is not None
    more = patches.NOT + patches.AND_STREAMS
    assert patched.replace(more, b"").replace(patches.PATCHED_HEAD, patches.HEAD) == original
    assert patches.GRPC_STREAMS_VARIABLE == streaming.GRPC_STREAMS


def test_another_torchserve_is_left_as_it_is(tmp_path: Path):
    jar, classes = tmp_path / "other.jar", tmp_path / "classes"
    with zipfile.ZipFile(JAR) as archive, zipfile.ZipFile(jar, "w") as other:
        other.writestr(BATCHING.member, archive.read(BATCHING.member) + b"\0")
    assert BATCHING.write(JAR, classes)
    assert BATCHING.active(classes)
    assert not BATCHING.write(jar, classes)
    assert not BATCHING.active(classes)  # what an earlier TorchServe needed must not shadow this one's class


def test_one_call_of_a_method_is_replaced_by_false():
    original, patched = zipfile.ZipFile(JAR).read(ARCHIVES_ONLY.member), ARCHIVES_ONLY.patched(JAR)
    assert patched is not None
    assert original.count(patches.IS_FOLDER) == 1
    assert patched.replace(patches.IS_NO_FOLDER, patches.IS_FOLDER) == original
