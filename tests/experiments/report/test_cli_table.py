"""Output of `marina ab show`."""

from datetime import datetime
from io import StringIO

from rich.console import Console

from marina.experiments.database import Exposure
from marina.experiments.report.cli_table import table
from marina.experiments.report.formatting import Outcome
from tests.experiments.log_lines import NOW
from tests.experiments.rows import A, B, exposure_row, insert_rewarded_users, insert_rows, state, summary


def test_text_of_users_is_not_parsed_as_markup(engine):
    insert_rewarded_users(engine, A, [0.0, 1.0] * 100)
    insert_rewarded_users(engine, B, [0.75, 1.25] * 100)
    insert_rows(engine, Exposure, *(exposure_row(f"bad{number}", B, status=500) for number in range(50)))
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
    insert_rewarded_users(database, A, [0.0, 1.0] * 100)
    insert_rewarded_users(database, B, [0.75, 1.25] * 100)
    insert_rows(database, Exposure, *(exposure_row(f"bad{number}", B, status=500) for number in range(1200)))
    one = summary(database, (0, "create", state(a=50, b=50)))
    worse = one.variants[1].comparison.model_copy(update={"outcome": Outcome.WORSE})
    with_fields = (one.variants[0], one.variants[1].model_copy(update={"comparison": worse}))
    stopped = {"experiment": "f", "running": False, "variants": with_fields}
    two = one.model_copy(update={**stopped, "last_change": one.last_change.model_copy(update={"why": ""})})
    result = table([one, two])
    assert [column.header for column in result.columns] == [
        *("experiment", "variant", "weight", "share", "requests", "errors", "p50", "p99", "reward", "verdict")
    ]
    assert [column.justify for column in result.columns] == ["left"] * 2 + ["right"] * 7 + ["left"]
    assert [column.no_wrap for column in result.columns] == [True] * 2 + [False] * 8
    rows = list(zip(*(map(str, column.cells) for column in result.columns), strict=True))
    verdict = one.variants[1].comparison.verdict
    control = (A, "50 %", "12.5 %", "200", "0", "25 ms", "25 ms", "0.5", "control")
    treatment = (B, "50 %", "87.5 %", "1,400", "1,200 (85.7 %)", "25 ms", "25 ms", "1", verdict)
    assert rows == [("e", *control), ("", *treatment), ("f (stopped)", *control), ("", *treatment)]
    verdicts = [cell.style for cell in result.columns[-1].cells]
    assert verdicts == ["", "green", "", "red"]
    assert [row.end_section for row in result.rows] == [False, True, False, True]
    at = datetime.fromtimestamp(NOW).astimezone()
    line = f"create by me, {at:%Y-%m-%d %H:%M:%S}"
    assert str(result.caption) == f"e: {line}: to see\nf: {line}"
    assert result.caption_justify == "left"
