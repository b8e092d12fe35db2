"""Receiving the old bike: three photos, the recycling certificate, and the frame number of the filing."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from io import BytesIO
from typing import Any

from PIL import Image
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from registry import audit
from registry.base import Refusal, table_of
from registry.codes import clean_paper_number
from registry.filings import FILED_BIKE, FiledBike
from registry.inputs import Inputs
from registry.messages import owe_message
from registry.outlook import NoSubsidy, OwnerNotTold, SubsidyOutlook
from registry.trade_ins import PHOTO_KINDS, TRADE_IN, Reach, TradeIn, TradeInPhoto, lock_trade_in, photo_kinds
from registry.uniqueness import refusing_duplicates

LARGEST_PHOTO_BYTES = 3 * 1024 * 1024
PHOTO_WORDS = {"frame_no": "车架号", "plate": "号牌", "whole": "整车"}
LEAST_PHOTO_SIDE = 32


class PhotoUnreadable(Refusal):
    """The bytes are no JPEG or PNG picture of at least 32 by 32 dots."""

    code = "photo_unreadable"
    zh = "这不是照片文件。"
    en = "This is not a photo."
    remedy_zh = "请上传 JPEG 或 PNG 格式的照片。"
    remedy_en = "Send a photo as JPEG or PNG."
    default_field = "image"


class PhotoTooLarge(Refusal):
    """A photo has at most 3 MB."""

    code = "photo_too_large"
    zh = "照片太大，最多 3 MB。"
    en = "The photo is too large; 3 MB at most."
    remedy_zh = "请压缩后再上传，或把相机的分辨率调低。"
    remedy_en = "Compress it, or set the camera to a lower resolution."
    default_field = "image"


class PhotoUsedBefore(Refusal):
    """The very same picture was used before: every old bike is photographed anew."""

    code = "photo_used_before"
    zh = "这张照片以前用过。"
    en = "This very picture was used before."
    remedy_zh = "请对着这辆车重新拍一张。"
    remedy_en = "Take a new photo of this bike."
    default_field = "image"


class PhotosMissing(Refusal):
    """The old bike is received with a photo of the frame number, the plate and the whole bike."""

    code = "photos_missing"
    zh = "还缺照片：{missing_zh}。"
    en = "Photos are missing: {missing_en}."
    remedy_zh = "请先把缺的照片拍好上传。"
    remedy_en = "Take and send the missing photos first."
    default_field = "photos"


class FrameNumberDiffers(Refusal):
    """The frame number read off the bike is not the filing's."""

    code = "frame_no_differs"
    zh = "车架号和备案的不一样。"
    en = "The frame number is not the filed one."
    remedy_zh = "请对照车架再读一遍；确实不同的，这辆不是备案的那辆车，不能收。"
    remedy_en = "Read the frame again; if it really differs, this is not the filed bike and cannot be taken."
    default_field = "frame_no"


class BikeIncomplete(Refusal):
    """Frame, motor and battery all have to be there, and said to be; a burnt-out wreck does not count."""

    code = "bike_incomplete"
    zh = "还没有确认旧车是完整的。"
    en = "The old bike has not been confirmed as complete."
    remedy_zh = "车架、电机、电池都在的，请勾选确认；缺了的不能收，请车主补齐后再来。"
    remedy_en = "Confirm it where frame, motor and battery are all there; without one of them the bike cannot be taken."
    default_field = "complete"


class RecyclingCertificateUsed(Refusal):
    """The recycling certificate's number stands on another trade-in."""

    code = "recycling_certificate_used"
    kind = "invalid"
    zh = "这个报废回收证明编号已经用过。"
    en = "This recycling certificate number was used before."
    remedy_zh = "请核对证明上的编号；一张证明只能用于一辆旧车。"
    remedy_en = "Check the number; one certificate is for one old bike."
    default_field = "recycling_certificate_no"


# Three a trade-in: made once, because putting a statement together takes longer than running it.
_PHOTOS = table_of(TradeInPhoto)
_KEPT = insert(_PHOTOS).on_conflict_do_nothing().returning(_PHOTOS.c.id)


def add_photo(*, session: Session, reference: str, reach: Reach, kind: str, image: bytes, actor: str) -> TradeIn:
    """Keep one photo (JPEG or PNG, at most 3 MB) of a trade-in whose old bike is to be received.

    The same picture of the same kind again is kept once; a second picture of a kind stands beside the first. The
    transaction is left to the caller. Raises TradeInNotFound, StepNotAllowed, PhotoTooLarge, PhotoUnreadable and
    PhotoUsedBefore.
    """
    if kind not in PHOTO_KINDS:
        raise ValueError(f"unknown kind of photo {kind!r}")
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    TRADE_IN.after(state=trade_in.state, step="receive")
    keep_photo(session=session, trade_in=trade_in, kind=kind, image=image, actor=actor)
    return trade_in


