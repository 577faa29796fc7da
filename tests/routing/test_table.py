"""What `make ab` prints."""

from io import StringIO

from rich.console import Console

from routing.table import table
from routing.tables import Exposure
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
