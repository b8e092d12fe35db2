"""The catalogue of models (车型): which certificate (CCC) covers a maker's model, and on which days."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, Identity, Integer, String, UniqueConstraint, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.codes import clean_paper_number
from registry.compliance import Limits, Measured, faults_on, known_editions, require_known_standard
from registry.inputs import Inputs

MAKER_CODE = re.compile(r"\d{4}", re.ASCII)
LONGEST_NAME = 64


class BikeModel(Base):
    """One certificate for one model of one maker (the first four digits of its vehicle codes).

    Valid from ``valid_from`` to ``valid_until``, both included, days in Asia/Shanghai, and only before
    ``withdrawn_on``. Mass in g, speed in m/h, power in W, nominal voltage in mV, as the certificate measured them.
    """

    __tablename__ = "bike_model"
    __table_args__ = (
        UniqueConstraint("maker_code", "name", "ccc_no"),
        CheckConstraint("valid_from <= valid_until", name="days_in_order"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    maker_code: Mapped[str] = mapped_column(String(4))
    name: Mapped[str] = mapped_column(String(64))
    ccc_no: Mapped[str] = mapped_column(String(40))
    standard: Mapped[str] = mapped_column(String(16))
    valid_from: Mapped[date] = mapped_column(Date)
    valid_until: Mapped[date] = mapped_column(Date)
    withdrawn_on: Mapped[date | None] = mapped_column(Date)
    battery_kind: Mapped[str] = mapped_column(String(12))
    weight_g: Mapped[int] = mapped_column(Integer)
    top_speed_m_h: Mapped[int] = mapped_column(Integer)
    motor_w: Mapped[int] = mapped_column(Integer)
    voltage_mv: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a certificate says of a model, as typed; units and days as in BikeModel."""

    maker_code: str
    name: str
    ccc_no: str
    standard: str
    valid_from: date
    valid_until: date
    battery_kind: str
    weight_g: int
    top_speed_m_h: int
    motor_w: int
    voltage_mv: int


class MakerCodeInvalid(Refusal):
    """A maker is known by four digits."""

    code = "maker_code_invalid"
    zh = "企业代码不对。"
    en = "The maker code is not valid."
    remedy_zh = "企业代码是整车编码的前 4 位数字。"
    remedy_en = "The maker code is the first four digits of the vehicle code."
    default_field = "maker_code"


class ModelNameInvalid(Refusal):
    """A model's name has 1 to 64 characters."""

    code = "model_name_invalid"
    zh = "型号不对。"
    en = "The model's name is not valid."
    remedy_zh = "请照 CCC 证书填写型号，最多 64 个字。"
    remedy_en = "Copy the model from the CCC certificate, 64 characters at most."
    default_field = "name"


class ModelDaysWrong(Refusal):
    """The certificate ends before it begins."""

    code = "model_days_wrong"
    zh = "证书的截止日早于起始日。"
    en = "The certificate ends before it begins."
    remedy_zh = "请对照 CCC 证书核对有效期。"
    remedy_en = "Compare both days with the CCC certificate."
    default_field = "valid_until"


class ModelNotCompliant(Refusal):
    """What the certificate measured is beyond the limits of its standard."""

    code = "model_not_compliant"
    zh = "这个车型不合标准：{why_zh}。"
    en = "This model exceeds its standard: {why_en}."
    remedy_zh = "请对照 CCC 证书核对实测值和单位；确实超标的，不能进目录。"
    remedy_en = "Compare values and units with the certificate; a model beyond the limits is not catalogued."
    default_field = "standard"


class ModelNotFound(Refusal):
    """The catalogue has no such entry."""

    code = "model_not_found"
    kind = "not_found"
    zh = "目录里没有这个车型。"
    en = "The catalogue has no such model."
    remedy_zh = "请刷新目录再找。"
    remedy_en = "Reload the catalogue."


class ModelWithdrawn(Refusal):
    """The entry was withdrawn before and does not change any more."""

    code = "model_withdrawn"
    kind = "conflict"
    zh = "这张证书已在 {withdrawn_on} 撤销，不能再改。"
    en = "This certificate was withdrawn on {withdrawn_on} and does not change any more."
    remedy_zh = "重新发证的，请按新的证书编号另加一条。"
    remedy_en = "Add the new certificate under its own number."


