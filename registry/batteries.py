"""Batteries: each coded as a bike is (赋码), in one bike at a time, and swapped at a dealer's counter."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, String, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.bikes import Bike
from registry.codes import clean_paper_number, new_registration_code
from registry.inputs import Inputs
from registry.uniqueness import refusing_duplicates

REASONS = ("worn", "damaged", "recalled", "changed")
# A battery taken out for one of these is not fitted again, into no bike.
ENDING = ("worn", "damaged", "recalled")
_CODE_TRIES = 20


class Battery(Base):
    """A battery by the maker's code on it. ``bike_id`` is the bike it is in, None while it is in none."""

    __tablename__ = "battery"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    battery_code: Mapped[str] = mapped_column(String(40), unique=True)
    registration_code: Mapped[str] = mapped_column(String(12), unique=True)
    kind: Mapped[str] = mapped_column(String(12))
    bike_id: Mapped[int | None] = mapped_column(ForeignKey("bike.id"), unique=True)
    retired_at: Mapped[datetime | None] = mapped_column(Instant)
    coded_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class BatterySwap(Base):
    """One swap: which battery came out of the bike and which went in, why, on what paper, and where. Append-only."""

    __tablename__ = "battery_swap"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    bike_id: Mapped[int] = mapped_column(ForeignKey("bike.id"), index=True)
    out_id: Mapped[int] = mapped_column(ForeignKey("battery.id"))
    in_id: Mapped[int] = mapped_column(ForeignKey("battery.id"))
    reason: Mapped[str] = mapped_column(String(12))
    proof_no: Mapped[str] = mapped_column(String(40), unique=True)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"))
    actor: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(Instant)


class BikeNotFound(Refusal):
    """There is no such bike within reach. Somebody else's is told in the same words as none at all."""

    code = "bike_not_found"
    kind = "not_found"
    zh = "没有找到这辆车。"
    en = "There is no such bike."
    remedy_zh = "请核对车架上的整车编码或赋码；只能查看自己的车。"
    remedy_en = "Check the vehicle or registration code on the frame; you can see your own only."
    default_field = "vehicle_code"


class BikeNotSoldYet(Refusal):
    """A battery is swapped in a bike somebody rides; one in another shop's stock is not this counter's."""

    code = "bike_not_sold_yet"
    kind = "conflict"
    zh = "这辆车还在别的商户的库存里。"
    en = "This bike is in another dealer's stock."
    remedy_zh = "请核对整车编码；库存里的车由所在商户办理。"
    remedy_en = "Check the code; the dealer who has it in stock does this."
    default_field = "vehicle_code"


class OldBatteryDiffers(Refusal):
    """The battery said to come out is not the one registered in the bike."""

    code = "old_battery_differs"
    zh = "取下的电池和登记的不一样。"
    en = "The battery taken out is not the registered one."
    remedy_zh = "请对照电池上的编码再看一遍；确实不一样的，可能换过电池没有登记，请联系区市场监管局核查。"
    remedy_en = "Read the code again; if it really differs, the bureau looks into an unrecorded swap."
    default_field = "old_battery_code"


class BatteryInAnotherBike(Refusal):
    """The battery to go in is registered in a bike, this one or another."""

    code = "battery_in_another_bike"
    kind = "conflict"
    zh = "电池 {battery_code} 登记在车上，不能再装。"
    en = "The battery {battery_code} is registered in a bike."
    remedy_zh = "请核对新电池上的编码；拆自别的车的电池，要先在那辆车上办理更换。"
    remedy_en = "Check the new battery's code; one from another bike is swapped out there first."
    default_field = "new_battery_code"


class BatteryRetired(Refusal):
    """The battery was taken out as worn, damaged or recalled."""

    code = "battery_retired"
    kind = "conflict"
    zh = "电池 {battery_code} 已经退役，不能再装。"
    en = "The battery {battery_code} was retired and is not fitted again."
    remedy_zh = "请换一块新电池；退役的电池请交回收单位。"
    remedy_en = "Take a new battery; hand the retired one to a recycler."
    default_field = "new_battery_code"


class BatteryKindDiffers(Refusal):
    """Another chemistry than the bike was certified with is an alteration (改装)."""

    code = "battery_kind_differs"
    zh = "这辆车按另一种电池认证，换种类就是改装。"
    en = "The bike was certified with another kind of battery; changing it is an alteration."
    remedy_zh = "请换和合格证同一种类的电池。"
    remedy_en = "Take a battery of the kind the certificate names."
    default_field = "battery_kind"


class SwapProofUsed(Refusal):
    """One paper stands for one swap."""

    code = "swap_proof_used"
    zh = "凭证 {proof_no} 已经用于另一次更换。"
    en = "The paper {proof_no} stands for another swap."
    remedy_zh = "请核对销售或维修凭证的编号。"
    remedy_en = "Check the number of the invoice or repair slip."
    default_field = "proof_no"


