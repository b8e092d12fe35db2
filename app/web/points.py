"""Where to go: the trade-in points for everybody, without a map and without a script, and one page for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from flask import render_template, request
from werkzeug.wrappers import Response

from app.access import public
from app.context import business_now
from app.db import db
from app.remembered import remembered
from app.web.blueprint import web
from app.web.front import tagged
from app.web.language import _l
from registry.points import PublicPoint, choose_points, get_public_point, list_public_points

# Up to so many are shown at once; a district with more begins with its sub-districts.
SHOWN_UNASKED = 24
WHY_NOT = {
    "suspended": (_l("授牌已暂停"), _l("恢复以前不接新的旧车。已经交了旧车的，店里照样替您办完。")),
    "expired": (_l("授牌已到期"), _l("续期以前不接新的旧车。已经交了旧车的，店里照样替您办完。")),
    "revoked": (_l("授牌已撤销"), _l("这家店不再是代办点。已经交了旧车的，请拨打 12345 问由哪家店接着办。")),
    "licensed": (_l("现在不接置换"), _l("置换功能没有开通。")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the reader of the list asked for. ``all`` shows the whole district where nothing narrows it."""

    sub_district: str
    open_now: bool
    trade_in_on: bool
    words: str
    all: bool

    @property
    def anything(self) -> bool:
        """Whether the list was narrowed, or wanted whole."""
        return bool(self.sub_district or self.open_now or self.trade_in_on or self.words or self.all)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubDistrict:
    """One line of the index: how many points there are, how many of them are open now."""

    name: str
    points: int
    open_now: int


@web.get("/points")
@public
def points() -> Response:
    """The licensed points: by sub-district, open now, taking trade-ins, or by words."""
    asked = _asked()
    everybody = remembered("mapai.points", _read)
    found = choose_points(
        points=everybody,
        sub_district=asked.sub_district,
        open_now=asked.open_now,
        trade_in_on=asked.trade_in_on,
        words=asked.words,
    )
    body = render_template(
        "points.html",
        asked=asked,
        found=found if asked.anything or len(everybody) <= SHOWN_UNASKED else None,
        index=_index(everybody),
        total=len(everybody),
        open_total=sum(1 for point in everybody if point.open_now),
        as_of=everybody[0].as_of if everybody else business_now(),
    )
    return tagged(body)


@web.get("/points/<point_no>")
@public
def public_point(point_no: str) -> Response:
    """One point, as the QR on its plaque shows it: is it licensed, is it open, does it take trade-ins."""
    point = get_public_point(session=db.session(), point_no=point_no, now=business_now())
    return tagged(render_template("public_point.html", point=point, why_not=_why_not(point)))


def _read() -> tuple[PublicPoint, ...]:
    return list_public_points(session=db.session(), now=business_now())


def _asked() -> Asked:
    given = request.args
    return Asked(
        sub_district=given.get("sub_district", "").strip()[:32],
        open_now=given.get("open_now") == "yes",
        trade_in_on=given.get("trade_in_on") == "yes",
        words=given.get("q", "").strip()[:60],
        all=given.get("all") == "yes",
    )


def _index(everybody: tuple[PublicPoint, ...]) -> list[SubDistrict]:
    """The sub-districts, most points first."""
    number = Counter(point.sub_district for point in everybody)
    opened = Counter(point.sub_district for point in everybody if point.open_now)
    lines = [SubDistrict(name=name, points=number[name], open_now=opened[name]) for name in number]
    return sorted(lines, key=lambda line: (-line.points, line.name))


def _why_not(point: PublicPoint) -> tuple[str, str] | None:
    """Title and words where the point takes no trade-ins now, None where it does."""
    if point.trade_in_on:
        return None
    ran_out = point.state == "licensed" and not point.licensed
    title, words = WHY_NOT["expired" if ran_out else point.state]
    return str(title), str(words)
