"""housing.data as UCI and StatLib publish it."""

import pytest

from marina.training import data

HOUSE = "0.00632 18.00 2.310 0 0.5380 6.5750 65.20 4.0900 1 296.0 15.30 396.90 4.98 24.00"


def test_housing_data_is_read_with_a_house_on_one_line_or_on_two(elsewhere):
    for name, house in (("uci", HOUSE), ("statlib", HOUSE.replace(" 1 296.0", "\n  1 296.0"))):
        (elsewhere / name).mkdir()
        (elsewhere / name / "housing.data").write_text("\n".join([house] * 30))
        dataset = data.find(f"./{name}").load()
        assert dataset.train.inputs[0] == [float(number) for number in HOUSE.split()[:-1]]
        assert set(dataset.test.targets) == {24.0}
        assert dataset.columns[-1] == "MEDV"
        assert "Black" in dataset.note


def test_housing_data_with_a_number_missing_is_refused(elsewhere):
    (elsewhere / "housing.data").write_text(HOUSE + "\n" + HOUSE[:-6])
    with pytest.raises(ValueError, match="27 numbers"):
        data.find("housing.data").load()
