"""Numbers of appeals, overrules and returns: short, random, with a check character (registry/codes.py)."""

from __future__ import annotations

import re
import secrets

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from registry.base import Refusal
from registry.codes import ALPHABET, check_character, is_checked

APPEAL, OVERRULE, RETURN = "SS", "GP", "TH"  # 申诉, 改判, 退回


class CaseNumberInvalid(Refusal):
    """The text is no such number, or a character of it is wrong."""

    code = "case_number_invalid"
    zh = "编号「{typed}」不对。"
    en = "«{typed}» is not such a number."
    remedy_zh = "请照回执上的编号核对，例如 {prefix}-7K2M-94；里面没有 0、1、I、L、O、U、Z。"
    remedy_en = "Compare with the receipt, for example {prefix}-7K2M-94; it never holds 0, 1, I, L, O, U or Z."
    default_field = "reference"


def new_case_number(*, session: Session, prefix: str, column: InstrumentedAttribute[str]) -> str:
    """Return a number such as SS-7K2M-94 that ``column`` does not hold yet: random, so that none can be guessed."""
    while True:
        body = "".join(secrets.choice(ALPHABET) for _ in range(5))
        code = body + check_character(body)
        number = f"{prefix}-{code[:4]}-{code[4:]}"
        if session.scalar(select(column).where(column == number)) is None:
            return number


def clean_case_number(text: str, *, prefix: str) -> str:
    """Return the number as XX-XXXX-XX, whatever case, dashes or spaces were typed; raises CaseNumberInvalid."""
    bare = re.sub(r"[\s\-—–_]", "", text).upper()
    code = bare.removeprefix(prefix) if len(bare) == 8 else bare
    if len(code) != 6 or not is_checked(code):
        raise CaseNumberInvalid(typed=text.strip()[:20], prefix=prefix)
    return f"{prefix}-{code[:4]}-{code[4:]}"
