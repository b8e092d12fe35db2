"""The public check: may this bike be traded in? Judged on the filing alone; the police are asked at the point."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.web.stage_card import next_stage
from app.web.wording import local, yuan
from registry.filings import FiledBike, clean_plate, get_filed_bike
from registry.trade_ins import TradeIn
from subsidy.eligibility import years_before
from subsidy.live import LiveState
from subsidy.programme import Programme, ProgrammeVersion
from subsidy.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: ``yes`` holds, ``no`` breaks a rule, ``later`` is looked at in the shop."""

    kind: Literal["yes", "no", "later"]
    title: str
    text: str


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
            title="这辆车领不了补贴",
            because=broken[0].text,
            checks=(*broken, *(check for check in checks if check.kind == "yes")),
            remedy="觉得查到的情况不对，请带身份证和旧车的凭证到代办点，或者拨打 12345 反映。",
        )
    later = Check(
        kind="later",
        title="到店里再核对三样",
        text="号牌在交警系统里是不是正常；是不是您本人的；车架、电机、电池是不是都在。",
    )
    return Answer(
        plate_no=bike.plate_no,
        eligible=True,
        title="这辆车可以换",
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
    filed = f"{bike.filed_on.year} 年 {bike.filed_on.month} 月 {bike.filed_on.day} 日备案"
    if rules is None:
        return [Check(kind="yes", title="在备案名单内", text=f"{filed}。")]
    years, cut_off = rules.filing_max_age_years, rules.filing_cut_off
    checks = []
    if bike.filed_on > cut_off:
        checks.append(Check(kind="no", title="备案太晚", text=f"{filed}，晚于活动规定的 {cut_off.isoformat()}。"))
    elif bike.filed_on < years_before(local(now).date(), years):
        checks.append(
            Check(kind="no", title=f"备案超过 {years} 年", text=f"{filed}，补贴只给备案不超过 {years} 年的旧车。")
        )
    else:
        checks.append(Check(kind="yes", title="在备案名单内", text=f"{filed}，没有超过 {years} 年。"))
    if bike.transferred_on is not None and bike.transferred_on > cut_off:
        moved = bike.transferred_on.isoformat()
        checks.append(Check(kind="no", title="过过户", text=f"{moved} 过户，晚于活动规定的 {cut_off.isoformat()}。"))
    return checks


def _not_used(session: Session, bike: FiledBike) -> Check:
    state = session.scalar(
        select(TradeIn.state).where(TradeIn.filed_bike_id == bike.id, TradeIn.state != "withdrawn").limit(1)
    )
    if state == "completed":
        return Check(kind="no", title="已经换过", text="这辆车已经办完淘汰置换，一辆旧车只能换一次。")
    if state is not None:
        return Check(kind="no", title="正在办", text="这辆车正在一家代办点办淘汰置换。")
    return Check(kind="yes", title="没有换过", text="这辆车没有办过淘汰置换。")


def _promise(live: LiveState | None) -> str:
    if live is None or live.ended:
        return "现在没有补贴活动，换新车没有补贴。"
    stage = live.current_stage
    if stage is not None and stage.places_left and not live.paused:
        return f"现在办完，补 {yuan(stage.amount_fen)} 元。名额还剩 {stage.places_left:,} 个。"
    following = next_stage(live)
    if following is None:
        return "现在名额已满，办完的按序号排队，有名额退出来才补。"
    return f"现在办完先取得序号，下一阶段开始后按序号补，每辆 {yuan(following.amount_fen)} 元。"
