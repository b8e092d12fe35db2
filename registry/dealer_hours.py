"""Opening hours (营业时间) as a checked form: on which days, from when until when; written one way everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from registry.base import Refusal
from registry.dealers import LOCAL

DAYS = "一二三四五六日"
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
LONGEST = 120
_SPAN = re.compile(
    r"(?P<days>每天|周[一二三四五六日天周至到、,，-]*)?\s*"
    r"(?P<opens>\d{1,2}[:：]\d{2})\s*[-–—~～至到]+\s*(?P<closes>\d{1,2}[:：]\d{2})"
)


class OpeningHoursInvalid(Refusal):
    """The hours cannot be read, close before they open, overlap on a day, or name none."""

    code = "opening_hours_invalid"
    zh = "营业时间不对：{why_zh}。"
    en = "The opening hours are not valid: {why_en}."
    remedy_zh = "请写成「周一至周五 08:30-18:00；周六、周日 09:00-17:00」这样；天天一样的，只写 08:30-18:00。"
    remedy_en = "Give the days and two times on one day, such as 08:30 and 18:00, once for each group of days."
    default_field = "opening_hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stretch on each of ``days`` (1 Monday to 7 Sunday), in minutes after midnight, Asia/Shanghai."""

    days: tuple[int, ...]
    opens_min: int
    closes_min: int


def make_span(*, days: Iterable[int], opens: str, closes: str) -> Span:
    """Return a stretch from two times such as 08:30 and 18:00; raises OpeningHoursInvalid."""
    chosen = tuple(sorted(set(days)))
    if not chosen or not set(chosen) <= set(EVERY_DAY):
        raise OpeningHoursInvalid(why_zh="没有写是哪几天", why_en="no day is named")
    return Span(days=chosen, opens_min=_minutes(opens), closes_min=_minutes(closes))


def write_hours(spans: Sequence[Span]) -> str:
    """Return the one way to write these hours, at most 120 characters; raises OpeningHoursInvalid."""
    if not spans:
        raise OpeningHoursInvalid(why_zh="一天也没有写", why_en="no day is named")
    for span in spans:
        if span.opens_min >= span.closes_min:
            raise OpeningHoursInvalid(why_zh="关门要晚于开门，不跨过半夜", why_en="they close before they open")
    ordered = sorted(spans, key=lambda span: (span.days, span.opens_min))
    for day in EVERY_DAY:
        today = sorted((span.opens_min, span.closes_min) for span in spans if day in span.days)
        if any(later[0] < earlier[1] for earlier, later in pairwise(today)):
            raise OpeningHoursInvalid(why_zh=f"周{DAYS[day - 1]}有重叠的时段", why_en=f"they overlap on day {day}")
    text = "；".join(f"{_days_words(span.days)} {_clock(span.opens_min)}-{_clock(span.closes_min)}" for span in ordered)
    if len(text) > LONGEST:
        raise OpeningHoursInvalid(why_zh="时段太多", why_en="there are too many stretches")
    return text


def read_hours(text: str) -> tuple[Span, ...]:
    """Return the stretches that ``text`` names, as people write them; raises OpeningHoursInvalid."""
    spans = []
    for part in re.split(r"[;；]", text):
        found = _SPAN.fullmatch(part.strip())
        if found is None:
            raise OpeningHoursInvalid(why_zh=f"看不懂「{part.strip()[:20]}」", why_en="they cannot be read")
        spans.append(make_span(days=_days(found["days"]), opens=found["opens"], closes=found["closes"]))
    return tuple(spans)


def clean_opening_hours(text: str) -> str:
    """Return hours as people write them in the one way they are stored; raises OpeningHoursInvalid."""
    return write_hours(read_hours(text))


def is_open(*, opening_hours: str, at: datetime) -> bool | None:
    """Say whether a shop with these stored hours is open at an instant; None where they cannot be read."""
    try:
        spans = read_hours(opening_hours)
    except OpeningHoursInvalid:
        return None
    local = at.astimezone(LOCAL)
    minute = local.hour * 60 + local.minute
    return any(local.isoweekday() in span.days and span.opens_min <= minute < span.closes_min for span in spans)


def _minutes(text: str) -> int:
    hour, _, minute = text.replace("：", ":").partition(":")
    if hour.isdecimal() and minute.isdecimal() and len(minute) == 2 and int(minute) < 60:
        total = int(hour) * 60 + int(minute)
        if total <= 24 * 60:
            return total
    raise OpeningHoursInvalid(why_zh=f"没有「{text[:10]}」这个时刻", why_en="a time does not exist")


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _days(words: str | None) -> tuple[int, ...]:
    if words is None or words == "每天":
        return EVERY_DAY
    bare = words.replace("周", "").replace("天", "日")
    days: list[int] = []
    for part in re.split(r"[、,，]", bare):
        ends = re.fullmatch(rf"([{DAYS}])(?:[至到-]([{DAYS}]))?|([{DAYS}]+)", part)
        if ends is None:
            raise OpeningHoursInvalid(why_zh=f"看不懂「{words[:20]}」", why_en="the days cannot be read")
        if ends[3]:
            days += [DAYS.index(day) + 1 for day in ends[3]]
        else:
            first = DAYS.index(ends[1]) + 1
            last = DAYS.index(ends[2]) + 1 if ends[2] else first
            days += range(first, last + 1)
    return tuple(days)


def _days_words(days: tuple[int, ...]) -> str:
    if days == EVERY_DAY:
        return "每天"
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    words = []
    for run in runs:
        names = [f"周{DAYS[day - 1]}" for day in run]
        words += [f"{names[0]}至{names[-1]}"] if len(names) > 2 else names
    return "、".join(words)
