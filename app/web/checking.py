"""The public check: may this bike be traded in? Judged on the filing alone; the police are asked at the point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.web.language import _
from app.web.stage_card import next_stage
from app.web.wording import count, full_day, money
from registry.filings import FiledBike, clean_plate, get_filed_bike
from registry.trade_ins import TradeIn
from subsidy.foreseen import judge_filing
from subsidy.live import LiveState
from subsidy.programme import Programme, ProgrammeVersion
from subsidy.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: ``yes`` holds, ``no`` breaks a rule, ``later`` is looked at in the shop.

    ``remedy`` says what can be done about a broken rule.
    """

    kind: Literal["yes", "no", "later"]
    title: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a visitor is told about a plate. It never says whose bike it is."""

    plate_no: str
    eligible: bool
    title: str
    because: str
    checks: tuple[Check, ...]
    remedy: str


def check_bike(*, session: Session, plate_no: str, live: LiveState | None, now: datetime) -> Answer:
    """Return whether the bike can be traded in; raises PlateInvalid and FilingNotFound. ``now`` is aware UTC."""
    bike = get_filed_bike(session=session, plate_no=clean_plate(plate_no))
    rules = _rules(session, live)
    checks = [*_filing(bike, rules, now), _not_used(session, bike)]
    broken = [check for check in checks if check.kind == "no"]
    if broken:
        return Answer(
            plate_no=bike.plate_no,
            eligible=False,
            title=_("这辆车领不了补贴"),
            because=broken[0].text,
            checks=(*broken, *(check for check in checks if check.kind == "yes")),
            remedy=_("觉得查到的情况不对，请带身份证和旧车的凭证到代办点，或者拨打 12345 反映。"),
        )
    later = Check(
        kind="later",
        title=_("到店里再核对三样"),
        text=_("号牌在交警系统里是不是正常；是不是您本人的；车架、电机、电池是不是都在。"),
    )
    return Answer(
        plate_no=bike.plate_no,
        eligible=True,
        title=_("这辆车可以换"),
        because=_promise(live),
        checks=(*checks, later),
        remedy="",
    )


def _rules(session: Session, live: LiveState | None) -> Rules | None:
    if live is None:
        return None
    plain = session.scalar(
        select(ProgrammeVersion.rules)
        .join(Programme, Programme.id == ProgrammeVersion.programme_id)
        .where(Programme.code == live.programme_code)
        .order_by(ProgrammeVersion.version_no.desc())
        .limit(1)
    )
    return None if plain is None else Rules.from_json(plain)


def _filing(bike: FiledBike, rules: Rules | None, now: datetime) -> list[Check]:
    filed = full_day(bike.filed_on)
    if rules is None:
        return [Check(kind="yes", title=_("在备案名单内"), text=_("%(day)s备案。", day=filed))]
    wrong = [f.code for f in judge_filing(bike=bike, opened_at=now, rules=rules) if not f.passed]
    told = [TOLD[code](bike, rules) for code in wrong]
    if not ABOUT_ITS_DAY.intersection(wrong):
        holds = _("%(day)s备案，没有超过 %(years)s 年。", day=filed, years=rules.filing_max_age_years)
        told.append(Check(kind="yes", title=_("在备案名单内"), text=holds))
    return told


def _too_young(bike: FiledBike, rules: Rules) -> Check:
    filed, cut_off = full_day(bike.filed_on), full_day(rules.filing_cut_off)
    why = _("%(day)s备案，晚于活动规定的 %(cut_off)s。", day=filed, cut_off=cut_off)
    return Check(kind="no", title=_("备案太晚"), text=why, remedy=_wrong_day())


def _too_old(bike: FiledBike, rules: Rules) -> Check:
    filed, years = full_day(bike.filed_on), rules.filing_max_age_years
    why = _("%(day)s备案，补贴只给备案不超过 %(years)s 年的旧车。", day=filed, years=years)
    return Check(kind="no", title=_("备案超过 %(years)s 年", years=years), text=why, remedy=_wrong_day())


def _wrong_day() -> str:
    return _("备案日期登记错了的，请带身份证和备案的凭证到代办点核对。")


def _changed_hands(bike: FiledBike, rules: Rules) -> Check:
    assert bike.transferred_on is not None
    moved, cut_off = full_day(bike.transferred_on), full_day(rules.filing_cut_off)
    return Check(
        kind="no",
        title=_("过过户"),
        text=_("%(day)s过户，晚于活动规定的 %(cut_off)s。", day=moved, cut_off=cut_off),
        remedy=_("没有过过户，或者日期登记错了的，请带身份证到代办点核对。"),
    )


ABOUT_ITS_DAY = {"filed_after_cut_off", "filed_too_long_ago"}
# How a visitor is told each rule of subsidy/foreseen.py's KNOWN_EARLY that is broken: with the days it is about.
TOLD: dict[str, Callable[[FiledBike, Rules], Check]] = {
    "filed_after_cut_off": _too_young,
    "filed_too_long_ago": _too_old,
    "transferred_after_cut_off": _changed_hands,
}


def _not_used(session: Session, bike: FiledBike) -> Check:
    state = session.scalar(
        select(TradeIn.state).where(TradeIn.filed_bike_id == bike.id, TradeIn.state != "withdrawn").limit(1)
    )
    if state == "completed":
        return Check(
            kind="no",
            title=_("已经换过"),
            text=_("这辆车已经办完淘汰置换，一辆旧车只能换一次。"),
            remedy=_("是您换的，登录「我的换新」看序号和补贴。"),
        )
    if state is not None:
        return Check(
            kind="no",
            title=_("正在办"),
            text=_("这辆车正在一家代办点办淘汰置换。"),
            remedy=_("是您在办的，登录「我的换新」看办到哪一步。"),
        )
    return Check(kind="yes", title=_("没有换过"), text=_("这辆车没有办过淘汰置换。"))


def _promise(live: LiveState | None) -> str:
    if live is None or live.ended:
        return _("现在没有补贴活动，换新车没有补贴。")
    stage = live.current_stage
    if stage is not None and stage.places_left and not live.paused:
        return _(
            "现在办完，补 %(money)s。名额还剩 %(n)s 个。", money=money(stage.amount_fen), n=count(stage.places_left)
        )
    following = next_stage(live)
    if following is None:
        return _("现在名额已满，办完的按序号排队，有名额退出来才补。")
    return _("现在办完先取得序号，下一阶段开始后按序号补，每辆 %(money)s。", money=money(following.amount_fen))
