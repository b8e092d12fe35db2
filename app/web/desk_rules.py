"""A programme's rules as the desk's form holds them, and the differences and effects of a draft in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.web.desk_words import listed
from app.web.forms import Form
from app.web.language import _, _l, ngettext
from app.web.wording import SHANGHAI, count, full_day, local, moment_full, money_exact, stage_name, until_full
from subsidy.rules import Rules, StageRules

DAY, HOUR = 24 * 3600, 3600
# What is beyond these is a slip of the hand, and past what the calendar or the law can reckon with.
MOST_PLACES, MOST_A_PERSON, MOST_YEARS, MOST_YUAN, LONGEST_SECONDS = 10**7, 1_000, 100, 10**9, 3_650 * DAY
YEARS = range(2000, 2200)
OF_A_STAGE = ("amount", "places", "budget", "opens_at", "closes_at")
STAGE_WORDS = {
    "amount_fen": _l("每辆补贴"),
    "places": _l("名额"),
    "budget_fen": _l("预算"),
    "opens_at": _l("开始"),
    "closes_at": _l("截止"),
}
WORDS = {
    "late_window_seconds": _l("截止以后还收迟到回执"),
    "correction_window_seconds": _l("更正期限"),
    "per_person_limit": _l("每人最多"),
    "reserve_fen": _l("改判预备金"),
    "filing_cut_off": _l("旧车备案截止日"),
    "filing_max_age_years": _l("备案最长年限"),
    "payment_waits_for_destruction": _l("报废证明到了才付"),
    "law_version": _l("规则说明书版本"),
}
GENERAL = (
    "late_hours",
    "correction_days",
    "per_person_limit",
    "reserve",
    "filing_cut_off",
    "filing_max_age_years",
    "payment_waits",
)
SAID = ("note", "gaps_intended", "grace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a draft would do, in rows for the page. ``stages`` are (name, figure, before, after)."""

    sums: list[tuple[str, str, str]]
    stages: list[tuple[str, str, str, str]]
    gaining: str
    losing: str
    note: str


def fields_of(stages: int) -> tuple[str, ...]:
    """Return the names of the form's fields: every stage's, the others, and why."""
    own = tuple(f"s{number}_{name}" for number in range(1, stages + 1) for name in OF_A_STAGE)
    return (*own, *GENERAL, *SAID)


def form_of(rules: Rules) -> Form:
    """Return the form filled with the rules in force, with one empty stage behind the last."""
    values: dict[str, str] = {}
    for stage in rules.stages:
        values |= {
            f"s{stage.number}_amount": _plain(stage.amount_fen),
            f"s{stage.number}_places": str(stage.places),
            f"s{stage.number}_budget": _plain(stage.budget_fen),
            f"s{stage.number}_opens_at": f"{local(stage.opens_at):%Y-%m-%d %H:%M:%S}".removesuffix(":00"),
            f"s{stage.number}_closes_at": _end(stage.closes_at),
        }
    values |= {
        "late_hours": f"{rules.late_window.total_seconds() / HOUR:g}",
        "correction_days": f"{rules.correction_window.total_seconds() / DAY:g}",
        "per_person_limit": str(rules.per_person_limit),
        "reserve": _plain(rules.reserve_fen),
        "filing_cut_off": rules.filing_cut_off.isoformat(),
        "filing_max_age_years": str(rules.filing_max_age_years),
        "payment_waits": "yes" if rules.payment_waits_for_destruction else "",
    }
    return Form(fields=fields_of(len(rules.stages) + 1), values=values)


def rules_in(form: Form, *, stages: int, before: Rules) -> Rules:
    """Return the rules that were typed; raises FormIncomplete with every field that is no number or no instant.

    The last of ``stages`` may be empty: then it is no stage. What the form does not show stays as in ``before``.
    """
    given = [number for number in range(1, stages + 1) if _is_given(form, number) or number < stages]
    typed = tuple(_stage(form, number) for number in given)
    rules = Rules(
        stages=typed,
        late_window=timedelta(seconds=_seconds(form, "late_hours", _("小时数"), HOUR)),
        correction_window=timedelta(seconds=_seconds(form, "correction_days", _("天数"), DAY)),
        per_person_limit=_whole(form, "per_person_limit", _("辆数"), high=MOST_A_PERSON),
        reserve_fen=_money(form, "reserve", _("改判预备金")),
        filing_cut_off=form.day("filing_cut_off", _("备案截止日")),
        filing_max_age_years=_whole(form, "filing_max_age_years", _("年数"), high=MOST_YEARS),
        payment_waits_for_destruction=form.value("payment_waits") == "yes",
        law_version=before.law_version,
    )
    if rules.filing_cut_off.year not in YEARS and form.fault("filing_cut_off") is None:
        form.blame("filing_cut_off", _("备案截止日不对。"), _("写成 2025-12-31 这样。"))
    form.check()
    return rules


