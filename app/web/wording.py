"""How figures, money and instants are written for people, in Asia/Shanghai: «6 月 16 日 14:30» or «16 June 14:30».

Each function speaks the language of the page being made; outside a request, Chinese.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.web.language import _, in_english, ngettext

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


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


def money(fen: int) -> str:
    """Return money with its unit as owners read it: «300 元», «300 yuan»."""
    return _("%(amount)s 元", amount=yuan(fen))


def money_exact(fen: int) -> str:
    """Return money with its unit as receipts write it: «300.00 元», «300.00 yuan»."""
    return _("%(amount)s 元", amount=yuan_exact(fen))


def local(instant: datetime) -> datetime:
    """Return the instant as the wall clock in the district shows it."""
    return instant.astimezone(SHANGHAI)


def iso(instant: datetime) -> str:
    """Return the instant for the ``datetime`` attribute of ``<time>``."""
    return local(instant).isoformat(timespec="seconds")


def day(instant: datetime) -> str:
    """Return «6 月 16 日», «16 June»."""
    return _day(local(instant))


def _day(there: date) -> str:
    return f"{there.day} {MONTHS[there.month - 1]}" if in_english() else _("%(month)s 月 %(day)s 日", **_parts(there))


def _short(there: date) -> str:
    return MONTHS[there.month - 1][:3]


def _parts(there: date) -> dict[str, int]:
    return {"month": there.month, "day": there.day}


def full_day(there: date) -> str:
    """Return a calendar day with its year and nothing in it that a line may break at: «2026 年 6 月 16 日»."""
    written = (
        f"{_day(there)} {there.year}" if in_english() else _("%(year)s 年 %(day)s", year=there.year, day=_day(there))
    )
    return written.replace(" ", "\u00a0")


def moment(instant: datetime) -> str:
    """Return «6 月 16 日 14:30», «16 June 14:30»."""
    return f"{day(instant)} {local(instant):%H:%M}"


def moment_exact(instant: datetime) -> str:
    """Return «6 月 16 日 14:30:05», for what is live."""
    return f"{day(instant)} {local(instant):%H:%M:%S}"


def moment_full(instant: datetime) -> str:
    """Return «2026 年 6 月 16 日 14:30:05», «16 June 2026 14:30:05», for receipts."""
    return f"{full_day(local(instant))} {local(instant):%H:%M:%S}".replace("\u00a0", " ")


def clock_time(instant: datetime) -> str:
    """Return «14:30:05», where the day is known."""
    return f"{local(instant):%H:%M:%S}"


def until(instant: datetime) -> str:
    """Return an end as people say it: midnight belongs to the day that ends, «6 月 30 日 24:00»."""
    there = local(instant)
    if there.hour == there.minute == there.second == 0:
        return f"{day(there - timedelta(microseconds=1))} 24:00"
    return moment(instant)


def until_full(instant: datetime) -> str:
    """Return an end with its year: «2026 年 6 月 30 日 24:00», «30 June 2026 24:00»."""
    there = local(instant)
    if there.hour == there.minute == there.second == 0:
        return f"{full_day(there - timedelta(microseconds=1))} 24:00".replace("\u00a0", " ")
    return moment_full(instant).removesuffix(":00")


def window(opens_at: datetime, closes_at: datetime) -> str:
    """Return the days of a window: «6 月 1—30 日», «6 月 15 日—7 月 15 日», «1–30 Jun», «15 Jun–15 Jul»."""
    first, last = local(opens_at), local(closes_at - timedelta(microseconds=1))
    one_month = (first.year, first.month) == (last.year, last.month)
    if in_english():
        ends = (f"{first.day}" if one_month else f"{first.day} {_short(first)}", f"{last.day} {_short(last)}")
        return "–".join(ends)
    if one_month:
        return _("%(month)s 月 %(day)s 日", month=first.month, day=f"{first.day}—{last.day}")
    return f"{_day(first)}—{_day(last)}"


def for_minutes(minutes: int) -> str:
    """Return a length of time as people say it: «25 分钟», «3 小时», «2 天»; «1 hour» and «2 hours» in English."""
    if minutes < 60:
        return ngettext("%(num)s 分钟", "%(num)s 分钟", minutes)
    if minutes < 48 * 60:
        return ngettext("%(num)s 小时", "%(num)s 小时", round(minutes / 60))
    return ngettext("%(num)s 天", "%(num)s 天", round(minutes / 1440))


def ordinal(number: int) -> str:
    """Return 一, 二, … 十, 十一; a plain figure from a hundred on, and always in English."""
    digits = "" if in_english() else _("零一二三四五六七八九十")
    if not digits or number >= 100:
        return str(number)
    if number <= 10:
        return digits[number]
    tens, ones = divmod(number, 10)
    return f"{'' if tens == 1 else digits[tens]}{digits[10]}{digits[ones] if ones else ''}"


def stage_name(number: int) -> str:
    """Return «第一阶段», «Stage 1»."""
    return _("第%(number)s阶段", number=ordinal(number))


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
    "money": money,
    "money_exact": money_exact,
    "iso": iso,
    "day": day,
    "full_day": full_day,
    "moment": moment,
    "moment_exact": moment_exact,
    "moment_full": moment_full,
    "clock_time": clock_time,
    "until": until,
    "stage_name": stage_name,
    "for_minutes": for_minutes,
}
