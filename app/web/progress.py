"""Who is waiting for whom, and the steps behind and ahead. Pure: from a record and its reader to words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.web.trade_in_record import PHOTO_WORDS, Record
from app.web.wording import count, moment, stage_name, yuan
from subsidy.eligibility import WORDING
from subsidy.faults import FAULTS, OWNER_NAME
from subsidy.payouts import problem_words

Party = Literal["point", "owner", "police", "bank", "bureau", "queue", "nobody"]
Reader = Literal["owner", "point", "bureau"]
PARTY_WORDS = {
    "point": "代办点",
    "owner": "车主",
    "police": "交警",
    "bank": "银行",
    "bureau": "局里",
    "queue": "名额",
}


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


def who_acts(record: Record, reader: Reader) -> Now:
    """Return who must act now, told to this reader."""
    party, title, lines = _told(record, reader)
    state = record.claim.state if record.claim else record.trade_in.state
    if state in ("declined", "withdrawn", "forfeited", "returned"):
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
        return "等我" if reader == "point" else "等您"
    return f"等{PARTY_WORDS[party]}"


def _told(record: Record, reader: Reader) -> tuple[Party, str, tuple[str, ...]]:
    if record.trade_in.state == "completed":
        party, title, lines = _after_completion(record)
        if reader == "owner":
            return party, title, lines
        return party, title.replace("您", "车主"), tuple(line.replace("您", "车主") for line in lines)
    told = _before_completion(record)
    if reader == "owner" and told[0] == "point":
        refused = (record.trade_in.refusal,) if record.trade_in.refusal else ()
        return "point", _OWNER_TITLES[record.trade_in.state], (f"轮到{record.dealer.name}办。", *refused)
    return told


_OWNER_TITLES = {
    "opened": "正在核对本人和旧车",
    "old_bike_verified": "核对通过，交旧车和旧号牌",
    "old_bike_received": "旧车已收下，接着注销旧号牌",
    "old_plate_cancelled": "旧号牌已注销，可以买新车了",
    "new_bike_sold": "新车已买好，接着申请新号牌",
}


def _before_completion(record: Record) -> tuple[Party, str, tuple[str, ...]]:
    state = record.trade_in.state
    if state == "opened":
        if record.trade_in.refusal:
            return "point", "交警核对没有通过", (record.trade_in.refusal, "核对通过以前不要收旧车。")
        return "point", "再核对一次旧号牌", ("上一次没有连上交警系统，登记已经保存。",)
    if state == "old_bike_verified":
        missing = record.photos_missing
        if missing:
            return (
                "point",
                f"给旧车拍照，还差 {len(missing)} 张",
                ("、".join(PHOTO_WORDS[kind] for kind in missing) + "。",),
            )
        return "point", "收下旧车和旧号牌", ("照片齐了，填好回收证明就收车。",)
    if state == "old_bike_received":
        return "point", "申请注销旧号牌", _refused_by_police(record)
    if state == "cancel_requested":
        return "police", "正在等交警注销旧号牌", ("一般几分钟。有了结果这里会变，不用重新申请。",)
    if state == "old_plate_cancelled":
        return "point", "卖新车，开发票", (f"发票开给 {record.owner_masked} 本人。",)
    if state == "new_bike_sold":
        return "point", "申请新号牌", _refused_by_police(record)
    if state == "plate_applied":
        return "police", "正在等交警发新号牌", ("新号牌发下来的那一刻就排上队。不用重新申请。",)
    return "nobody", "已撤回", ("旧车没有收，号牌没有动，什么都不用办。",)


def _refused_by_police(record: Record) -> tuple[str, ...]:
    if record.trade_in.refusal:
        return (f"上一次交警没有同意：{record.trade_in.refusal}", "核对以后可以再申请一次。")
    return ("点一下就向交警申请。",)


def _after_completion(record: Record) -> tuple[Party, str, tuple[str, ...]]:
    claim = record.claim
    if claim is None:
        return "nobody", "手续全部办完", ("办完的时候没有补贴活动，所以没有补贴。",)
    if claim.state == "waiting":
        ahead = f"前面还有 {count(record.ahead)} 人。" if record.ahead else "您排在最前面。"
        if record.faults:
            return _to_correct(record)
        return "queue", "已排上队，等名额", (f"{ahead}有了名额按序号补，序号不会变。", "您现在不用做什么。")
    if claim.state == "held":
        if record.faults:
            return _to_correct(record)
        return "bureau", "局里正在核对", ("序号、名额和金额都给您留着。", "您现在不用做什么，有了结果发短信告诉您。")
    if claim.state == "declined":
        known = WORDING.get(claim.reason or "")
        return "nobody", "这一笔没有补贴", (known.zh if known else "不符合活动规定。", "觉得不对，可以申诉。")
    if claim.state in ("returned", "forfeited"):
        return "nobody", "补贴已经退回", ("新车已退，或者过了领取期限。",)
    return _payout(record)


def _to_correct(record: Record) -> tuple[Party, str, tuple[str, ...]]:
    words = [FAULTS[fault.code] for fault in record.faults]
    title = "有一处要更正，序号给您留着" if len(words) == 1 else f"有 {len(words)} 处要更正，序号给您留着"
    if record.correct_by is not None:
        term = f"请在 {moment(record.correct_by)} 以前更正好。到期没有更正，名额就给后面的人。"
    else:
        term = "排队的时候就可以更正，轮到您时不耽误。"
    # Only what stands on the owner's own card is the owner's to copy; the rest is on the bike, at the point.
    party: Party = "owner" if all(fault.code == OWNER_NAME for fault in record.faults) else "point"
    return party, title, (*(f"{word.zh}。" for word in words), term)


def _payout(record: Record) -> tuple[Party, str, tuple[str, ...]]:
    payout = record.payout
    if payout is None:
        return "bureau", "补贴已定，准备发放", ("您现在不用做什么。",)
    money = f"{yuan(payout.amount_fen)} 元"
    if payout.state == "awaiting_wallet":
        if payout.problem:
            why = f"上一次没有发成：{problem_words(payout.problem)}。"
            return "owner", "换一个收款钱包", (why, f"{money}还是您的，序号不变。请填一个您本人名下能收款的钱包。")
        return "owner", "填收款钱包", (f"{money}已经给您定下来了。填好本人的数字人民币钱包，就替您发放。",)
    if payout.state == "owed":
        return "bank", "正在发放", (f"{money}马上交给银行。您现在不用做什么。",)
    if payout.state == "in_flight":
        sent = record.attempts[-1].sent_at if record.attempts else payout.owed_since
        return (
            "bank",
            "正在等银行答复",
            (
                f"{money}在 {moment(sent)} 交给了银行，银行还没有回话。您现在不用做什么。",
                "在银行答复以前，我们不会再付第二次，您的钱也不会少。到账后发短信告诉您。",
            ),
        )
    if payout.state == "settled":
        when = f"在 {moment(payout.settled_at)} " if payout.settled_at else ""
        return "nobody", "已到账", (f"{money}{when}到了您的钱包。",)
    if payout.state == "frozen":
        return "bureau", "正在由人核对", ("银行前后两次的答复不一样，局里正在核对。您的钱不会少。",)
    return "nobody", "发放已取消", ("这一笔不再发放。",)


def steps_of(record: Record) -> tuple[Step, ...]:
    """Return the eight steps in order; the first that has not happened is the one that is due."""
    trade_in, claim, payout = record.trade_in, record.claim, record.payout
    declined = claim is not None and claim.state in ("declined", "returned", "forfeited")
    certificate = f"回收证明 {trade_in.recycling_certificate_no}" if trade_in.recycling_certificate_no else ""
    done: list[tuple[str, datetime | None, str]] = [
        ("核对本人和旧车", trade_in.verified_at, record.dealer.name),
        ("交旧车和旧号牌", trade_in.received_at, certificate),
        ("注销旧号牌", trade_in.old_plate_cancelled_at, "交警"),
        ("买新车", trade_in.sold_at, f"发票开给 {record.owner_masked}" if trade_in.sold_at else ""),
        (
            "发新号牌，排上队",
            claim.effective_at if claim else None,
            f"交警　序号 {count(claim.position)}" if claim else "",
        ),
    ]
    if record.faults:
        done.append(("更正录错的地方", None, ""))
    if not declined:
        wallet, attempt = record.wallet, record.attempts[-1] if record.attempts else None
        sent = attempt.sent_at if attempt and attempt.state != "rejected" else None
        done += [
            ("确认收款钱包", wallet.confirmed_at if wallet else None, f"钱包尾号 {wallet.tail}" if wallet else ""),
            ("发放补贴", sent, "交给银行" if sent else ""),
            ("到账", payout.settled_at if payout else None, ""),
        ]
    if trade_in.state == "withdrawn":
        return tuple(Step(title=title, state="done", at=at, text=text) for title, at, text in done if at)
    return _with_states(done, waiting=payout is not None and payout.state == "in_flight")


def _with_states(done: list[tuple[str, datetime | None, str]], *, waiting: bool) -> tuple[Step, ...]:
    steps: list[Step] = []
    due_found = False
    for title, at, text in done:
        # Money handed to the bank is not yet paid: that step stays the present one until the bank answers.
        if at is not None and not (waiting and title == "发放补贴"):
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
        return "手续全部办完"
    if claim.state == "awarded" and record.payout is not None and record.payout.state == "settled":
        return "手续全部办完，补贴已到账"
    if claim.state in ("declined", "returned", "forfeited"):
        return "手续全部办完，没有补贴"
    return "手续全部办完，已排上队"


def place_note(record: Record) -> str:
    """Return the sentence about the place under position and amount."""
    claim = record.claim
    if claim is None or claim.state == "declined":
        return ""
    if claim.state == "waiting":
        return "名额满了，您按序号排着，序号不会变。"
    if claim.stage_no is None:
        return "序号不会变。"
    return f"{stage_name(claim.stage_no)}的名额归您，序号不会变。"