def names_in(stages: int) -> dict[str, str]:
    """Map the domain's names of fields to the form's, where they differ."""
    return {f"stages.{number}": f"s{number}_amount" for number in range(1, stages + 1)} | {
        "stages": "s1_amount",
        "late_window": "late_hours",
        "correction_window": "correction_days",
        "reserve_fen": "reserve",
        "grace_reserves": "grace",
    }


def difference_rows(changed: Mapping[str, list[Any]]) -> list[tuple[str, str, str]]:
    """Return what differs between two versions, in words: (what, old, new)."""
    return [(_title(name), _value(name, old), _value(name, new)) for name, (old, new) in changed.items()]


def rule_rows(rules: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rules beside the stages, in words."""
    return [(str(word), _value(name, rules[name])) for name, word in WORDS.items() if name in rules]


def effect_of(effect: Mapping[str, Any]) -> Effect:
    """Return a kept what-if (effect_json) in words."""
    before, after = effect["before"], effect["after"]
    sums = [
        (_("预算和预备金"), _yuan(before["given_fen"]), _yuan(after["given_fen"])),
        (_("会付出去"), _yuan(before["spent_fen"]), _yuan(after["spent_fen"])),
        (_("已经办完、拿到补贴的"), _count(before["paid"]), _count(after["paid"])),
        (_("还在排队的"), _count(before["waiting"]), _count(after["waiting"])),
        (_("已经办完、没有补贴的"), _count(before["declined"]), _count(after["declined"])),
        (_("以后才办完、能拿到的"), _count(before["newcomers_paid"]), _count(after["newcomers_paid"])),
    ]
    old = {stage["number"]: stage for stage in before["stages"]}
    new = {stage["number"]: stage for stage in after["stages"]}
    stages = []
    for number in sorted(old.keys() | new.keys()):
        one, other = old.get(number), new.get(number)
        stages += [
            (stage_name(number), _("付给"), _people(one), _people(other)),
            (stage_name(number), _("付出"), _spent(one), _spent(other)),
            (stage_name(number), _("名额用完"), _ran_out(one), _ran_out(other)),
        ]
    note = _(
        "按现在队列里的 %(claims)s 笔和预计以后来的 %(newcomers)s 笔推算。",
        claims=count(effect["claims"]),
        newcomers=count(effect["newcomers"]),
    )
    if effect["left_out"]:
        note += " " + _("有 %(n)s 件事在新规则下没有位置，没有算进去。", n=count(effect["left_out"]))
    return Effect(
        sums=sums, stages=stages, gaining=_moved(effect["gaining"]), losing=_moved(effect["losing"]), note=note
    )


def _stage(form: Form, number: int) -> StageRules:
    return StageRules(
        number=number,
        amount_fen=_money(form, f"s{number}_amount", _("每辆补贴")),
        places=_whole(form, f"s{number}_places", _("名额")),
        budget_fen=_money(form, f"s{number}_budget", _("预算")),
        opens_at=_instant(form, f"s{number}_opens_at", _("开始时间")),
        closes_at=_instant(form, f"s{number}_closes_at", _("截止时间")),
    )


def _is_given(form: Form, number: int) -> bool:
    return any(form.value(f"s{number}_{name}") for name in OF_A_STAGE)


def _wrong(label: str, typed: str) -> str:
    if typed:
        return _("%(label)s「%(typed)s」不对。", label=label, typed=typed)
    return _("还没有填%(what)s。", what=label)


def _whole(form: Form, name: str, label: str, *, high: int = MOST_PLACES) -> int:
    typed = re.sub(r"[,\uff0c\s]", "", form.value(name))
    if re.fullmatch(r"\d{1,9}", typed, re.ASCII) and int(typed) <= high:
        return int(typed)
    form.blame(
        name,
        _wrong(label, form.value(name)),
        _("写成整数，最多 %(most)s。", most=count(high)),
    )
    return 0


def _money(form: Form, name: str, label: str) -> int:
    typed = re.sub(r"[,\uff0c\s\u5143]", "", form.value(name))
    match = re.fullmatch(r"(\d{1,10})(?:\.(\d{1,2}))?", typed, re.ASCII)
    if match and int(match[1]) <= MOST_YUAN:
        return int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))
    form.blame(name, _wrong(label, form.value(name)), _("写成元，最多两位小数，例如 300。"))
    return 0


def _seconds(form: Form, name: str, label: str, unit: int) -> int:
    typed = form.value(name)
    if re.fullmatch(r"\d{1,5}(\.\d{1,4})?", typed, re.ASCII) and float(typed) * unit <= LONGEST_SECONDS:
        return round(float(typed) * unit)
    form.blame(name, _wrong(label, typed), _("写成数字，例如 24。"))
    return 0


def _instant(form: Form, name: str, label: str) -> datetime:
    typed = form.value(name).replace("T", " ").replace("/", "-")
    # Midnight, told as the end of its day.
    ends = re.fullmatch(r"(\d{4}-\d{1,2}-\d{1,2}) 24:00(:00)?", typed, re.ASCII)
    typed = ends[1] if ends else typed
    for shape in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            moment = datetime.strptime(typed, shape).replace(tzinfo=SHANGHAI)
        except ValueError:
            continue
        if moment.year in YEARS:
            return (moment + timedelta(days=1 if ends else 0)).astimezone(UTC)
    form.blame(name, _wrong(label, typed), _("写成 2026-07-01 00:00 这样。"))
    return datetime(2000, 1, 1, tzinfo=UTC)


def _end(instant: datetime) -> str:
    """An end as the form takes it: midnight belongs to the day that ends, as on every page."""
    there = local(instant)
    if there.hour == there.minute == there.second == 0:
        return f"{there - timedelta(days=1):%Y-%m-%d} 24:00"
    return f"{there:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def _plain(fen: int) -> str:
    return str(fen // 100) if fen % 100 == 0 else f"{fen // 100}.{fen % 100:02d}"


def _title(name: str) -> str:
    if name.startswith("stages."):
        number, what = name.split(".", 2)[1:]
        return _("%(stage)s，%(what)s", stage=stage_name(int(number)), what=STAGE_WORDS.get(what, what))
    return str(WORDS.get(name, name))


def _value(name: str, value: Any) -> str:
    if value is None:
        return _("没有")
    if isinstance(value, bool):
        return _("是") if value else _("否")
    if name.endswith("_fen"):
        return _yuan(value)
    if name.endswith("closes_at"):
        return until_full(datetime.fromisoformat(value))
    if name.endswith("_at"):
        return moment_full(datetime.fromisoformat(value)).removesuffix(":00")
    if name == "late_window_seconds":
        return _("%(n)s 小时", n=f"{value / HOUR:g}")
    if name == "correction_window_seconds":
        return _("%(n)s 天", n=f"{value / DAY:g}")
    if name == "filing_cut_off":
        return full_day(date.fromisoformat(value))
    if name == "per_person_limit":
        return ngettext("%(n)s 辆", "%(n)s 辆", value, n=count(value))
    if name == "filing_max_age_years":
        return ngettext("%(n)s 年", "%(n)s 年", value, n=count(value))
    if name == "law_version":
        return _("第 %(n)s 版", n=value)
    if name.endswith("places"):
        return ngettext("%(n)s 个", "%(n)s 个", value, n=count(value))
    return count(value)


def _yuan(fen: int) -> str:
    return money_exact(fen)


def _people(stage: Mapping[str, Any] | None) -> str:
    return _("没有这个阶段") if stage is None else _count(stage["paid"])


def _spent(stage: Mapping[str, Any] | None) -> str:
    return _("没有这个阶段") if stage is None else _yuan(stage["spent_fen"])


def _ran_out(stage: Mapping[str, Any] | None) -> str:
    if stage is None:
        return _("没有这个阶段")
    return moment_full(datetime.fromisoformat(stage["ran_out_at"])) if stage["ran_out_at"] else _("用不完")


def _moved(moved: Mapping[str, Any]) -> str:
    if not moved["claims"]:
        return _("没有人")
    ranges = listed([count(a) if a == b else f"{count(a)}—{count(b)}" for a, b in moved["positions"]])
    told = {"people": count(moved["claims"]), "sum": _yuan(moved["fen"]), "positions": ranges}
    if moved["more"]:
        return _("%(people)s 人，共 %(sum)s。序号 %(positions)s，等等", **told)
    return _("%(people)s 人，共 %(sum)s。序号 %(positions)s", **told)


def _count(people: int) -> str:
    return str(ngettext("%(n)s 人", "%(n)s 人", people, n=count(people)))
