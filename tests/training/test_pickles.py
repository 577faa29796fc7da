"""CIFAR-10 comes as pickles, and a pickle can run any code: ours may not, and others can read what we write."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from training import data
from training.data.layouts.cifar10 import unpickle


def test_the_written_batches_are_what_other_readers_of_cifar10_expect():
    found = data.find("mnist_m")
    for encoding, key in (("bytes", b"data"), ("latin1", "data")):  # torchvision reads with latin1
        batch = pickle.loads((found.path / "data_batch_3").read_bytes(), encoding=encoding)
        assert batch[key].shape == (800, 3072)
    meta = pickle.loads((found.path / "batches.meta").read_bytes(), encoding="latin1")
    assert meta["label_names"][7] == "7"


class Evil:
    def __reduce__(self):
        return (exec, ("open('harm', 'w')",))


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps(Evil()),
        pickle.dumps({b"data": Evil()}, protocol=2),
        b"cos\nsystem\n(S'touch harm'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n(S'open(\"harm\",\"w\")'\nS''\ntR.",
        pickle.dumps(Path("x")),
    ],
)
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(elsewhere, payload):
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        unpickle(payload)
    assert not (elsewhere / "harm").exists()


def test_an_array_of_objects_does_not_smuggle_anything_in():
    with pytest.raises(pickle.UnpicklingError, match="refused"):
        unpickle(pickle.dumps({b"data": np.array([Evil()], dtype=object)}))