def keep_photo(*, session: Session, trade_in: TradeIn, kind: str, image: bytes, actor: str) -> None:
    """Keep one photo of a trade-in that may take it; the same picture of the same kind again is kept once.

    Raises PhotoTooLarge, PhotoUnreadable and PhotoUsedBefore.
    """
    if len(image) > LARGEST_PHOTO_BYTES:
        raise PhotoTooLarge
    if not is_picture(image):
        raise PhotoUnreadable
    sha256 = hashlib.sha256(image).digest()
    photo = {"trade_in_id": trade_in.id, "kind": kind, "sha256": sha256, "image": image}
    if session.scalar(_KEPT, photo) is None:
        known = session.execute(
            select(TradeInPhoto.trade_in_id, TradeInPhoto.kind).where(TradeInPhoto.sha256 == sha256)
        ).first()
        if known is None or tuple(known) != (trade_in.id, kind):
            raise PhotoUsedBefore
        return
    subject = f"trade_in:{trade_in.reference}"
    detail = {"kind": kind, "sha256": sha256.hex()}
    audit.record(session=session, actor=actor, action="trade_in.photo", subject=subject, detail=detail)
    session.flush()


def receive_old_bike(
    *,
    session: Session,
    reference: str,
    reach: Reach,
    recycling_certificate_no: str,
    frame_no: str,
    complete: bool,
    owner_knows: bool = False,
    outlook: SubsidyOutlook | None = None,
    actor: str,
    now: datetime,
) -> TradeIn:
    """Take the old bike in; → ``old_bike_received``. The transaction is left to the caller. Texts may be as typed.

    ``owner_knows``: the point has told the owner that no subsidy will come. It is asked for where ``outlook`` says so,
    and both are kept in the audit.

    Raises TradeInNotFound, StepNotAllowed, CodeInvalid, PhotosMissing, FrameNumberDiffers, BikeIncomplete, OwnerNotTold
    and RecyclingCertificateUsed; several at once where several are wrong.
    """
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    following = TRADE_IN.after(state=trade_in.state, step="receive")
    bike = session.get_one(FiledBike, trade_in.filed_bike_id, with_for_update=True)
    no_subsidy = outlook(session=session, trade_in=trade_in) if outlook is not None else None
    certificate_no = _check_receipt(
        session=session,
        trade_in=trade_in,
        bike=bike,
        recycling_certificate_no=recycling_certificate_no,
        frame_no=frame_no,
        complete=complete,
        no_subsidy=no_subsidy,
        owner_knows=owner_knows,
    )
    with refusing_duplicates(session, {"uq_trade_in_recycling_certificate_no": RecyclingCertificateUsed()}):
        trade_in.recycling_certificate_no = certificate_no
        trade_in.state = following
        trade_in.received_at = now
        detail: dict[str, Any] = {**audit.changes_of(trade_in, "state"), "recycling_certificate_no": certificate_no}
    bike.state = FILED_BIKE.after(state=bike.state, step="receive")
    if no_subsidy is not None:
        detail |= {"no_subsidy": no_subsidy.code, "owner_knows": owner_knows}
    audit.record(
        session=session, actor=actor, action="trade_in.received", subject=f"trade_in:{reference}", detail=detail
    )
    owe_message(
        session=session,
        person_id=trade_in.owner_id,
        dedupe_key=f"received:{reference}",
        kind="step",
        body=f"代办点已收下您的旧车（{bike.plate_no}），查询号 {reference}，"
        f"回收证明 {certificate_no}。下一步注销旧号牌。",
    )
    session.flush()
    return trade_in


def same_frame(typed: str, filed: str) -> bool:
    """Say whether two frame numbers are the same but for case, spaces and dashes."""
    return _bare(typed) == _bare(filed)


def _check_receipt(
    *,
    session: Session,
    trade_in: TradeIn,
    bike: FiledBike,
    recycling_certificate_no: str,
    frame_no: str,
    complete: bool,
    no_subsidy: NoSubsidy | None,
    owner_knows: bool,
) -> str:
    inputs = Inputs()
    certificate_no = inputs.take("recycling_certificate_no", clean_paper_number, recycling_certificate_no)
    has = photo_kinds(session=session, trade_in_id=trade_in.id)
    missing = [kind for kind in PHOTO_KINDS if kind not in has]
    if missing:
        words = "、".join(PHOTO_WORDS[kind] for kind in missing)
        inputs.refuse(PhotosMissing(missing_zh=words, missing_en=", ".join(missing)))
    if not same_frame(frame_no, bike.frame_no):
        inputs.refuse(FrameNumberDiffers())
    if not complete:
        inputs.refuse(BikeIncomplete())
    if no_subsidy is not None and not owner_knows:
        inputs.refuse(OwnerNotTold(why_zh=no_subsidy.zh, why_en=no_subsidy.en))
    inputs.check()
    return certificate_no


def _bare(frame_no: str) -> str:
    return re.sub(r"[\s-]", "", frame_no).upper()


def is_picture(image: bytes) -> bool:
    """Say whether the bytes open as a picture: a file that only begins like one is no evidence."""
    try:
        with Image.open(BytesIO(image), formats=("JPEG", "PNG")) as picture:
            picture.verify()
            return min(picture.size) >= LEAST_PHOTO_SIDE
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
