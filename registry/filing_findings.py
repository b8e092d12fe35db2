"""What an import has to say about a list: one finding a cell, and the report of the whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from registry.base import Refusal
from registry.filing_rows import HEADERS

FindingKind = Literal["refused", "differs", "corrected", "noted"]
KIND_WORDS: dict[FindingKind, str] = {
    "refused": "未导入",
    "differs": "与已有备案不同，未改",
    "corrected": "已更正",
    "noted": "提示",
}
HEADERS_EN = {
    "id_no": "ID number",
    "filed_on": "day of filing",
    "brand": "brand",
    "frame_no": "frame number",
    "sub_district": "sub-district",
}


class FilingCorrected(Refusal):
    """The filing was brought in line with this row; what it said before is kept in its history."""

    code = "filing_corrected"
    kind = "conflict"
    zh = "号牌 {plate_no} 的「{header}」已按这一行更正。"
    en = "«{header_en}» of the filing {plate_no} was corrected to this row."
    remedy_zh = "不用处理；原来的内容、时间和经办人都留在变更记录里。"
    remedy_en = "Nothing to do; what it said before, when and by whom it was changed is kept in its history."


class FilingNeedsTransfer(Refusal):
    """The plate is filed under another owner: a bike changes hands by transfer, never by a list."""

    code = "filing_needs_transfer"
    kind = "conflict"
    zh = "号牌 {plate_no} 已备案在另一位车主名下，导入不改车主。"
    en = "The plate {plate_no} is filed under another owner; an import does not change owners."
    remedy_zh = "证件号码写错了就改正这一行；车确实卖了，请双方办理过户。"
    remedy_en = "Correct the row if the ID number is wrong; if the bike was sold, both parties register a transfer."
    default_field = "id_no"


class FilingInUse(Refusal):
    """The bike is being traded in or gone: what was checked against the filing must stay as it was."""

    code = "filing_in_use"
    kind = "conflict"
    zh = "号牌 {plate_no} 的旧车正在置换或已经收下，「{header}」不能再改。"
    en = "The bike {plate_no} is being traded in or was received; «{header_en}» cannot change any more."
    remedy_zh = "确实写错了，请工作人员按查询号核查处理。"
    remedy_en = "If it is wrong all the same, staff look into it by the reference of the trade-in."


class PlateTwiceInList(Refusal):
    """Two rows of one list say different things about one plate; the first one counts."""

    code = "plate_twice_in_list"
    kind = "conflict"
    zh = "号牌 {plate_no} 在这份名单里出现了不止一次，「{header}」前后不同，以前面的为准。"
    en = "The plate {plate_no} stands more than once in this list, with another «{header_en}»; the first row counts."
    remedy_zh = "请核对是哪一行，删去另一行再导入。"
    remedy_en = "Find out which row is right, delete the other and import again."


class OwnerNameDiffers(Refusal):
    """The ID number belongs to a known person of another name."""

    code = "owner_name_differs"
    kind = "conflict"
    zh = "这个证件号码已登记在另一个姓名下。"
    en = "This ID number is registered under another name."
    remedy_zh = "请对照证件核对姓名和证件号码，哪一个写错了就改哪一个。"
    remedy_en = "Compare name and ID number with the card and correct the one that is wrong."
    default_field = "owner_name"


class PhoneKept(Refusal):
    """The owner is known with another phone. The filing is stored, the phone stays as it was."""

    code = "phone_kept"
    kind = "conflict"
    zh = "这位车主已登记另一个手机号码，导入不改它。"
    en = "This owner is known with another phone; the import leaves it as it is."
    remedy_zh = "不用处理；车主到店或登录后可以自己更新。"
    remedy_en = "Nothing to do; the owner updates it at a point or after signing in."
    default_field = "phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is to be said about one cell of one row. It holds no personal data.

    ``kind`` is refused (the row is not stored), differs (a stored filing says otherwise and is kept), corrected (it
    said otherwise and was corrected) or noted (the row is stored as it should be, but somebody may want to know).
    """

    line: int
    kind: FindingKind
    refusal: Refusal

    @property
    def header(self) -> str:
        """The column's header in the list."""
        return HEADERS.get(self.refusal.field or "", "")


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """How an import went: rows read = stored + unchanged + corrected + differing + refused.

    ``findings`` holds the first thousand, ``counts`` how many there were of each code.
    """

    read: int = 0
    stored: int = 0
    unchanged: int = 0
    corrected: int = 0
    differing: int = 0
    refused: int = 0
    new_people: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
