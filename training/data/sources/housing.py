"""Boston housing, the real one, out of mlxtend."""

from pathlib import Path

from mlxtend.data import boston_housing_data

ORIGIN = "Boston housing (Harrison and Rubinfeld 1978), all 506 rows, from mlxtend; see the card on column B"
LICENCE = "BSD-3-Clause (mlxtend)"


def write(folder: Path) -> None:
    """Write housing.data: 14 columns, the price last."""
    x, y = boston_housing_data()
    rows = (" ".join(f"{number:9.6g}" for number in (*row, price)) for row, price in zip(x, y, strict=True))
    (folder / "housing.data").write_text("\n".join(rows) + "\n", encoding="utf-8")
