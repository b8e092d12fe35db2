"""Who is waiting for whom, and the steps behind and ahead. Pure: from a record and its reader to words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from app.web.language import _, _l, in_english, ngettext, pgettext
from app.web.owner_words import OTHER_PROBLEM, PHOTO_WORDS, PROBLEM_WORDS
from app.web.trade_in_record import Record
from app.web.wording import count, moment, money, stage_name
from subsidy.eligibility import WORDING
from subsidy.faults import FAULTS, OWNER_NAME

Party = Literal["point", "owner", "police", "bank", "bureau", "queue", "nobody"]
Reader = Literal["owner", "point", "bureau"]
Told = tuple[Party, str, tuple[str, ...]]
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


def who_acts(record: Record, reader: Reader) -> Now:
    """Return who must act now, told to this reader."""
    party, title, lines = _told(record, reader)
    state = record.claim.state if record.claim else record.trade_in.state
    if state in ("withdrawn", *LOST):
        kind: Literal["you", "wait", "done", "stop"] = "stop"
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


def _told(record: Record, reader: Reader) -> Told:
    if record.trade_in.state == "completed":
        return _after_completion(record, owner=reader == "owner")
    told = _before_completion(record)
    if reader == "owner" and told[0] == "point":
        refused = (record.trade_in.refusal,) if record.trade_in.refusal else ()
        turn = _("轮到%(dealer)s办。", dealer=record.dealer.name)
        return "point", str(_OWNER_TITLES[record.trade_in.state]), (turn, *refused)
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
        return "point", _("申请注销旧号牌"), _refused_by_police(record)
    if state == "cancel_requested":
        return "police", _("正在等交警注销旧号牌"), (_("一般几分钟。有了结果这里会变，不用重新申请。"),)
    if state == "old_plate_cancelled":
        return "point", _("卖新车，开发票"), (_("发票开给 %(owner)s 本人。", owner=record.owner_masked),)
    if state == "new_bike_sold":
        return "point", _("申请新号牌"), _refused_by_police(record)
    if state == "plate_applied":
        return "police", _("正在等交警发新号牌"), (_("新号牌发下来的那一刻就排上队。不用重新申请。"),)
    return "nobody", _("已撤回"), (_("旧车没有收，号牌没有动，什么都不用办。"),)


def _to_receive(record: Record) -> Told:
    missing = record.photos_missing
    if not missing:
        return "point", _("收下旧车和旧号牌"), (_("照片齐了，填好回收证明就收车。"),)
    title = ngettext("给旧车拍照，还差 %(num)s 张", "给旧车拍照，还差 %(num)s 张", len(missing))
    kinds = [str(PHOTO_WORDS[kind]) for kind in missing]
    return "point", title, (_("%(what)s。", what=_("、").join(kinds)),)


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
        return "queue", _("已排上队，等名额"), (_in_line(record, owner=owner), _nothing_to_do(owner=owner))
    if claim.state == "held":
        kept = _("序号、名额和金额都给您留着。") if owner else _("序号、名额和金额都给车主留着。")
        told = _("有了结果发短信告诉您。") if owner else _("有了结果发短信告诉车主。")
        return "bureau", _("局里正在核对"), (kept, _nothing_to_do(owner=owner), told)
    if claim.state == "declined":
        known = WORDING.get(claim.reason or "")
        why = (known.en if in_english() else known.zh) if known else _("不符合活动规定。")
        return "nobody", _("这一笔没有补贴"), (why, _("觉得不对，可以申诉。"))
    if claim.state == "forfeited":
        return "nobody", _("过了领取期限，补贴没有发"), (_("名额已经给了后面的人。觉得不对，可以申诉。"),)
    if claim.state == "returned":
        return "nobody", _("补贴已经退回"), (_("新车已退，或者号牌已撤销。"),)
    return _payout(record, owner=owner)


def _in_line(record: Record, *, owner: bool) -> str:
    if record.ahead:
        ahead = count(record.ahead)
        return _("前面还有 %(n)s 人。有了名额按序号补，序号不会变。", n=ahead)
    if owner:
        return _("您排在最前面。有了名额按序号补，序号不会变。")
    return _("车主排在最前面。有了名额按序号补，序号不会变。")


def _nothing_to_do(*, owner: bool) -> str:
    return _("您现在不用做什么。") if owner else _("车主现在不用做什么。")


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


def _payout(record: Record, *, owner: bool) -> Told:
    payout = record.payout
    if payout is None:
        return "bureau", _("补贴已定，准备发放"), (_nothing_to_do(owner=owner),)
    amount = money(payout.amount_fen)
    if payout.state == "awaiting_wallet":
        return _wallet_wanted(record, amount, owner=owner)
    if payout.state == "owed":
        return "bank", _("正在发放"), (_("%(money)s马上交给银行。", money=amount), _nothing_to_do(owner=owner))
    if payout.state == "in_flight":
        sent = record.attempts[-1].sent_at if record.attempts else payout.owed_since
        asked = _("%(money)s在 %(at)s 交给了银行，银行还没有回话。", money=amount, at=moment(sent))
        safe = (
            _("在银行答复以前，我们不会再付第二次，您的钱也不会少。到账后发短信告诉您。")
            if owner
            else _("在银行答复以前，我们不会再付第二次，车主的钱也不会少。到账后发短信告诉车主。")
        )
        return "bank", _("正在等银行答复"), (asked, _nothing_to_do(owner=owner), safe)
    if payout.state == "settled":
        return "nobody", _("已到账"), (_settled(payout.settled_at, amount, owner=owner),)
    if payout.state == "frozen":
        safe = _("您的钱不会少。") if owner else _("车主的钱不会少。")
        return "bureau", _("正在由人核对"), (_("银行前后两次的答复不一样，局里正在核对。"), safe)
    return "nobody", _("发放已取消"), (_("这一笔不再发放。"),)


def _wallet_wanted(record: Record, amount: str, *, owner: bool) -> Told:
    payout = record.payout
    if payout is not None and payout.problem:
        problem = str(PROBLEM_WORDS.get(payout.problem, OTHER_PROBLEM))
        why = _("上一次没有发成：%(why)s。", why=problem)
        kept = (
            _("%(money)s还是您的，序号不变。请填一个您本人名下能收款的钱包。", money=amount)
            if owner
            else _("%(money)s还是车主的，序号不变。请填一个车主本人名下能收款的钱包。", money=amount)
        )
        return "owner", _("换一个收款钱包"), (why, kept)
    decided = (
        _("%(money)s已经给您定下来了。填好本人的数字人民币钱包，就替您发放。", money=amount)
        if owner
        else _("%(money)s已经给车主定下来了。填好本人的数字人民币钱包，就替车主发放。", money=amount)
    )
    return "owner", _("填收款钱包"), (decided,)


def _settled(at: datetime | None, amount: str, *, owner: bool) -> str:
    if at is None:
        return _("%(money)s到了您的钱包。", money=amount) if owner else _("%(money)s到了车主的钱包。", money=amount)
    when = moment(at)
    if owner:
        return _("%(money)s在 %(at)s 到了您的钱包。", money=amount, at=when)
    return _("%(money)s在 %(at)s 到了车主的钱包。", money=amount, at=when)


def steps_of(record: Record) -> tuple[Step, ...]:
    """Return the eight steps in order; the first that has not happened is the one that is due."""
    stages = [*_stages_to_the_queue(record)]
    if record.faults:
        stages.append(_Stage(_("更正录错的地方"), None, ""))
    if record.claim is None or record.claim.state not in LOST:
        stages += _stages_of_money(record)
    if record.trade_in.state == "withdrawn":
        return tuple(Step(title=each.title, state="done", at=each.at, text=each.text) for each in stages if each.at)
    return _with_states(stages)


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
    sent = attempt.sent_at if attempt and attempt.state != "rejected" else None
    tail = _("钱包尾号 %(tail)s", tail=wallet.tail) if wallet else ""
    waiting = payout is not None and payout.state == "in_flight"
    return [
        _Stage(pgettext("step", "确认收款钱包"), wallet.confirmed_at if wallet else None, tail),
        _Stage(_("发放补贴"), sent, _("交给银行") if sent else "", under_way=waiting),
        _Stage(_("到账"), payout.settled_at if payout else None, ""),
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
    if claim is None or claim.state == "declined":
        return ""
    if claim.state == "waiting":
        return _("名额满了，您按序号排着，序号不会变。")
    if claim.state == "held":
        return _("名额和金额给您留着，序号不会变。")
    if claim.state != "awarded" or claim.stage_no is None:
        return _("序号不会变。")
    return _("%(stage)s的名额归您，序号不会变。", stage=stage_name(claim.stage_no))
