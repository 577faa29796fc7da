"""Phrases in English and Chinese: dates, times, lengths of time, amounts and numbers, in short sentences."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
from babel.dates import format_date, format_interval, format_skeleton, format_time, format_timedelta
from babel.numbers import format_currency
from babel.units import format_unit
from num2words import num2words

Pair = tuple[str, str]
Random = np.random.Generator
LOCALES = ("en", "zh_CN")
CURRENCIES = ("CNY", "USD", "EUR", "JPY", "GBP")
UNITS = ("length-kilometer", "length-meter", "mass-kilogram", "volume-liter", "temperature-celsius", "area-hectare")
PERIODS = ("day", "week", "month", "year", "hour", "minute")
SKELETONS = ("yMMMM", "MMMEd", "yMMMd", "MMMMd", "yQQQQ", "EEEE")
FIRST, DAYS = date(1950, 1, 1), 40_000
FRAMES = {  # of a kind of phrase: what it stands in
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


def phrase(random: Random) -> Pair:
    """The same in both languages."""
    kind = pick(list(KINDS), random)
    english, chinese = KINDS[kind](random)
    frame, frame_chinese = FRAMES[kind][int(random.integers(len(FRAMES[kind])))]
    return frame.format(english), frame_chinese.format(chinese)


def pick(options: list[str] | tuple[str, ...], random: Random) -> str:
    return options[int(random.integers(len(options)))]


def both(say: Callable[[str], str]) -> Pair:
    english, chinese = (say(locale).replace("\u202f", " ").replace("\u2009", " ") for locale in LOCALES)
    return english, chinese


def day(random: Random) -> Pair:
    when = FIRST + timedelta(days=int(random.integers(DAYS)))
    match random.integers(4):
        case 0:
            skeleton = pick(SKELETONS, random)
            return both(lambda locale: format_skeleton(skeleton, when, locale=locale))
        case 1:
            until = when + timedelta(days=int(random.integers(1, 90)))
            return both(lambda locale: format_interval(when, until, "yMMMd", locale=locale))
        case _:
            length = pick(("full", "long", "medium"), random)
            return both(lambda locale: format_date(when, length, locale=locale))


def clock(random: Random) -> Pair:
    when = time(int(random.integers(24)), int(random.integers(60)))
    if random.random() < 0.5:
        return both(lambda locale: format_time(when, "short", locale=locale))
    of_some_day = datetime.combine(FIRST, when)
    return both(lambda locale: format_skeleton("hm", of_some_day, locale=locale))


def period(random: Random) -> Pair:
    name, count = pick(PERIODS, random), int(random.integers(1, 100)) * int(random.choice((-1, 1)))
    seconds = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_629_800, "year": 31_557_600}
    length = timedelta(seconds=count * seconds[name])
    how: dict[str, Any] = {"granularity": name, "threshold": 1000, "add_direction": True}
    return both(lambda locale: format_timedelta(length, locale=locale, **how))


def amount(random: Random) -> Pair:
    value, currency = float(number(random)), pick(CURRENCIES, random)
    return both(lambda locale: format_currency(value, currency, "#,##0", locale, format_type="name"))


def measure(random: Random) -> Pair:
    value, unit = int(random.integers(1, 1000)), pick(UNITS, random)
    return both(lambda locale: format_unit(value, unit, locale=locale))


def count(random: Random) -> Pair:
    """In words, and in digits."""
    value = number(random)
    return str(num2words(value)), str(value)


def number(random: Random) -> int:
    """As often of two digits as of six."""
    return int(10 ** random.uniform(0.3, 6))


KINDS: dict[str, Callable[[Random], Pair]] = {
    "day": day,
    "time": clock,
    "period": period,
    "amount": amount,
    "measure": measure,
    "count": count,
}
