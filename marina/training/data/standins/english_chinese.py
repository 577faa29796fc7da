"""English-Chinese sentence pairs: translations of program messages, and generated dates, amounts and numbers."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from babel.dates import format_date, format_interval, format_skeleton, format_time, format_timedelta
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from babel.units import format_unit
from num2words import num2words

from marina.files import package_folder
from marina.training.data.standins import StandIn
from marina.training.data.synthesis.line_phrases import choose

PHRASE_COUNT, SEED = 12_000, 0
MAX_LENGTH = 120  # characters; longer messages are whole paragraphs of help
CATALOGUES = (("django", "**/zh_Hans/**/*.po"), ("sphinx", "locale/zh_CN/**/*.po"))
LOCALES = ("en", "zh_CN")
CURRENCIES = ("CNY", "USD", "EUR", "JPY", "GBP")
UNITS = ("length-kilometer", "length-meter", "mass-kilogram", "volume-liter", "temperature-celsius", "area-hectare")
PERIODS = ("day", "week", "month", "year", "hour", "minute")
SKELETONS = ("yMMMM", "MMMEd", "yMMMd", "MMMMd", "yQQQQ", "EEEE")
FIRST_DAY, DAYS = date(1950, 1, 1), 40_000
SENTENCES = {  # of each kind of phrase: the sentences that it is inserted into
    "day": (
        ("{}", "{}"),
        ("The meeting is on {}.", "会议时间是{}。"),
        ("She was born on {}.", "她出生于{}。"),
        ("Valid until {}", "有效期至{}"),
        ("We have been open since {}.", "我们自{}起营业。"),
    ),
    "time": (("{}", "{}"), ("The train leaves at {}.", "火车{}开。"), ("Please come at {}.", "请{}来。")),
    "period": (("{}", "{}"), ("The order was changed {}.", "订单的更改时间：{}。")),
    "amount": (
        ("{}", "{}"),
        ("It costs {}.", "价格是{}。"),
        ("The total is {}.", "合计{}。"),
        ("He paid {}.", "他付了{}。"),
    ),
    "measure": (("{}", "{}"), ("about {}", "大约{}"), ("at most {}", "最多{}"), ("more than {}", "超过{}")),
    "count": (
        ("{}", "{}"),
        ("{} people came.", "来了{}人。"),
        ("Room {}", "{}号房间"),
        ("Page {}", "第{}页"),
        ("There are {} books.", "有{}本书。"),
    ),
}

Pair = tuple[str, str]  # English, Chinese
Random = np.random.Generator


def write_sentence_pairs(folder: Path) -> None:
    """Write phrases.txt and gettext.txt in the format of manythings.org/anki."""
    random = np.random.default_rng(SEED)
    write_pairs(folder / "phrases.txt", (phrase(random) for _ in range(PHRASE_COUNT)), "Babel")
    write_pairs(folder / "gettext.txt", catalogue_pairs(), "human translators")


def write_pairs(file: Path, pairs: Iterable[Pair], attribution: str) -> None:
    """Write each pair once, with the attribution in the third column."""
    unique = list(dict.fromkeys(pairs))
    file.write_text("".join(f"{source}\t{target}\t{attribution}\n" for source, target in unique), encoding="utf-8")


def catalogue_pairs() -> Iterator[Pair]:
    """Yield the translated messages of the catalogues that are one line without markup."""
    for name, pattern in CATALOGUES:
        for file in sorted(package_folder(name).glob(pattern)):
            with file.open("rb") as stream:
                catalogue = read_po(stream)
            for message in catalogue:
                # Singular and plural: Chinese has one form, which goes with the English plural.
                source = message.id if isinstance(message.id, str) else message.id[-1]
                target = message.string if isinstance(message.string, str) else (message.string or [""])[0]
                if is_sentence(source) and is_sentence(target) and not message.fuzzy and source != target:
                    yield source, target


def is_sentence(text: str) -> bool:
    """Check for a short text of one line without markup."""
    return 1 < len(text) <= MAX_LENGTH and not set(text) & set("<>\n\t")


def phrase(random: Random) -> Pair:
    """Draw a phrase and the sentence around it, in both languages."""
    kind = choose(list(KINDS), random)
    english, chinese = KINDS[kind](random)
    sentence, chinese_sentence = SENTENCES[kind][int(random.integers(len(SENTENCES[kind])))]
    return sentence.format(english), chinese_sentence.format(chinese)


def in_both(format_in: Callable[[str], str]) -> Pair:
    """Call a formatter with each locale; narrow and thin spaces become ordinary ones."""
    english, chinese = (format_in(locale).replace("\u202f", " ").replace("\u2009", " ") for locale in LOCALES)
    return english, chinese


def day(random: Random) -> Pair:
    """Draw a date, or an interval of dates."""
    start = FIRST_DAY + timedelta(days=int(random.integers(DAYS)))
    match random.integers(4):
        case 0:
            skeleton = choose(SKELETONS, random)
            return in_both(lambda locale: format_skeleton(skeleton, start, locale=locale))
        case 1:
            end = start + timedelta(days=int(random.integers(1, 90)))
            return in_both(lambda locale: format_interval(start, end, "yMMMd", locale=locale))
        case _:
            length = choose(("full", "long", "medium"), random)
            return in_both(lambda locale: format_date(start, length, locale=locale))


def clock(random: Random) -> Pair:
    """Draw a time of the day."""
    moment = time(int(random.integers(24)), int(random.integers(60)))
    if random.random() < 0.5:
        return in_both(lambda locale: format_time(moment, "short", locale=locale))
    with_date = datetime.combine(FIRST_DAY, moment)
    return in_both(lambda locale: format_skeleton("hm", with_date, locale=locale))


def period(random: Random) -> Pair:
    """Draw a length of time, ago or ahead."""
    name, count = choose(PERIODS, random), int(random.integers(1, 100)) * int(random.choice((-1, 1)))
    seconds = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_629_800, "year": 31_557_600}
    length = timedelta(seconds=count * seconds[name])
    options: dict[str, Any] = {"granularity": name, "threshold": 1000, "add_direction": True}
    return in_both(lambda locale: format_timedelta(length, locale=locale, **options))


def amount(random: Random) -> Pair:
    """Draw an amount of money."""
    value, currency = float(number(random)), choose(CURRENCIES, random)
    return in_both(lambda locale: format_currency(value, currency, "#,##0", locale, format_type="name"))


def measure(random: Random) -> Pair:
    """Draw a number with a unit of measurement."""
    value, unit = int(random.integers(1, 1000)), choose(UNITS, random)
    return in_both(lambda locale: format_unit(value, unit, locale=locale))


def count(random: Random) -> Pair:
    """Draw a number: in words in English, in digits in Chinese."""
    value = number(random)
    return str(num2words(value)), str(value)


def number(random: Random) -> int:
    """Draw a number of one to six digits; each length has about the same probability."""
    return int(10 ** random.uniform(0.3, 6))


KINDS: dict[str, Callable[[Random], Pair]] = {
    "day": day,
    "time": clock,
    "period": period,
    "amount": amount,
    "measure": measure,
    "count": count,
}
STAND_INS = {
    "en_zh": StandIn(
        "English and Chinese: gettext.txt is from the catalogues of Django and Sphinx, by human translators; "
        "phrases.txt are dates, times and numbers as Babel (Unicode CLDR) and num2words have them, in short sentences",
        "BSD-3-Clause (Django, Babel), BSD-2-Clause (Sphinx), LGPL (num2words); CLDR: Unicode-3.0",
        write_sentence_pairs,
    )
}
