"""Who is waiting for whom, and the steps behind and ahead. Pure: from a record and its reader to words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from app.web.language import _, _l, in_english, ngettext, pgettext
from app.web.owner_words import PHOTO_WORDS
from app.web.progress_money import Party, Told, appeal_lines, nothing_to_do, repaying, told_of_payout, told_of_repaying
from app.web.trade_in_record import Record
from app.web.wording import count, moment, stage_name
from subsidy.eligibility import WORDING
from subsidy.faults import FAULTS, OWNER_NAME

Reader = Literal["owner", "point", "bureau"]
PARTY_WORDS = {
    "point": _l("代办点"),
    "owner": _l("车主"),
    "police": _l("交警"),
    "bank": _l("银行"),
    "bureau": _l("局里"),
    "queue": _l("名额"),
}
# The same behind «等», as one phrase: the order of the words differs between the languages.
WAITING_WORDS = {
    "point": _l("等代办点"),
    "owner": _l("等车主"),
    "police": _l("等交警"),
    "bank": _l("等银行"),
    "bureau": _l("等局里"),
    "queue": _l("等名额"),
}
LOST = ("declined", "returned", "forfeited")


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """Who must act now. ``kind`` is the notice's colour for this reader: you, wait, done or stop."""

    party: Party
    kind: Literal["you", "wait", "done", "stop"]
    title: str
    lines: tuple[str, ...]
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the way. ``state``: done, now or next; ``at`` where it has happened."""

    title: str
    state: Literal["done", "now", "next"]
    at: datetime | None = None
    text: str = ""


class _Stage(NamedTuple):
    title: str
    at: datetime | None
    text: str
    # Money handed to the bank is not yet paid: the step stays the present one until the bank answers.
    under_way: bool = False


def who_acts(record: Record, reader: Reader, *, repay_to: str | None = None) -> Now:
    """Return who must act now, told to this reader. ``repay_to``: payee and account for a subsidy demanded back."""
    party, title, lines = _told(record, reader, repay_to)
    state = record.claim.state if record.claim else record.trade_in.state
    if repaying(record):
        kind: Literal["you", "wait", "done", "stop"] = "you" if reader == "owner" else "wait"
    elif state in ("withdrawn", *LOST):
        kind = "stop"
    elif party == "nobody":
        kind = "done"
    else:
        kind = "you" if party == reader else "wait"
    return Now(party=party, kind=kind, title=title, lines=lines, tag=_tag(party, kind, reader, title))


def _tag(party: Party, kind: str, reader: Reader, title: str) -> str:
    if party == "nobody":
        return title
    if kind == "you":
        return _("等我") if reader == "point" else _("等您")
    return str(WAITING_WORDS[party])


def _told(record: Record, reader: Reader, repay_to: str | None) -> Told:
    if repaying(record):
        return told_of_repaying(record, repay_to, owner=reader == "owner")
    if record.trade_in.state == "completed":
        return _after_completion(record, owner=reader == "owner")
    told = _before_completion(record)
    if reader == "owner" and told[0] == "point":
        refused = (record.trade_in.refusal,) if record.trade_in.refusal else ()
        turn = _("轮到%(dealer)s办。", dealer=record.dealer.name)
        return "point", str(_OWNER_TITLES[record.trade_in.state]), (turn, *refused, *_not_settled(record))
    return told


_OWNER_TITLES = {
    "opened": _l("正在核对本人和旧车"),
    "old_bike_verified": _l("核对通过，交旧车和旧号牌"),
    "old_bike_received": _l("旧车已收下，接着注销旧号牌"),
    "old_plate_cancelled": _l("旧号牌已注销，可以买新车了"),
    "new_bike_sold": _l("新车已买好，接着申请新号牌"),
}


def _before_completion(record: Record) -> Told:
    state = record.trade_in.state
    if state == "opened":
        if record.trade_in.refusal:
            return "point", _("交警核对没有通过"), (record.trade_in.refusal, _("核对通过以前不要收旧车。"))
        return "point", _("再核对一次旧号牌"), (_("上一次没有连上交警系统，登记已经保存。"),)
    if state == "old_bike_verified":
        return _to_receive(record)
    if state == "old_bike_received":
        return "point", pgettext("to do", "申请注销旧号牌"), _refused_by_police(record)
    if state == "cancel_requested":
        return "police", _("正在等交警注销旧号牌"), (_("一般几分钟。有了结果这里会变，不用重新申请。"),)
    if state == "old_plate_cancelled":
        return "point", _("卖新车，开发票"), (_("发票开给 %(owner)s 本人。", owner=record.owner_masked),)
    if state == "new_bike_sold":
        return "point", pgettext("to do", "申请新号牌"), _refused_by_police(record)
    if state == "plate_applied":
        return "police", _("正在等交警发新号牌"), (_("新号牌发下来的那一刻就排上队。不用重新申请。"),)
    return "nobody", _("已撤回"), (_("旧车没有收，号牌没有动，什么都不用办。"),)


def _to_receive(record: Record) -> Told:
    missing = record.photos_missing
    if not missing:
        return "point", _("收下旧车和旧号牌"), (_("照片齐了，填好回收证明就收车。"), *_not_settled(record))
    title = ngettext("给旧车拍照，还差 %(num)s 张", "给旧车拍照，还差 %(num)s 张", len(missing))
    kinds = [str(PHOTO_WORDS[kind]) for kind in missing]
    return "point", title, (_("%(what)s。", what=_("、").join(kinds)), *_not_settled(record))


def _not_settled(record: Record) -> tuple[str, ...]:
    """What may still change about the subsidy, said while the old bike can be kept."""
    foreseen = record.foreseen
    if foreseen is None or foreseen.certain or record.trade_in.received_at is not None:
        return ()
    return (foreseen.en if in_english() else foreseen.zh,)


def _refused_by_police(record: Record) -> tuple[str, ...]:
    if record.trade_in.refusal:
        why = _("上一次交警没有同意：%(why)s", why=record.trade_in.refusal)
        return why, _("核对以后可以再申请一次。")
    return (_("点一下就向交警申请。"),)


def _after_completion(record: Record, *, owner: bool) -> Told:
    claim = record.claim
    if claim is None:
        return "nobody", _("手续全部办完"), (_("办完的时候没有补贴活动，所以没有补贴。"),)
    if record.faults and claim.state in ("waiting", "held"):
        return _to_correct(record, owner=owner)
    if claim.state == "waiting":
        return "queue", _("已排上队，等名额"), (_in_line(record, owner=owner), nothing_to_do(owner=owner))
    if claim.state == "held":
        kept = _("序号、名额和金额都给您留着。") if owner else _("序号、名额和金额都给车主留着。")
        told = _("有了结果发短信告诉您。") if owner else _("有了结果发短信告诉车主。")
        return "bureau", _("局里正在核对"), (kept, nothing_to_do(owner=owner), told)
    if claim.state == "declined":
        known = WORDING.get(claim.reason or "")
        why = (known.en if in_english() else known.zh) if known else _("不符合活动规定。")
        return "nobody", _("这一笔没有补贴"), (why, *appeal_lines(record))
    if claim.state == "forfeited":
        return "nobody", _("过了领取期限，补贴没有发"), (_("名额已经给了后面的人。"), *appeal_lines(record))
    if claim.state == "returned":
        return "nobody", _("补贴已经退回"), (_("新车已退，或者号牌已撤销。"),)
    return told_of_payout(record, owner=owner)


def _in_line(record: Record, *, owner: bool) -> str:
    if record.ahead:
        ahead = count(record.ahead)
        return _("前面还有 %(n)s 人。有了名额按序号补，序号不会变。", n=ahead)
    if owner:
        return _("您排在最前面。有了名额按序号补，序号不会变。")
    return _("车主排在最前面。有了名额按序号补，序号不会变。")


def _to_correct(record: Record, *, owner: bool) -> Told:
    words = [FAULTS[fault.code] for fault in record.faults]
    many = len(words)
    title = (
        ngettext("有一处要更正，序号给您留着", "有 %(num)s 处要更正，序号给您留着", many)
        if owner
        else ngettext("有一处要更正，序号给车主留着", "有 %(num)s 处要更正，序号给车主留着", many)
    )
    if record.correct_by is not None:
        term = _("请在 %(at)s 以前更正好。到期没有更正，名额就给后面的人。", at=moment(record.correct_by))
    elif owner:
        term = _("排队的时候就可以更正，轮到您时不耽误。")
    else:
        term = _("排队的时候就可以更正，轮到车主时不耽误。")
    # Only what stands on the owner's own card is the owner's to copy; the rest is on the bike, at the point.
    party: Party = "owner" if all(fault.code == OWNER_NAME for fault in record.faults) else "point"
    wrong = (_("%(what)s。", what=word.en if in_english() else word.zh) for word in words)
    return party, title, (*wrong, term)


def steps_of(record: Record) -> tuple[Step, ...]:
    """Return the eight steps in order; the first that has not happened is the one that is due."""
    stages = [*_stages_to_the_queue(record)]
    if record.faults:
        stages.append(_Stage(_("更正录错的地方"), None, ""))
    if not _without_money(record):
        stages += _stages_of_money(record)
    if repaying(record):
        stages.append(_Stage(_("退回补贴"), None, ""))
    if record.trade_in.state == "withdrawn":
        opened = _Stage(_("登记"), record.trade_in.opened_at, record.dealer.name)
        happened = [each for each in (opened, *stages) if each.at]
        steps = [Step(title=each.title, state="done", at=each.at, text=each.text) for each in happened]
        return (*steps, Step(title=_("已撤回"), state="done"))
    return _with_states(stages)


def _without_money(record: Record) -> bool:
    """Whether no money is ahead: the claim is lost, or it is certain that there will be none."""
    if record.claim is not None:
        return record.claim.state in LOST
    return record.trade_in.state == "completed" or (record.foreseen is not None and record.foreseen.certain)


def _stages_to_the_queue(record: Record) -> list[_Stage]:
    trade_in, claim = record.trade_in, record.claim
    number = trade_in.recycling_certificate_no
    certificate = _("回收证明 %(number)s", number=number) if number else ""
    invoice = _("发票开给 %(owner)s", owner=record.owner_masked) if trade_in.sold_at else ""
    place = _("交警　序号 %(position)s", position=count(claim.position)) if claim else ""
    return [
        _Stage(_("核对本人和旧车"), trade_in.verified_at, record.dealer.name),
        _Stage(_("交旧车和旧号牌"), trade_in.received_at, certificate),
        _Stage(pgettext("step", "注销旧号牌"), trade_in.old_plate_cancelled_at, _("交警")),
        _Stage(_("买新车"), trade_in.sold_at, invoice),
        _Stage(_("发新号牌，排上队"), claim.effective_at if claim else None, place),
    ]


def _stages_of_money(record: Record) -> list[_Stage]:
    wallet, payout = record.wallet, record.payout
    attempt = record.attempts[-1] if record.attempts else None
    frozen = payout is not None and payout.state == "frozen"
    # The bank has contradicted itself: that it was handed the money is all that stands until a person has looked.
    sent = attempt.sent_at if attempt and (frozen or attempt.state != "rejected") else None
    tail = _("钱包尾号 %(tail)s", tail=wallet.tail) if wallet else ""
    waiting = payout is not None and payout.state in ("in_flight", "frozen")
    text = _("正在由人核对") if frozen else _("交给银行") if sent else ""
    return [
        _Stage(pgettext("step", "确认收款钱包"), wallet.confirmed_at if wallet else None, tail),
        _Stage(_("发放补贴"), sent, text, under_way=waiting),
        _Stage(_("到账"), payout.settled_at if payout and not frozen else None, ""),
    ]


def _with_states(stages: list[_Stage]) -> tuple[Step, ...]:
    steps: list[Step] = []
    due_found = False
    for title, at, text, under_way in stages:
        if at is not None and not under_way:
            steps.append(Step(title=title, state="done", at=at, text=text))
        elif not due_found:
            due_found = True
            steps.append(Step(title=title, state="now", at=at, text=text if at else ""))
        else:
            steps.append(Step(title=title, state="next"))
    return tuple(steps)


def headline(record: Record) -> str:
    """Return what stands on the plate card of an owner's own trade-in."""
    claim = record.claim
    if repaying(record):
        return _("这笔补贴要退回")
    if claim is None:
        return _("手续全部办完")
    if claim.state == "awarded" and record.payout is not None and record.payout.state == "settled":
        return _("手续全部办完，补贴已到账")
    if claim.state in LOST:
        return _("手续全部办完，没有补贴")
    return _("手续全部办完，已排上队")


def place_note(record: Record) -> str:
    """Return the sentence about the place under position and amount."""
    claim = record.claim
    if claim is None or claim.state == "declined" or repaying(record):
        return ""
    if claim.state == "waiting":
        return _("名额满了，您按序号排着，序号不会变。")
    if claim.state == "held":
        return _("名额和金额给您留着，序号不会变。")
    if claim.state != "awarded" or claim.stage_no is None:
        return _("序号不会变。")
    return _("%(stage)s的名额归您，序号不会变。", stage=stage_name(claim.stage_no))
