"""Tables as users have them: scikit-learn's iris and diabetes, and customers with categories, dates and holes."""

import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes, load_iris

HEADER = ["customer_id", "age", "income", "visits", "city", "plan", "since", "newsletter", "country", "churned"]


def iris(file: Path) -> Path:
    """Write 150 flowers: four numbers, and the species as the last column."""
    found = load_iris()
    rows = [[*numbers, found.target_names[target]] for numbers, target in zip(found.data, found.target, strict=True)]
    return write(file, [*found.feature_names, "species"], rows)


def diabetes(file: Path) -> Path:
    """Write 442 patients: ten numbers, and the progression as the last column."""
    found = load_diabetes(scaled=False)
    rows = [[*numbers, target] for numbers, target in zip(found.data, found.target, strict=True)]
    return write(file, [*found.feature_names, "progression"], rows)


def customers(file: Path, count: int = 1_000) -> Path:
    """Write customers: three numbers with holes, two categories, a date, a boolean, an id and a constant."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(count):
        age, income = generator.uniform(18, 90), generator.lognormal(10.5, 0.5)
        visits = int(generator.poisson(4))
        city = generator.choice(["Oslo", "Bergen", "Tromsø", "Voss", "Hamar"], p=[0.5, 0.3, 0.15, 0.04, 0.01])
        plan = generator.choice(["free", "basic", "pro"])
        since = date(2015, 1, 1) + timedelta(days=int(generator.integers(3_000)))
        score = (
            (visits < 3) * 2.0 + (plan == "free") * 1.5 - (plan == "pro") * (age > 50) * 2 + (since.year > 2019) * 1.2
        )
        score += (city == "Bergen") * 0.8 - 1.8
        churned = "yes" if generator.random() < 1 / (1 + np.exp(-2 * score)) else "no"
        hole = generator.random(3) < 0.1
        cells = ["" if hole[0] else round(age), "" if hole[1] else round(income, 2), visits]
        cells += ["" if hole[2] else city, plan, since.isoformat(), generator.choice(["true", "false"]), "NO"]
        rows.append([f"C{number:05}", *cells, churned])
    return write(file, HEADER, rows)


def write(file: Path, header: list[str], rows: list[list]) -> Path:
    """Write a CSV file in UTF-8."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return file
