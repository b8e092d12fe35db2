"""The A3 poster (活动海报) of a point: the programme's stages as they stand, five steps, and where to ask first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.print.plaque import require_licence
from app.print.qr import qr_for_wall
from app.print.typesetting import typeset
from registry.base import Refusal
from registry.points import PublicPoint
from subsidy.live import LiveStage, LiveState

if TYPE_CHECKING:
    from app.web.place import Place

TEMPLATE = "poster.typ"
QR_MM = 66
MOST_STAGES = 4
STEPS = (
    ("带旧车去代办点", "带上身份证和手机。旧车要完整：车架、电机、电池、号牌都在。"),
    ("交旧车和旧号牌", "店里当面核对、拍照，给您一张回收证明。"),
    ("在同一家店买新车", "发票开您本人的名字。"),
    ("交警发新号牌", "新号牌发下来的那一刻，就替您排上队，当场看到序号和金额。"),
    ("收补贴", "确认收款钱包以后，钱打进您本人的数字人民币钱包。"),
)


class NothingToAnnounce(Refusal):
    """No stage of the programme is open or to come: a poster would promise money that nobody gets."""

    code = "nothing_to_announce"
    kind = "conflict"
    zh = "补贴活动没有正在进行或者将要开始的阶段，海报不用再印。"
    en = "No stage of the programme is open or to come; there is nothing to put on a poster."
    remedy_zh = "新的活动定下来以后再印。"
    remedy_en = "Print it once a new programme is settled."


def poster_pdf(*, point: PublicPoint, live: LiveState, place: Place, public_url: str) -> bytes:
    """Return the poster as PDF: A3 upright, 3 mm of bleed.

    Raises PlaqueNotDue, NothingToAnnounce, FontsMissing and PrinterBusy.
    """
    require_licence(point=point)
    return typeset(TEMPLATE, poster_data(point=point, live=live, place=place, public_url=public_url), now=live.as_of)[0]


def poster_data(*, point: PublicPoint, live: LiveState, place: Place, public_url: str) -> dict[str, Any]:
    """Return what the template prints: the stages still to be had, at most four; raises NothingToAnnounce."""
    # The pages' package imports the API, which imports this module: its wording can be had only once all are loaded.
    from app.web.wording import local

    stages = [] if live.ended else [stage for stage in live.stages if stage.phase in ("future", "open")][:MOST_STAGES]
    if not stages:
        raise NothingToAnnounce
    printed = local(live.as_of)
    return {
        "title": f"活动海报 {point.point_no}",
        "bureau": f"{place.bureau}　{live.name_zh}",
        "heading": ["旧电动车换新车", "政府补钱"],
        "subject": f"{place.district}号牌的备案旧车，换合规新车，补贴发给车主本人。",
        "stages": [_stage(stage, now=stage.number == live.current) for stage in stages],
        "rule": "按全部手续办完的时间排队，先办完先得。",
        "rule_more": "只报名、只交旧车，还不算排上。名额用完以后才办完的，排队等下一阶段，有名额再补。",
        "steps_heading": "怎么换，五步",
        "steps": [{"title": title, "words": words} for title, words in STEPS],
        "check_heading": "先查您的旧车能不能换",
        "check_words": ["微信扫一扫，填车尾的号牌号码。", "不用登录，当场知道结果。"],
        "qr": qr_for_wall(f"{public_url}/check", side_mm=QR_MM),
        "number_label": "代办点编号",
        "point_no": point.point_no,
        "name": point.name,
        "address": point.address,
        "contact": f"电话 {point.phone}　　{point.opening_hours}",
        "foot": f"{printed.year} 年 {printed.month} 月 {printed.day} 日制。名额以扫码看到的为准。咨询投诉拨 12345。",
    }


def _stage(stage: LiveStage, *, now: bool) -> dict[str, Any]:
    from app.web.language import in_chinese
    from app.web.wording import count, stage_name, window, yuan

    with in_chinese():
        return {
            "name": stage_name(stage.number),
            "now": now,
            "now_word": "正在进行",
            "amount": yuan(stage.amount_fen),
            "unit": "元",
            "window": window(stage.opens_at, stage.closes_at),
            "places": f"{count(stage.places)} 个名额",
        }
