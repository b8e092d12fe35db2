"""How figures, money and instants are written for people: Chinese, Asia/Shanghai, thousands with a comma."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
_DIGITS = "零一二三四五六七八九十"


def count(number: int) -> str:
    """Return a whole number with thousands separated: 2,560."""
    return f"{number:,}"


def yuan(fen: int) -> str:
    """Return money as owners read it, in yuan: 300, or 300.50 where there are fen."""
    return f"{fen // 100:,}" if fen % 100 == 0 else yuan_exact(fen)


def yuan_exact(fen: int) -> str:
    """Return money as receipts and ledgers write it, in yuan with two decimals: 300.00. No float is involved."""
    sign, whole = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{whole // 100:,}.{whole % 100:02d}"


def local(instant: datetime) -> datetime:
    """Return the instant as the wall clock in the district shows it."""
    return instant.astimezone(SHANGHAI)


def iso(instant: datetime) -> str:
    """Return the instant for the ``datetime`` attribute of ``<time>``."""
    return local(instant).isoformat(timespec="seconds")


def day(instant: datetime) -> str:
    """Return «6 月 16 日»."""
    there = local(instant)
    return f"{there.month} 月 {there.day} 日"


def moment(instant: datetime) -> str:
    """Return «6 月 16 日 14:30»."""
    return f"{day(instant)} {local(instant):%H:%M}"


def moment_exact(instant: datetime) -> str:
    """Return «6 月 16 日 14:30:05», for what is live."""
    return f"{day(instant)} {local(instant):%H:%M:%S}"


def moment_full(instant: datetime) -> str:
    """Return «2026 年 6 月 16 日 14:30:05», for receipts."""
    return f"{local(instant).year} 年 {moment_exact(instant)}"


def clock_time(instant: datetime) -> str:
    """Return «14:30:05», where the day is known."""
    return f"{local(instant):%H:%M:%S}"


def until(instant: datetime) -> str:
    """Return an end as people say it: midnight belongs to the day that ends, «6 月 30 日 24:00»."""
    there = local(instant)
    if there.hour == there.minute == there.second == 0:
        return f"{day(there - timedelta(microseconds=1))} 24:00"
    return moment(instant)


def window(opens_at: datetime, closes_at: datetime) -> str:
    """Return the days of a window, one dash: «6 月 1—30 日» or «6 月 15 日—7 月 15 日»."""
    first, last = local(opens_at), local(closes_at - timedelta(microseconds=1))
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.month} 月 {first.day}—{last.day} 日"
    return f"{day(first)}—{day(last)}"


def ordinal(number: int) -> str:
    """Return 一, 二, … 十, 十一; a plain figure from a hundred on."""
    if number <= 10:
        return _DIGITS[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{'' if tens == 1 else _DIGITS[tens]}十{_DIGITS[ones] if ones else ''}"
    return str(number)


def stage_name(number: int) -> str:
    """Return «第一阶段»."""
    return f"第{ordinal(number)}阶段"


def share(part: int, whole: int) -> str:
    """Return a share for an SVG width, e.g. «71.5%». For drawing only: the figures beside it are exact."""
    return "0%" if whole <= 0 else f"{max(0, min(100, 100 * part / whole)):.2f}%"


def percent(part: int, whole: int) -> str:
    """Return a share for reading: «70.4%»."""
    return "0%" if whole <= 0 else f"{100 * part / whole:.1f}%"


FILTERS = {
    "count": count,
    "yuan": yuan,
    "yuan_exact": yuan_exact,
    "iso": iso,
    "day": day,
    "moment": moment,
    "moment_exact": moment_exact,
    "moment_full": moment_full,
    "clock_time": clock_time,
    "until": until,
    "stage_name": stage_name,
}
