"""One row of a filing list (备案名单) as somebody typed it, and as it may be stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from operator import mul
from typing import NamedTuple

from registry.base import Refusal
from registry.filings import clean_plate
from registry.people import clean_id_number, clean_mobile, clean_name

FIRST_FILING = date(1990, 1, 1)
HEADERS = {
    "plate_no": "号牌号码",
    "owner_name": "车主姓名",
    "id_no": "证件号码",
    "phone": "手机号码",
    "filed_on": "备案日期",
    "brand": "品牌",
    "frame_no": "车架号",
    "sub_district": "街道",
}

_PLAIN_PLATE = re.compile(r"[A-Z][0-9]{6}")
_PLAIN_NAME = re.compile(r"[\u4e00-\u9fff]{2,8}")
_PLAIN_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_PLAIN_FRAME_NO = re.compile(r"[A-Z0-9*#/-]{4,40}")
_ID_NUMBER = re.compile(r"[0-9]{6}((?:19|20)[0-9]{6})[0-9]{3}[0-9X]")
_ID_WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
_ID_ZEROS = ord("0") * sum(_ID_WEIGHTS)
_ID_CHECKS = "10X98765432"
_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]+|[1-9][0-9]{14}000", re.IGNORECASE)
_NAMES_AND_LONG_NUMBERS = re.compile(r"[\u3400-\u9fff]{2,}|[0-9]{9,}[0-9X]?", re.IGNORECASE)
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日")
_COMPACT_DAYS = ("%Y%m%d",)


class FilingRow(NamedTuple):
    """One row as typed.

    ``line`` is the line of the file it begins on, counted from 1, the header included; ``surplus`` what stands in cells
    beyond the header.
    """

    line: int
    plate_no: str
    owner_name: str
    id_no: str
    phone: str
    filed_on: str
    brand: str
    frame_no: str
    sub_district: str
    surplus: str = ""


class Filing(NamedTuple):
    """One row whose every cell is clean. ``phone`` is empty where the list names none."""

    line: int
    plate_no: str
    owner_name: str
    id_no: str
    phone: str
    filed_on: date
    brand: str
    frame_no: str
    sub_district: str


class CellEmpty(Refusal):
    """A cell that must be filled is empty. Only the phone may be."""

    code = "cell_empty"
    zh = "「{header}」是空的。"
    en = "«{header}» is empty."
    remedy_zh = "请补上；每一行只有手机号码可以不填。"
    remedy_en = "Fill it in; only the phone may be left empty."


class CellsSurplus(Refusal):
    """A row has more cells than the header: a comma inside a cell has most likely shifted the rest."""

    code = "cells_surplus"
    zh = "这一行比表头多出了内容。"
    en = "This row has more cells than the header."
    remedy_zh = "多半是某一格里有逗号；请给那一格加上英文双引号，或者去掉逗号。"
    remedy_en = "A cell probably holds a comma; put it in double quotes or remove the comma."


class FilingDayInvalid(Refusal):
    """The text is no day, or a day on which this bike cannot have been filed."""

    code = "filing_day_invalid"
    zh = "备案日期「{typed}」不对。"
    en = "«{typed}» is not a possible day of filing."
    remedy_zh = "请写成 2021-03-18 这样，不能晚于今天。"
    remedy_en = "Write it as 2021-03-18; it cannot lie in the future."
    default_field = "filed_on"


class FrameNumberInvalid(Refusal):
    """A frame number is 4 to 40 letters and digits."""

    code = "frame_no_invalid"
    zh = "车架号「{typed}」不对。"
    en = "«{typed}» is not a frame number."
    remedy_zh = "车架号是 4 到 40 位字母和数字，照车架上打的号码填。"
    remedy_en = "A frame number has 4 to 40 letters and digits, as stamped on the frame."
    default_field = "frame_no"


class WordTooLong(Refusal):
    """A brand or a sub-district does not fit its column, or holds characters nobody can see."""

    code = "word_too_long"
    zh = "「{header}」太长，或者有看不见的字符。"
    en = "«{header}» is too long or holds invisible characters."
    remedy_zh = "请缩到 {most} 个字以内，去掉换行和制表符。"
    remedy_en = "Keep it within {most} characters, without line breaks or tabs."


class IdNumberRounded(Refusal):
    """A spreadsheet took the ID number for a quantity and rounded it: the true one cannot be told from it."""

    code = "id_number_rounded"
    zh = "身份证号码被表格软件当成数字存了（{typed}），后几位已经丢失。"
    en = "The spreadsheet kept the ID number as a quantity ({typed}) and lost its last digits."
    remedy_zh = "请把证件号码一列设为「文本」，从原始名单重新导出。"
    remedy_en = "Format the column as text and export the original list again."
    default_field = "id_no"


class RowChecker:
    """Cleans rows by the functions that clean the same things everywhere else.

    What plainly needs no cleaning is passed at once, which is most of a good list. ``today`` is the last possible day
    of filing, ``plate_pattern`` the district's pattern of plates.
    """

    def __init__(self, *, today: date, plate_pattern: str = r"[A-Z]\d{6}") -> None:
        self._today = today
        self._plate_pattern = plate_pattern
        self._plain_plate = _PLAIN_PLATE if plate_pattern == r"[A-Z]\d{6}" else re.compile(r"(?!)")
        self._day = lru_cache(maxsize=16_384)(self._read_day)

    def check(self, row: FilingRow) -> Filing | list[Refusal]:
        """Return the row clean, or every refusal it gives, each naming the ``field`` that is wrong."""
        line, plate_no, owner_name, id_no, phone, filed_on, brand, frame_no, sub_district, surplus = row
        day = self._day(filed_on)
        if (
            day is not None
            and not surplus
            and self._plain_plate.fullmatch(plate_no)
            and _PLAIN_NAME.fullmatch(owner_name)
            and is_plain_id_number(id_no)
            and _PLAIN_MOBILE.fullmatch(phone)
            and _PLAIN_FRAME_NO.fullmatch(frame_no)
            and _is_plain_word(brand, 64)
            and _is_plain_word(sub_district, 32)
        ):
            return Filing(line, plate_no, owner_name, id_no, phone, day, brand, frame_no, sub_district)
        return self._check_each(row)

    def _check_each(self, row: FilingRow) -> Filing | list[Refusal]:
        refusals: list[Refusal] = [CellsSurplus(field="sub_district")] if row.surplus else []

        def cell(field: str, clean: Callable[[str], str]) -> str:
            try:
                return clean(_filled(field, getattr(row, field)))
            except Refusal as refusal:
                refusals.append(fit_to_keep(refusal, field=field))
                return ""

        day = self._day(row.filed_on)
        plate_no = cell("plate_no", lambda text: clean_plate(text, pattern=self._plate_pattern))
        owner_name = cell("owner_name", clean_name)
        id_no = cell("id_no", _clean_id_number)
        phone = cell("phone", clean_mobile) if row.phone.strip() else ""
        cell("filed_on", self._refuse_day)
        brand = cell("brand", lambda text: _clean_word("brand", text, 64))
        frame_no = cell("frame_no", _clean_frame_no)
        sub_district = cell("sub_district", lambda text: _clean_word("sub_district", text, 32))
        if refusals or day is None:
            return refusals
        return Filing(row.line, plate_no, owner_name, id_no, phone, day, brand, frame_no, sub_district)

    def _read_day(self, text: str) -> date | None:
        return read_day(text, latest=self._today)

    def _refuse_day(self, text: str) -> str:
        if self._day(text) is None:
            raise FilingDayInvalid(typed=text.strip()[:20])
        return text


def read_day(text: str, *, latest: date) -> date | None:
    """Return the day as lists write it, None where it is none, before 1990 or after ``latest``.

    A time behind it, as spreadsheets add one, is left out.
    """
    written = text.strip().partition(" ")[0].partition("T")[0]
    for form in _DAYS if not written.isdecimal() else _COMPACT_DAYS if len(written) == 8 else ():
        try:
            day = datetime.strptime(written, form).date()  # noqa: DTZ007  (a day has no time zone)
        except ValueError:
            continue
        return day if FIRST_FILING <= day <= latest else None
    return None


def fit_to_keep(refusal: Refusal, *, field: str) -> Refusal:
    """Return the refusal about a cell with what was typed as a finding may quote it.

    Findings are kept in clear, and a comma in the wrong place puts another column's data into a cell: so no names, no
    number as long as a telephone's, and nothing that cannot be printed or stored.
    """
    facts = dict(refusal.facts)
    if "typed" in facts:
        printable = "".join(filter(str.isprintable, str(facts["typed"])))
        facts["typed"] = _NAMES_AND_LONG_NUMBERS.sub("…", printable)
    return type(refusal)(field=field, **facts)


def is_plain_id_number(text: str) -> bool:
    """Say whether the text stands as ``clean_id_number`` would return it, several times faster than asking it.

    A «no» means only that it has to be looked at properly.
    """
    match = _ID_NUMBER.fullmatch(text)
    if match is None:
        return False
    total = sum(map(mul, _ID_WEIGHTS, text.encode())) - _ID_ZEROS
    return _ID_CHECKS[total % 11] == text[17] and _is_day(match[1])


@lru_cache(maxsize=65_536)
def _is_day(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=16_384)
def _is_plain_word(text: str, most: int) -> bool:
    return 0 < len(text) <= most and text.isprintable() and text == text.strip()


def _filled(field: str, text: str) -> str:
    if not text.strip():
        raise CellEmpty(header=HEADERS[field])
    return text


def _clean_id_number(text: str) -> str:
    if _ROUNDED.fullmatch(text.strip()) and not is_plain_id_number(text.strip()):
        raise IdNumberRounded(typed=text.strip()[:4] + "…")
    return clean_id_number(text)


def _clean_frame_no(text: str) -> str:
    frame_no = re.sub(r"\s", "", text).upper()
    if not _PLAIN_FRAME_NO.fullmatch(frame_no):
        raise FrameNumberInvalid(typed=text.strip()[:20])
    return frame_no


def _clean_word(field: str, text: str, most: int) -> str:
    word = text.strip()
    if not _is_plain_word(word, most):
        raise WordTooLong(header=HEADERS[field], most=most)
    return word