class ModelNotCertified(Refusal):
    """No certificate covers this model of this maker on that day."""

    code = "model_not_certified"
    zh = "车型目录里没有 {maker_code} 的「{model}」在 {day}（{when_zh}）有效的 CCC 证书（{standard}）。"
    en = "No CCC certificate for «{model}» of {maker_code} ({standard}) was valid on {day}, {when_en}."
    remedy_zh = "请核对型号、执行标准和生产日期；新车型请把 CCC 证书交区市场监管局录入目录；没有证书的车不能卖。"
    remedy_en = "Check model, standard and day of making; the bureau adds new models from their CCC certificates."
    default_field = "model"


@dataclass(frozen=True, slots=True)
class Moment:
    """What a day is the day of, in words."""

    zh: str
    en: str


MADE = Moment("生产日", "the day it was made")
SOLD = Moment("销售日", "the day of the sale")


def require_certified(
    *, session: Session, vehicle_code: str, model: str, standard: str, day: date, moment: Moment
) -> BikeModel:
    """Return the certificate that covers a bike on that day (Asia/Shanghai); raises ModelNotCertified."""
    models = models_of(session=session, maker_codes=[vehicle_code[:4]])
    return pick_certificate(
        models=models, vehicle_code=vehicle_code, model=model, standard=standard, day=day, moment=moment
    )


def models_of(*, session: Session, maker_codes: Iterable[str]) -> Sequence[BikeModel]:
    """Return every certificate of these makers, the one valid longest first."""
    query = select(BikeModel).where(BikeModel.maker_code.in_(set(maker_codes)))
    return session.scalars(query.order_by(BikeModel.valid_until.desc(), BikeModel.id)).all()


def pick_certificate(
    *, models: Iterable[BikeModel], vehicle_code: str, model: str, standard: str, day: date, moment: Moment
) -> BikeModel:
    """Return the first of these certificates that covers a bike on that day; raises ModelNotCertified."""
    maker_code = vehicle_code[:4]
    for each in models:
        same = (each.maker_code, each.name, each.standard) == (maker_code, model, standard)
        if same and each.valid_from <= day <= each.valid_until and (each.withdrawn_on or date.max) > day:
            return each
    raise ModelNotCertified(
        maker_code=maker_code,
        model=model,
        standard=standard,
        day=day.isoformat(),
        when_zh=moment.zh,
        when_en=moment.en,
    )


def keep_model(*, session: Session, facts: ModelFacts, actor: str) -> tuple[BikeModel, str]:
    """Add a certificate to the catalogue, or correct the one of this maker, model and number.

    Returns it with ``added``, ``changed`` or ``unchanged``. The transaction is left to the caller. Raises
    MakerCodeInvalid, ModelNameInvalid, CodeInvalid, StandardUnknown, ModelDaysWrong, ModelNotCompliant (several at
    once) and ModelWithdrawn.
    """
    values = clean_model(facts=facts, editions=known_editions(session=session))
    key = (BikeModel.maker_code, BikeModel.name, BikeModel.ccc_no)
    row = insert(BikeModel).values(**values).on_conflict_do_nothing(index_elements=key)
    model_id = session.scalar(row.returning(BikeModel.id))
    if model_id is not None:
        model = session.get_one(BikeModel, model_id)
        _note(session, actor, "model.added", model, {name: _told(value) for name, value in values.items()})
        return model, "added"
    same = [column == values[column.key] for column in key]
    model = session.scalars(
        select(BikeModel).where(*same).with_for_update().execution_options(populate_existing=True)
    ).one()
    changes = {name: [_told(getattr(model, name)), _told(new)] for name, new in values.items()}
    changes = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
    if not changes:
        return model, "unchanged"
    if model.withdrawn_on is not None:
        raise ModelWithdrawn(withdrawn_on=model.withdrawn_on.isoformat())
    for name in changes:
        setattr(model, name, values[name])
    _note(session, actor, "model.changed", model, changes)
    session.flush()
    return model, "changed"