def clean_battery_code(text: str) -> str:
    """Return the maker's code of a battery in capitals without spaces; raises CodeInvalid."""
    return clean_paper_number(text, shortest=6, longest=40)


def code_battery(*, session: Session, battery_code: str, kind: str, bike_id: int | None) -> Battery | None:
    """Give a battery its registration code; None where its (clean) battery code was known already."""
    for _ in range(_CODE_TRIES):
        row = insert(Battery).values(
            battery_code=battery_code, registration_code=new_registration_code(), kind=kind, bike_id=bike_id
        )
        battery_id = session.scalar(row.on_conflict_do_nothing().returning(Battery.id))
        if battery_id is not None:
            return session.get_one(Battery, battery_id)
        if session.scalar(select(Battery.id).where(Battery.battery_code == battery_code)) is not None:
            return None
    raise RuntimeError(f"{_CODE_TRIES} registration codes in a row were taken")


def swap_battery(
    *,
    session: Session,
    code: str,
    dealer_id: int,
    old_battery_code: str,
    new_battery_code: str,
    battery_kind: str,
    reason: str,
    proof_no: str,
    actor: str,
    now: datetime,
) -> BatterySwap:
    """Take the old battery out of a bike and put another in, at this dealer's; ``reason`` is one of REASONS.

    ``code`` is the bike's vehicle or registration code. The new battery is coded where it was not known. Worn, damaged
    and recalled ones are retired. The transaction is left to the caller. Raises BikeNotFound, BikeNotSoldYet,
    CodeInvalid, OldBatteryDiffers, BatteryKindDiffers, BatteryInAnotherBike, BatteryRetired and SwapProofUsed.
    """
    assert reason in REASONS, reason
    inputs = Inputs()
    old_code = inputs.take("old_battery_code", clean_battery_code, old_battery_code)
    new_code = inputs.take("new_battery_code", clean_battery_code, new_battery_code)
    proof_no = inputs.take("proof_no", _clean_proof_no, proof_no)
    inputs.check()
    bike = lock_bike(session=session, code=code)
    if bike.state == "in_stock" and bike.dealer_id != dealer_id:
        raise BikeNotSoldYet
    if bike.battery_kind != battery_kind:
        inputs.refuse(BatteryKindDiffers())
    if bike.battery_code != old_code:
        inputs.refuse(OldBatteryDiffers())
    inputs.check()
    new = _free_battery(session=session, battery_code=new_code, kind=battery_kind)
    old = session.scalars(select(Battery).where(Battery.battery_code == old_code).with_for_update()).one()
    old.bike_id, old.retired_at = None, now if reason in ENDING else None
    session.flush()  # the old one is out before the new one is in: a bike has one battery at every moment
    new.bike_id, bike.battery_code = bike.id, new_code
    swap = BatterySwap(
        bike_id=bike.id,
        out_id=old.id,
        in_id=new.id,
        reason=reason,
        proof_no=proof_no,
        dealer_id=dealer_id,
        actor=actor,
        at=now,
    )
    with refusing_duplicates(session, {"uq_battery_swap_proof_no": SwapProofUsed(proof_no=proof_no)}):
        session.add(swap)
    detail = {"battery_code": [old_code, new_code], "reason": reason, "proof_no": proof_no}
    audit.record(
        session=session, actor=actor, action="bike.battery_swapped", subject=f"bike:{bike.vehicle_code}", detail=detail
    )
    session.flush()
    return swap


def lock_bike(*, session: Session, code: str) -> Bike:
    """Return the bike with this vehicle or registration code, its row locked; raises BikeNotFound."""
    bare = "".join(code.split()).upper()
    bike = session.scalar(
        select(Bike)
        .where((Bike.vehicle_code == bare) | (Bike.registration_code == bare))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if bike is None:
        raise BikeNotFound
    return bike


def _clean_proof_no(text: str) -> str:
    return clean_paper_number(text, shortest=4, longest=40)


def _free_battery(*, session: Session, battery_code: str, kind: str) -> Battery:
    """The battery to go in, new or known, locked; two counters at once stand in line here."""
    fresh = code_battery(session=session, battery_code=battery_code, kind=kind, bike_id=None)
    if fresh is not None:
        return fresh
    known = session.scalars(
        select(Battery)
        .where(Battery.battery_code == battery_code)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if known.bike_id is not None:
        raise BatteryInAnotherBike(battery_code=battery_code)
    if known.retired_at is not None:
        raise BatteryRetired(battery_code=battery_code)
    if known.kind != kind:
        raise BatteryKindDiffers
    return known
