"""Table of the experiments for a terminal."""

from collections.abc import Sequence
from datetime import datetime

from rich.table import Column, Table
from rich.text import Text

from marina.experiments.report.formatting import Outcome, amount, milliseconds, percent
from marina.experiments.report.schema import Summary, VariantSummary
from marina.terminal import printable

COLOURS = {Outcome.BETTER: "green", Outcome.WORSE: "red"}


def table(summaries: Sequence[Summary]) -> Table:
    """Return the table: a row for each variant, and the last change of each experiment below.

    Cells are Text, not str: names and reasons come from users, and must not be parsed as markup or move the cursor.

    >>> Console().print(table([Summary.model_validate(entry) for entry in response.json()]))  # doctest: +SKIP
    """
    numbers = (Column(name, justify="right") for name in ("weight", "share", "requests", "errors", "p50", "p99"))
    reward = Column("reward", justify="right")
    names = (Column(name, no_wrap=True) for name in ("experiment", "variant"))
    result = Table(*names, *numbers, reward, "verdict", caption_justify="left")
    for summary in summaries:
        title = summary.experiment if summary.running else f"{summary.experiment} (stopped)"
        for variant in summary.variants:
            result.add_row(*map(_text, (title, *_cells(variant))), _verdict(variant))
            title = ""
        result.add_section()
    result.caption = _text("\n".join(map(_last_change, summaries)))
    return result


def _text(value: str) -> Text:
    return Text(printable(value))


def _cells(variant: VariantSummary) -> tuple[str, ...]:
    rate = f" ({percent(variant.error_rate)})" if variant.errors else ""
    return (
        variant.name,
        percent(variant.weight / 100),
        percent(variant.share),
        f"{variant.requests:,}",
        f"{variant.errors:,}{rate}",
        milliseconds(variant.p50),
        milliseconds(variant.p99),
        amount(variant.reward.estimate),
    )


def _verdict(variant: VariantSummary) -> Text:
    if variant.comparison is None:
        return Text("control")
    return Text(variant.comparison.verdict, COLOURS.get(variant.comparison.outcome, ""))


def _last_change(summary: Summary) -> str:
    change = summary.last_change
    why = f": {change.why}" if change.why else ""
    at = datetime.fromtimestamp(change.at).astimezone()
    return f"{summary.experiment}: {change.what} by {change.who}, {at:%Y-%m-%d %H:%M:%S}{why}"
