"""A programme's rules as the desk's form holds them, and the differences and effects of a draft in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.web.forms import Form
from app.web.wording import SHANGHAI, count, local, moment_full, stage_name, yuan_exact
from subsidy.rules import Rules, StageRules

DAY, HOUR = 24 * 3600, 3600
# What is beyond these is a slip of the hand, and past what the calendar or the law can reckon with.
MOST_PLACES, MOST_A_PERSON, MOST_YEARS, MOST_YUAN, LONGEST_SECONDS = 10**7, 1_000, 100, 10**9, 3_650 * DAY
YEARS = range(2000, 2200)
OF_A_STAGE = ("amount", "places", "budget", "opens_at", "closes_at")
STAGE_WORDS = {
    "amount_fen": "每辆补贴",
    "places": "名额",
    "budget_fen": "预算",
    "opens_at": "开始",
    "closes_at": "截止",
}
WORDS = {
    "late_window_seconds": "截止以后还收迟到回执",
    "correction_window_seconds": "更正期限",
    "per_person_limit": "每人最多",
    "reserve_fen": "改判预备金",
    "filing_cut_off": "旧车备案截止日",
    "filing_max_age_years": "备案最长年限",
    "payment_waits_for_destruction": "报废证明到了才付",
    "law_version": "规则说明书版本",
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
            f"s{stage.number}_closes_at": f"{local(stage.closes_at):%Y-%m-%d %H:%M:%S}".removesuffix(":00"),
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
        late_window=timedelta(seconds=_seconds(form, "late_hours", "小时数", HOUR)),
        correction_window=timedelta(seconds=_seconds(form, "correction_days", "天数", DAY)),
        per_person_limit=_whole(form, "per_person_limit", "辆数", high=MOST_A_PERSON),
        reserve_fen=_money(form, "reserve", "改判预备金"),
        filing_cut_off=form.day("filing_cut_off", "备案截止日"),
        filing_max_age_years=_whole(form, "filing_max_age_years", "年数", high=MOST_YEARS),
        payment_waits_for_destruction=form.value("payment_waits") == "yes",
        law_version=before.law_version,
    )
    if rules.filing_cut_off.year not in YEARS and form.fault("filing_cut_off") is None:
        form.blame("filing_cut_off", "备案截止日不对。", "写成 2025-12-31 这样。")
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
    return [(word, _value(name, rules[name])) for name, word in WORDS.items() if name in rules]


def effect_of(effect: Mapping[str, Any]) -> Effect:
    """Return a kept what-if (effect_json) in words."""
    before, after = effect["before"], effect["after"]
    sums = [
        ("预算和预备金", _yuan(before["given_fen"]), _yuan(after["given_fen"])),
        ("会付出去", _yuan(before["spent_fen"]), _yuan(after["spent_fen"])),
        ("已经办完、拿到补贴的", f"{count(before['paid'])} 人", f"{count(after['paid'])} 人"),
        ("还在排队的", f"{count(before['waiting'])} 人", f"{count(after['waiting'])} 人"),
        ("已经办完、没有补贴的", f"{count(before['declined'])} 人", f"{count(after['declined'])} 人"),
        ("以后才办完、能拿到的", f"{count(before['newcomers_paid'])} 人", f"{count(after['newcomers_paid'])} 人"),
    ]
    old = {stage["number"]: stage for stage in before["stages"]}
    new = {stage["number"]: stage for stage in after["stages"]}
    stages = []
    for number in sorted(old.keys() | new.keys()):
        one, other = old.get(number), new.get(number)
        stages += [
            (stage_name(number), "付给", _people(one), _people(other)),
            (stage_name(number), "付出", _spent(one), _spent(other)),
            (stage_name(number), "名额用完", _ran_out(one), _ran_out(other)),
        ]
    note = f"按现在队列里的 {count(effect['claims'])} 笔和预计以后来的 {count(effect['newcomers'])} 笔推算。"
    if effect["left_out"]:
        note += f"有 {count(effect['left_out'])} 件事在新规则下没有位置，没有算进去。"
    return Effect(
        sums=sums, stages=stages, gaining=_moved(effect["gaining"]), losing=_moved(effect["losing"]), note=note
    )


def _stage(form: Form, number: int) -> StageRules:
    return StageRules(
        number=number,
        amount_fen=_money(form, f"s{number}_amount", "每辆补贴"),
        places=_whole(form, f"s{number}_places", "名额"),
        budget_fen=_money(form, f"s{number}_budget", "预算"),
        opens_at=_instant(form, f"s{number}_opens_at", "开始时间"),
        closes_at=_instant(form, f"s{number}_closes_at", "截止时间"),
    )


def _is_given(form: Form, number: int) -> bool:
    return any(form.value(f"s{number}_{name}") for name in OF_A_STAGE)


def _whole(form: Form, name: str, label: str, *, high: int = MOST_PLACES) -> int:
    typed = re.sub(r"[,，\s]", "", form.value(name))
    if re.fullmatch(r"\d{1,9}", typed, re.ASCII) and int(typed) <= high:
        return int(typed)
    form.blame(
        name,
        f"{label}「{form.value(name)}」不对。" if typed else f"还没有填{label}。",
        f"写成整数，最多 {count(high)}。",
    )
    return 0


def _money(form: Form, name: str, label: str) -> int:
    typed = re.sub(r"[,，\s元]", "", form.value(name))
    match = re.fullmatch(r"(\d{1,10})(?:\.(\d{1,2}))?", typed, re.ASCII)
    if match and int(match[1]) <= MOST_YUAN:
        return int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))
    words = f"{label}「{form.value(name)}」不对。" if typed else f"还没有填{label}。"
    form.blame(name, words, "写成元，最多两位小数，例如 300。")
    return 0


def _seconds(form: Form, name: str, label: str, unit: int) -> int:
    typed = form.value(name)
    if re.fullmatch(r"\d{1,5}(\.\d{1,4})?", typed, re.ASCII) and float(typed) * unit <= LONGEST_SECONDS:
        return round(float(typed) * unit)
    form.blame(name, f"{label}「{typed}」不对。" if typed else f"还没有填{label}。", "写成数字，例如 24。")
    return 0


def _instant(form: Form, name: str, label: str) -> datetime:
    typed = form.value(name).replace("T", " ").replace("/", "-")
    for shape in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            moment = datetime.strptime(typed, shape).replace(tzinfo=SHANGHAI)
        except ValueError:
            continue
        if moment.year in YEARS:
            return moment.astimezone(UTC)
    form.blame(name, f"{label}「{typed}」不对。" if typed else f"还没有填{label}。", "写成 2026-07-01 00:00 这样。")
    return datetime(2000, 1, 1, tzinfo=UTC)


def _plain(fen: int) -> str:
    return str(fen // 100) if fen % 100 == 0 else f"{fen // 100}.{fen % 100:02d}"


def _title(name: str) -> str:
    if name.startswith("stages."):
        _, number, what = name.split(".", 2)
        return f"{stage_name(int(number))}，{STAGE_WORDS.get(what, what)}"
    return WORDS.get(name, name)


def _value(name: str, value: Any) -> str:
    if value is None:
        return "没有"
    if isinstance(value, bool):
        return "是" if value else "否"
    if name.endswith("_fen"):
        return _yuan(value)
    if name.endswith("_at"):
        return moment_full(datetime.fromisoformat(value)).removesuffix(":00")
    units = {"late_window_seconds": (HOUR, "小时"), "correction_window_seconds": (DAY, "天")}
    if name in units:
        size, word = units[name]
        return f"{value / size:g} {word}"
    if name == "filing_cut_off":
        day = date.fromisoformat(value)
        return f"{day.year} 年 {day.month} 月 {day.day} 日"
    words = {"per_person_limit": "辆", "filing_max_age_years": "年", "law_version": "版"}
    word = next((word for key, word in words.items() if name == key), "个" if name.endswith("places") else "")
    return f"{count(value)} {word}".rstrip()


def _yuan(fen: int) -> str:
    return f"{yuan_exact(fen)} 元"


def _people(stage: Mapping[str, Any] | None) -> str:
    return "没有这个阶段" if stage is None else f"{count(stage['paid'])} 人"


def _spent(stage: Mapping[str, Any] | None) -> str:
    return "没有这个阶段" if stage is None else _yuan(stage["spent_fen"])


def _ran_out(stage: Mapping[str, Any] | None) -> str:
    if stage is None:
        return "没有这个阶段"
    return moment_full(datetime.fromisoformat(stage["ran_out_at"])) if stage["ran_out_at"] else "用不完"


def _moved(moved: Mapping[str, Any]) -> str:
    if not moved["claims"]:
        return "没有人"
    ranges = "、".join(f"{count(a)}" if a == b else f"{count(a)}—{count(b)}" for a, b in moved["positions"])
    return f"{count(moved['claims'])} 人，共 {_yuan(moved['fen'])}。序号 {ranges}{'，等等' if moved['more'] else ''}"
