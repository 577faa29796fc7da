"""Splits are reproducible and keep the proportion of the classes; lazy sequences make items on access."""

from marina.training.data.dataset import LazySequence, Split, hold_out


def test_hold_out_takes_the_same_share_of_each_class_on_every_call():
    split = Split(list(range(100)), [0] * 80 + [1] * 20)
    remaining, held_out = hold_out(split, 0.1)
    assert (list(held_out.targets).count(0), list(held_out.targets).count(1)) == (8, 2)
    assert sorted([*remaining.inputs, *held_out.inputs]) == list(range(100))
    assert list(hold_out(split, 0.1)[1].inputs) == list(held_out.inputs)


def test_lazy_sequences_make_only_the_items_that_are_accessed():
    made = []

    class Squares(LazySequence[int]):
        def __len__(self) -> int:
            return 10

        def item(self, index: int) -> int:
            made.append(index)
            return index**2

    squares = Squares()
    assert (squares[-1], squares[2:8:3], Split(squares, range(10)).select([5, 3]).inputs[0]) == (81, [4, 25], 25)
    assert made == [9, 2, 5, 5]
