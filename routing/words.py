"""Figures as people read them; a dash where nothing can be said."""

DASH = "–"


def percent(fraction: float | None) -> str:
    """12.3 %"""
    return DASH if fraction is None else f"{100 * fraction:.3g} %"


def milliseconds(seconds: float | None) -> str:
    """12.3 ms"""
    if seconds is None:
        return DASH
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{1000 * seconds:,.0f} ms"


def amount(value: float | None) -> str:
    """1,234 or 0.123"""
    if value is None:
        return DASH
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