def withdraw_model(*, session: Session, model_id: int, withdrawn_on: date, reason: str, actor: str) -> BikeModel:
    """Record that a certificate holds no more from that day on (Asia/Shanghai): its bikes are not sold any longer.

    The transaction is left to the caller. Raises ModelNotFound and ModelWithdrawn.
    """
    model = session.get(BikeModel, model_id, with_for_update=True, populate_existing=True)
    if model is None:
        raise ModelNotFound
    if model.withdrawn_on is not None:
        raise ModelWithdrawn(withdrawn_on=model.withdrawn_on.isoformat())
    model.withdrawn_on = withdrawn_on
    _note(session, actor, "model.withdrawn", model, {"withdrawn_on": withdrawn_on.isoformat(), "reason": reason})
    session.flush()
    return model


def list_models(
    *, session: Session, maker_code: str | None = None, name: str | None = None, after_id: int = 0, limit: int = 200
) -> list[BikeModel]:
    """Return catalogue entries in the order they were added, of one maker or model where named."""
    query = select(BikeModel).where(BikeModel.id > after_id).order_by(BikeModel.id).limit(limit)
    if maker_code is not None:
        query = query.where(BikeModel.maker_code == maker_code)
    if name is not None:
        query = query.where(BikeModel.name == name)
    return list(session.scalars(query))


def catalogue_missing(*, session: Session, models: Iterable[ModelFacts], actor: str) -> None:
    """Add those of a trusted list that the catalogue has not yet; the transaction is left to the caller."""
    for facts in models:
        keep_model(session=session, facts=facts, actor=actor)


def clean_model(*, facts: ModelFacts, editions: tuple[Limits, ...]) -> dict[str, object]:
    """Return the columns of an entry from what was typed; raises what keep_model names for its fields."""
    inputs = Inputs()
    values: dict[str, object] = {field.name: getattr(facts, field.name) for field in fields(facts)}
    values["maker_code"] = inputs.take("maker_code", clean_maker_code, facts.maker_code)
    values["name"] = inputs.take("name", _clean_name, facts.name)
    values["ccc_no"] = inputs.take("ccc_no", _clean_ccc_no, facts.ccc_no)
    standard = inputs.take("standard", lambda text: require_known_standard(text, editions=editions), facts.standard)
    values["standard"] = standard
    if facts.valid_until < facts.valid_from:
        inputs.refuse(ModelDaysWrong())
    inputs.check()
    _require_within(facts=facts, standard=standard, editions=editions)
    return values


def clean_maker_code(text: str) -> str:
    """Return the four digits of a maker; raises MakerCodeInvalid."""
    if not MAKER_CODE.fullmatch(text.strip()):
        raise MakerCodeInvalid
    return text.strip()


def _clean_name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ModelNameInvalid
    return name


def _clean_ccc_no(text: str) -> str:
    return clean_paper_number(text, shortest=6, longest=40)


def _require_within(*, facts: ModelFacts, standard: str, editions: tuple[Limits, ...]) -> None:
    """The measures alone: on which days the model may be made and sold is the bike's own question."""
    limits = next(limits for limits in editions if limits.standard == standard)
    day = limits.made_from or limits.made_until or facts.valid_from
    measured = Measured(
        standard=standard,
        made_on=day,
        battery_kind=facts.battery_kind,
        weight_g=facts.weight_g,
        top_speed_m_h=facts.top_speed_m_h,
        motor_w=facts.motor_w,
        voltage_mv=facts.voltage_mv,
    )
    faults = faults_on(editions=editions, bike=measured, sold_on=day)
    if faults:
        raise ModelNotCompliant(why_zh="，".join(zh for zh, _ in faults), why_en=", ".join(en for _, en in faults))


def _told(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _note(session: Session, actor: str, action: str, model: BikeModel, detail: Mapping[str, object]) -> None:
    audit.record(session=session, actor=actor, action=action, subject=f"model:{model.id}", detail=dict(detail))
