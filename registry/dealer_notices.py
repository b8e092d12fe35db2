"""What a dealer is told of the bureau's decisions about it: the fact first, then who acts next. Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice in both languages; ``{name}`` and the like are filled in by ``dealer_notice``."""

    zh: str
    en: str


# The steps the bureau takes. What a dealer does itself (applying, signing, the test) it knows already.
NOTICES = {
    "accept": Notice(
        zh="{name}的销售商户申请审核通过了。请用受理编号作登录名，凭这个手机号码设登录密码，登录以后签承诺书。",
        en="The application of {name} was accepted. Set a password with the reference as login and this phone, sign in "
        "and sign the commitment.",
    ),
    "refuse": Notice(
        zh="{name}的销售商户申请没有通过：{reason}。改好以后可以重新申请。",
        en="The application of {name} was refused: {reason}. Put it right and apply again.",
    ),
    "enrol": Notice(
        zh="{name}的置换功能开通了，接着由局里授牌，您现在不用做什么。",
        en="The trade-in function of {name} was switched on. The bureau licenses it next; there is nothing to do.",
    ),
    "license": Notice(
        zh="{name}授牌了，代办点编号 {point_no}，有效到 {until}。现在可以收旧车、卖新车；标牌和海报登录以后打印。",
        en="{name} is licensed as trade-in point {point_no} until {until}. It may take old bikes and sell new ones; "
        "print its plaque and poster after signing in.",
    ),
    "renew": Notice(zh="{name}的授牌续到 {until}。", en="The licence of {name} now runs until {until}."),
    "suspend": Notice(
        zh="{name}的置换业务暂停了：{reason}。已经收下旧车的可以继续办完，有疑问请联系区市场监管局。",
        en="{name} was suspended: {reason}. Trade-ins whose old bike was received may be finished; ask the bureau.",
    ),
    "restore": Notice(
        zh="{name}的置换业务恢复了，可以登记新的置换。",
        en="The suspension of {name} has ended; it may open trade-ins again.",
    ),
    "expire": Notice(
        zh="{name}的授牌已到期，不能登记新的置换；已经收下旧车的可以继续办完。续期请联系区市场监管局。",
        en="The licence of {name} has run out. It opens no new trade-ins; those begun may be finished. Ask the bureau "
        "to renew it.",
    ),
    "revoke": Notice(
        zh="{name}的授牌撤销了：{reason}。没有办完的置换由区市场监管局安排。",
        en="The licence of {name} was revoked: {reason}. The bureau arranges for the trade-ins that are open.",
    ),
}


def dealer_notice(
    *, step: str, name: str, reason: str | None = None, point_no: str | None = None, until: date | None = None
) -> Notice | None:
    """Return the words about a step, None for one the dealer took itself. ``until`` is the licence's last day."""
    words = NOTICES.get(step)
    if words is None:
        return None
    facts = {"name": name, "point_no": point_no or "", "reason": (reason or "").strip().rstrip("。.")}
    return Notice(
        zh=words.zh.format(until=_day_zh(until), **facts),
        en=words.en.format(until=until.isoformat() if until else "further notice", **facts),
    )


def _day_zh(day: date | None) -> str:
    return f"{day.year} 年 {day.month} 月 {day.day} 日" if day else "另行通知"
