"""The forms an owner fills in about a trade-in: where the money goes, what was mistyped, an objection."""

from __future__ import annotations

from functools import partial

from app.auth import caller
from app.context import business_now, keyring, partners, reach_of, settings
from app.db import db
from app.web.correcting import LABELS, correct, wrong_fields
from app.web.forms import Form
from app.web.language import _, _l, in_english, ngettext, pgettext
from app.web.owner_questions import MAKERS, OwnerForm, Question
from app.web.owner_record import may_choose_wallet
from app.web.trade_in_record import Record
from app.web.wording import full_day, money
from registry.base import Refusal
from registry.owner_drafts import Draft, draft_images
from registry.people import clean_id_number
from subsidy.appeals import MOST_PHOTOS, Appeal, add_appeal_photo, file_appeal
from subsidy.decision_record import decision_record
from subsidy.wallets import clean_wallet_id, confirm_wallet

ASKS = {
    "vehicle_code": _l("整车编码应该是什么？"),
    "certificate_no": _l("合格证编号应该是什么？"),
    "battery_code": _l("电池编码应该是什么？"),
    "owner_name": _l("身份证上的姓名怎么写？"),
}


def wallet_form(record: Record) -> OwnerForm | None:
    """Return the form that names the wallet; None where the money is on its way, has arrived or is not paid."""
    if not may_choose_wallet(record):
        return None
    stands = (_("现在的钱包尾号 %(tail)s。填了新的，钱就发到新的。", tail=record.wallet.tail),) if record.wallet else ()
    facts = [(_("车主"), record.owner_masked)]
    if record.payout is not None:
        facts.append((_("补贴"), money(record.payout.amount_fen)))
    return OwnerForm(
        kind="wallet",
        title=_("收款钱包"),
        questions=(
            Question(
                name="wallet_id",
                label=_("您的数字人民币钱包编号是多少？"),
                short=_("钱包编号"),
                hint=_("要是您本人名下的钱包。4 到 68 位，字母和数字都要填全，可以复制过来。"),
                longest=68,
                before=stands,
                refuse=_refuse_wallet,
            ),
        ),
        consequences=(
            _("我们先向银行核对，是您本人的、能收款，才会记下来。"),
            _("钱包什么时候填，都不影响您的序号和补贴。"),
        ),
        button=_("核对并用这个钱包"),
        send=partial(_send_wallet, record),
        facts=tuple(facts),
        counter=_("没有智能手机，或者没有数字人民币 App？"),
    )


def correction_form(record: Record) -> OwnerForm | None:
    """Return the form that puts right what was mistyped; None where nothing is the owner's to type."""
    fields = wrong_fields(record, reader="owner")
    if not fields:
        return None
    questions = tuple(
        Question(
            name=each.name,
            label=str(ASKS[each.name]),
            short=each.label,
            hint=each.hint,
            longest=each.longest,
            before=(each.wrong, *((_("原来填的是 %(typed)s。", typed=each.typed),) if each.typed else ())),
            stands=each.typed or "",
        )
        for each in fields
    )
    return OwnerForm(
        kind="correction",
        title=_("更正"),
        questions=questions,
        consequences=(_("更正只改录错的一位，或颠倒的两位。要换成另一辆车、另一个人，不能在这里办。"),),
        button=_("更正，照原来的序号算"),
        send=partial(_send_correction, record),
        counter=_("手边没有车？"),
    )


def appeal_form(record: Record) -> OwnerForm | None:
    """Return the form that objects to a decline; None where no decision can be appealed against."""
    if record.claim is None:
        return None
    told = decision_record(session=db.session(), reference=record.trade_in.reference, reach=reach_of(caller()))
    if not told.may_be_appealed:
        return None
    days = settings().appeal_working_days
    return OwnerForm(
        kind="appeal",
        title=pgettext("one", "申诉"),
        questions=(
            Question(
                name="body",
                label=_("哪里不对？"),
                short=_("哪里不对"),
                hint=_("写清楚事情经过，最多 1,000 个字。不用写证件号码，我们有。"),
                shape="text",
                longest=1000,
            ),
            Question(
                name="photos",
                label=_("有照片要交吗？"),
                short=_("照片"),
                hint=_("凭证、车、号牌的照片，最多 %(most)s 张，每张不超过 3 MB。没有可以不交。", most=MOST_PHOTOS),
                shape="pictures",
            ),
        ),
        consequences=(
            _("一个决定只能申诉一次。"),
            ngettext(
                "%(num)s 个工作日内答复，发短信告诉您。支持您的，照您原来的序号补发。",
                "%(num)s 个工作日内答复，发短信告诉您。支持您的，照您原来的序号补发。",
                days,
            ),
        ),
        button=_("提出申诉"),
        send=partial(_send_appeal, record),
        facts=_objected(told.reason_words),
        most_photos=MOST_PHOTOS,
        counter=_("不方便自己写？"),
    )


def _objected(reason: tuple[str, str] | None) -> tuple[tuple[str, str], ...]:
    why = reason[1 if in_english() else 0] if reason else _("不予补贴")
    return ((_("原来的决定"), why),)


def _refuse_wallet(form: Form) -> None:
    """Say at once what cannot be a wallet's number: the bank is asked on the last page."""
    typed = form.value("wallet_id")
    try:
        clean_id_number(typed)
    except Refusal:
        pass
    else:
        form.blame(
            "wallet_id", _("这是证件号码，不是钱包编号。"), _("请在数字人民币 App 里点开钱包，复制「钱包编号」。")
        )
        return
    try:
        clean_wallet_id(typed)
    except Refusal as refusal:
        form.refuse(refusal)


def _send_wallet(record: Record, draft: Draft) -> str:
    wallet = confirm_wallet(
        session=db.session(),
        keyring=keyring(),
        operator=partners().operator,
        trade_in=record.trade_in,
        wallet_id=draft.answers["wallet_id"],
        actor=caller().actor,
        now=business_now(),
    )
    return _("银行核对过了，补贴会发到尾号 %(tail)s 的钱包。", tail=wallet.tail)


def _send_correction(record: Record, draft: Draft) -> str:
    wrong = {each.name for each in wrong_fields(record, reader="owner")}
    names = tuple(name for name in LABELS if name in wrong)
    return correct(record, Form(fields=names, values=dict(draft.answers)))


def _send_appeal(record: Record, draft: Draft) -> str:
    account = caller()
    appeal = file_appeal(
        session=db.session(),
        reference=record.trade_in.reference,
        reach=reach_of(account),
        body=draft.answers["body"],
        working_days=settings().appeal_working_days,
        actor=account.actor,
        now=business_now(),
    )
    add_pictures(appeal, draft_images(session=db.session(), draft=draft))
    return _("申诉收到了，编号 %(number)s，%(day)s 前答复您。", number=appeal.reference, day=full_day(appeal.due_on))


def add_pictures(appeal: Appeal, images: list[bytes]) -> None:
    """Keep pictures with the caller's appeal; raises as ``add_appeal_photo``."""
    account = caller()
    for image in images:
        add_appeal_photo(
            session=db.session(),
            reference=appeal.reference,
            reach=reach_of(account),
            image=image,
            actor=account.actor,
            now=business_now(),
        )


MAKERS.update(wallet=wallet_form, correction=correction_form, appeal=appeal_form)
