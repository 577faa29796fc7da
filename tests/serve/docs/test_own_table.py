"""docs/guides/own-table.md, command by command: a CSV file becomes predictions, and malformed rows are refused."""

import json

import httpx
import pytest

from tests.serve.support.guide import Reader, blocks, commands
from tests.support import table_samples

pytestmark = pytest.mark.serve
PAGE = "docs/guides/own-table.md"
LEFT_OUT = object()
MALFORMED = [  # column and value
    ("age", "41"), ("age", True), ("age", 1e30), ("age", [41]), ("age", {}), ("income", "much"), ("income", -1e300),
    ("visits", None), ("visits", LEFT_OUT), ("visits", "three"), ("visits", False), ("plan", "gold"), ("plan", "FREE"),
    ("plan", 7), ("plan", None), ("plan", LEFT_OUT), ("since", "yesterday"), ("since", 2021), ("since", "2021-02-30"),
    ("since", "1621-02-03"), ("newsletter", "maybe"), ("newsletter", 1), ("colour", "red"), ("churned", "yes"),
]  # fmt: skip


def test_the_guide_leads_from_a_table_to_predictions(tmp_path_factory):
    reader = Reader(tmp_path_factory.mktemp("g"))
    file = table_samples.customers(reader.checkout / "customers.csv")
    sample, printed, compared = blocks(PAGE, "text")
    assert file.read_text(encoding="utf-8").splitlines()[:3] == sample.splitlines()
    (row,) = blocks(PAGE, "json")
    (reader.checkout / "row.json").write_text(row, encoding="utf-8")
    typed = commands(PAGE)
    assert [command.split()[1] for command in typed] == ["train", "archive", "serve", "predict", "explain"]
    try:
        output = " ".join(reader.run(typed[0]).split())
        assert " ".join(printed.split()) in output
        assert compared.split(":")[0] in output
        for command in typed[1:3]:
            reader.run(command)
        prediction, explanation = (json.loads(reader.run(command)) for command in typed[3:])
        assert {one["label"] for one in prediction["predictions"]} == {"yes", "no"}
        assert len(explanation["columns"]) == 7
        url = f"http://127.0.0.1:{reader.port}"
        good = json.loads(row)["features"]
        for column, value in MALFORMED:
            features = {name: each for name, each in {**good, column: value}.items() if each is not LEFT_OUT}
            got = httpx.post(f"{url}/predictions/table", json={"features": features}, trust_env=False)
            assert (got.status_code, got.json()["field"]) == (400, f"features.{column}"), (column, value, got.text)
        document = httpx.get(f"{url}/openapi.json", trust_env=False).json()
        body = document["paths"]["/predictions/table"]["post"]["requestBody"]["content"]["application/json"]
        form = body["schema"]["properties"]["features"]["oneOf"][0]["properties"]
        assert set(form["plan"]["enum"]) == {"free", "basic", "pro"}
        assert set(form) == set(good)
        assert body["example"]["features"].keys() == form.keys()
    finally:
        reader.run("make stop")
