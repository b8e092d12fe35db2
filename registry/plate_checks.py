"""What scanning a plate tells: whether its code is genuine and good today, and what it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.bikes import Bike
from registry.people import Person, mask_name, open_name
from registry.plate_codes import PlateCodeForged, PlateFacts, PlateKey, clean_code, verify_code
from registry.plates import Plate, PlateCode
from registry.sealing import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a scanned code is, in words for anybody. ``good`` says that the plate may be on the road."""

    code: str
    good: bool
    title_zh: str
    title_en: str
    remedy_zh: str
    remedy_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A verdict and what it is about; ``facts`` are None where no key of ours signed them, the rest where no register
    entry belongs to them.
    """

    verdict: Verdict
    facts: PlateFacts | None = None
    code: PlateCode | None = None
    plate: Plate | None = None
    bike: Bike | None = None


# code · on the road? · title and remedy, each in Chinese and English
_WORDS = (
    (
        "valid",
        True,
        "这块号牌有效",
        "This plate is valid",
        "请看车上的号牌和整车编码是不是和这里写的一样；不一样就是套牌，请拨打 12345 反映。",
        "Compare plate and vehicle code with the bike; report a difference by calling 12345.",
    ),
    (
        "expired",
        False,
        "这块号牌过期了",
        "This plate has expired",
        "车主请带身份证到发牌的代办点换发。",
        "The owner can have it replaced at the point where it was issued; bring the ID card.",
    ),
    (
        "stolen",
        False,
        "这块号牌已经报失",
        "This plate was reported stolen",
        "请不要买这辆车，记下在哪里看到的，拨打 110 报告。车已经找回的，车主登录后可以撤销报失。",
        "Do not buy this bike; note where you saw it, call 110. Found again: the owner signs in and says so.",
    ),
    (
        "replaced",
        False,
        "这块牌子已经换发，旧牌作废",
        "This plate was replaced; the old one is void",
        "请看车上装的是不是新牌。旧牌还挂在车上的，拨打 12345 反映；捡到旧牌请交给代办点。",
        "The new plate belongs on the bike. Report an old one in use by calling 12345.",
    ),
    (
        "cancelled",
        False,
        "这块号牌已经注销",
        "This plate was cancelled",
        "挂这块牌的车不能上路。车主请到代办点办理新牌。",
        "A bike with this plate may not be ridden; the owner can apply for a new one at a point.",
    ),
    (
        "unknown",
        False,
        "登记里没有这枚二维码",
        "The register does not hold this code",
        "二维码是真的签名，但登记里查不到。请记下牌子上的号码，拨打 12345 反映。",
        "The signature is genuine, the register has no such code: note the plate and call 12345.",
    ),
    (
        "forged",
        False,
        "假的：这枚二维码不是我们签发的",
        "Forged: this code was not issued by us",
        "请不要相信牌子上的内容，也不要按它的提示付款。记下号码，拨打 12345 反映。",
        "Do not trust what it says and pay nothing it asks for; note the number and call 12345.",
    ),
)
VERDICTS = {
    code: Verdict(code=code, good=good, title_zh=title_zh, title_en=title_en, remedy_zh=remedy_zh, remedy_en=remedy_en)
    for code, good, title_zh, title_en, remedy_zh, remedy_en in _WORDS
}


def check_code(*, session: Session, keys: Mapping[int, PlateKey], text: str, today: date) -> Checked:
    """Return what a scanned code or link is on ``today`` (Asia/Shanghai). Says nothing about the owner.

    Raises PlateCodeUnreadable where the text has not the form of a plate code.
    """
    try:
        facts = verify_code(text=text, keys=keys)
    except PlateCodeForged:
        return Checked(verdict=VERDICTS["forged"])
    row = session.execute(
        select(PlateCode, Plate, Bike)
        .join(Plate, Plate.id == PlateCode.plate_id)
        .join(Bike, Bike.id == Plate.bike_id)
        .where(PlateCode.payload == clean_code(text))
    ).one_or_none()
    if row is None:
        return Checked(verdict=VERDICTS["unknown"], facts=facts)
    code, plate, bike = row
    expired = code.state == "valid" and code.valid_until is not None and today > code.valid_until
    verdict = VERDICTS["expired" if expired else code.state]
    return Checked(verdict=verdict, facts=facts, code=code, plate=plate, bike=bike)


def see_owner(*, session: Session, keyring: Keyring, plate: Plate, actor: str) -> str:
    """Return the holder's masked name for somebody entitled to it, and record the look in the caller's transaction."""
    person = session.get_one(Person, plate.holder_id)
    audit.record(session=session, actor=actor, action="plate.owner_seen", subject=f"plate:{plate.plate_no}")
    return mask_name(open_name(person=person, keyring=keyring))
