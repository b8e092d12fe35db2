"""What is told about the money: on its way, arrived, looked into, to be paid back, appealed for."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from app.web.language import _, in_english
from app.web.owner_words import OTHER_PROBLEM, PROBLEM_WORDS
from app.web.trade_in_record import Record
from app.web.wording import full_day, moment, money
from subsidy.appeals import OPEN

Party = Literal["point", "owner", "police", "bank", "bureau", "queue", "nobody"]
Told = tuple[Party, str, tuple[str, ...]]


def repaying(record: Record) -> bool:
    """Whether a subsidy that was paid is demanded back and has not come yet."""
    return record.returned is not None and record.returned.state == "demanded"


def told_of_repaying(record: Record, repay_to: str | None, *, owner: bool) -> Told:
    """Tell how much goes back, by when and where to. ``repay_to``: payee and account, None where none is set."""
    case = record.returned
    assert case is not None, "somebody demanded it"
    assert case.due_on is not None, "a demand has its day"
    what = (
        _("请退回补贴 %(money)s", money=money(case.amount_fen))
        if owner
        else _("车主要退回补贴 %(money)s", money=money(case.amount_fen))
    )
    by = _("最晚 %(day)s，一次退清，不能只退一部分。", day=full_day(case.due_on))
    return "owner", what, (by, *ways_to_repay(number=case.reference, repay_to=repay_to))


def ways_to_repay(*, number: str, repay_to: str | None) -> tuple[str, ...]:
    """Say where a demanded subsidy is paid back to, under the number of the return."""
    if repay_to:
        return (
            _("转到：%(payee)s。", payee=repay_to),
            _("转账时写明编号 %(number)s。不会转账的，带这个编号到代办点问。", number=number),
        )
    return (_("带编号 %(number)s 到区市场监管局窗口或者代办点办理。", number=number),)


def told_of_no_subsidy(record: Record, *, owner: bool) -> tuple[str, tuple[str, ...]] | None:
    """Tell title and lines of the warning where it is certain that a trade-in under way brings no subsidy."""
    foreseen = record.foreseen
    if foreseen is None or not foreseen.certain:
        return None
    title, why = _("这辆车领不了补贴"), foreseen.en if in_english() else foreseen.zh
    if record.trade_in.received_at is not None:
        return title, (why, _("旧车已经收下，手续可以照常办完，没有补贴。"))
    if owner:
        gone = _("旧车交出去、旧号牌注销以后要不回来。不想换的，现在请代办点撤回，旧车和号牌都不动。")
        return title, (why, gone, _("还要换的，请告诉代办点您知道了，照常办，没有补贴。"))
    return title, (why, _("收车以前先告诉车主。车主不想换的，在这一页撤回，旧车和号牌都不动。"))


def appeal_lines(record: Record) -> tuple[str, ...]:
    """Invite to appeal where that is possible; tell how an appeal stands where one was made."""
    appeal = record.appeal
    if record.may_appeal:
        return (_("觉得不对，可以申诉。"),)
    if appeal is None:
        return ()
    if appeal.state in OPEN:
        day = full_day(appeal.due_on)
        return (_("申诉 %(number)s 收到了，等局里答复，最晚 %(day)s。", number=appeal.reference, day=day),)
    if appeal.state == "rejected":
        return (_("申诉 %(number)s 已经答复：原决定不变。", number=appeal.reference),)
    return (_("申诉 %(number)s 已经得到支持。", number=appeal.reference),)


def nothing_to_do(*, owner: bool) -> str:
    """Say that the owner can wait."""
    return _("您现在不用做什么。") if owner else _("车主现在不用做什么。")


def told_of_payout(record: Record, *, owner: bool) -> Told:
    """Tell where the money is that was awarded."""
    payout = record.payout
    if payout is None:
        return "bureau", _("补贴已定，准备发放"), (nothing_to_do(owner=owner),)
    amount = money(payout.amount_fen)
    if payout.state == "awaiting_wallet":
        return _wallet_wanted(record, amount, owner=owner)
    if payout.state == "owed":
        return "bank", _("正在发放"), (_("%(money)s马上交给银行。", money=amount), nothing_to_do(owner=owner))
    if payout.state == "in_flight":
        sent = record.attempts[-1].sent_at if record.attempts else payout.owed_since
        asked = _("%(money)s在 %(at)s 交给了银行，银行还没有回话。", money=amount, at=moment(sent))
        safe = (
            _("在银行答复以前，我们不会再付第二次，您的钱也不会少。到账后发短信告诉您。")
            if owner
            else _("在银行答复以前，我们不会再付第二次，车主的钱也不会少。到账后发短信告诉车主。")
        )
        return "bank", _("正在等银行答复"), (asked, nothing_to_do(owner=owner), safe)
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
