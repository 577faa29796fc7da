"""What `make ab` prints."""

from datetime import datetime
from io import StringIO

from rich.console import Console

from routing.table import table
from routing.tables import Exposure
from routing.verdict import Outcome
from tests.routing.lines import NOW
from tests.routing.rows import A, B, put, request, rewarded, state, summary


def test_the_table_says_what_users_wrote_as_they_wrote_it(engine):
    rewarded(engine, A, [0.0, 1.0] * 100)
    rewarded(engine, B, [0.75, 1.25] * 100)
    put(engine, Exposure, *(request(f"bad{number}", B, status=500) for number in range(50)))
    one = summary(engine, (0, "create", state(a=50, b=50)))
    two = one.model_copy(update={"experiment": "f", "running": False})
    change = one.last_change.model_copy(update={"who": "[red]", "why": "[bold]x[/bold] [/nonsense]"})
    out = StringIO()
    Console(file=out, width=200).print(table([one.model_copy(update={"last_change": change}), two]))
    lines = out.getvalue().splitlines()
    row = next(line for line in lines if line.startswith("│") and B in line)
    for shown in ("50 %", "55.6 %", "250", "50 (20 %)", "25 ms", "b@1.0 is better than a@1.0"):
        assert shown in row, shown
    assert "f (stopped)" in out.getvalue()
    assert any(line.startswith("e: create by [red], ") and "[bold]x[/bold] [/nonsense]" in line for line in lines)


def test_a_row_for_each_variant_and_the_last_change_of_each_experiment(database):
    rewarded(database, A, [0.0, 1.0] * 100)
    rewarded(database, B, [0.75, 1.25] * 100)
    put(database, Exposure, *(request(f"bad{number}", B, status=500) for number in range(1200)))
    one = summary(database, (0, "create", state(a=50, b=50)))
    worse = one.variants[1].comparison.model_copy(update={"outcome": Outcome.WORSE})
    changed = (one.variants[0], one.variants[1].model_copy(update={"comparison": worse}))
    stopped = {"experiment": "f", "running": False, "variants": changed}
    two = one.model_copy(update={**stopped, "last_change": one.last_change.model_copy(update={"why": ""})})
    found = table([one, two])
    assert [column.header for column in found.columns] == [
        *("experiment", "variant", "weight", "share", "requests", "errors", "p50", "p99", "reward", "verdict")
    ]
    assert [column.justify for column in found.columns] == ["left"] * 2 + ["right"] * 7 + ["left"]
    assert [column.no_wrap for column in found.columns] == [True] * 2 + [False] * 8
    rows = list(zip(*(map(str, column.cells) for column in found.columns), strict=True))
    verdict = one.variants[1].comparison.verdict
    control = (A, "50 %", "12.5 %", "200", "0", "25 ms", "25 ms", "0.5", "control")
    treatment = (B, "50 %", "87.5 %", "1,400", "1,200 (85.7 %)", "25 ms", "25 ms", "1", verdict)
    assert rows == [("e", *control), ("", *treatment), ("f (stopped)", *control), ("", *treatment)]
    verdicts = [cell.style for cell in found.columns[-1].cells]
    assert verdicts == ["", "green", "", "red"]
    assert [row.end_section for row in found.rows] == [False, True, False, True]
    at = datetime.fromtimestamp(NOW).astimezone()
    line = f"create by me, {at:%Y-%m-%d %H:%M:%S}"
    assert str(found.caption) == f"e: {line}: to see\nf: {line}"
    assert found.caption_justify == "left"
