"""One name written in two ways: variant characters (异体字), compatibility forms, and the dot between parts."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

NameMatch = Literal["same", "variant", "other"]

# Characters that stand for one another on cards and in registers; the first of each is the usual one. Different
# characters that merely sound or look alike are not in it.
_CLASSES = (
    "峰峯",
    "群羣",
    "升昇陞",
    "哲喆",
    "坤堃",
    "宁甯寗寧",
    "杰傑",
    "华華",
    "吕呂",
    "吴吳",
    "黄黃",
    "温溫",
    "凉涼",
    "强強彊",
    "略畧",
    "岩巖嵒",
    "泛汎氾",
    "琅瑯",
    "瑶瑤",
    "珏玨",
    "晋晉",
    "并並併",
    "高髙",
    "真眞",
    "慎愼",
    "青靑",
    "清淸",
    "静靜",
    "净淨",
    "彦彥",
    "颜顔顏",
    "户戶",
    "启啟啓",
    "秋秌",
    "和龢",
    "䶮龑",
    "烟煙",
    "棋棊碁",
    "溪谿",
    "闫閆",
    "阎閻",
    "陈陳",
    "国國",
    "银銀",
)
_USUAL = {ord(variant): group[0] for group in _CLASSES for variant in group[1:]}
_PARTS = re.compile(r"[\s·•‧・.\u00b7\uff0e\u2022]")


def plain_name(name: str) -> str:
    """Return the name as it compares: compatibility forms resolved, usual characters, no dots and spaces."""
    return _PARTS.sub("", unicodedata.normalize("NFKC", name)).translate(_USUAL).casefold()


def match_names(one: str, other: str) -> NameMatch:
    """Say whether two spellings are the same, one name written otherwise (``variant``), or two names."""
    if one == other:
        return "same"
    return "variant" if plain_name(one) == plain_name(other) else "other"
