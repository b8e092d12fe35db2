"""Which language a page speaks. The Chinese words stand in the code; the English ones in translations/en/*.po.

A page's Chinese text goes through ``_("…")`` (in templates and in Python; ``_l`` where a module is loaded before
anybody asks). ``python -m app.web.catalogue`` prints what has no English yet.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, has_request_context
from flask_babel import Babel, Domain, force_locale, get_locale
from flask_babel import gettext as _untyped_gettext
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext as _untyped_ngettext
from flask_babel import pgettext as _untyped_pgettext

from app.web.blueprint import current_look

# They come without types.
_: Callable[..., str] = _untyped_gettext
ngettext: Callable[..., str] = _untyped_ngettext
pgettext: Callable[..., str] = _untyped_pgettext

__all__ = ["_", "_l", "in_chinese", "in_english", "init_app", "ngettext", "pgettext"]

ENGLISH = Path(__file__).parent / "translations" / "en"


def init_app(app: Flask) -> None:
    """Let the pages of ``app`` speak the language their reader chose: Chinese, unless he asked for English."""
    babel = Babel(app, default_locale="zh", default_timezone="Asia/Shanghai", locale_selector=_chosen)
    babel.domain_instance = PoFiles()


def in_english() -> bool:
    """Say whether the page being made is the English one."""
    locale = get_locale() if has_request_context() else None
    return locale is not None and locale.language == "en"


def in_chinese() -> AbstractContextManager[None]:
    """Speak Chinese within this block, whatever the reader chose: what is printed for the wall is one for all."""
    return force_locale("zh")  # type: ignore[no-any-return]  # it comes without types


def _chosen() -> str:
    return current_look().lang if has_request_context() else "zh"


class PoFiles(Domain):  # type: ignore[misc]  # it comes without types
    """Reads the .po files themselves, once a process: no compiled copy can fall behind them."""

    def get_translations(self) -> NullTranslations:
        locale = get_locale()
        return _english() if locale is not None and locale.language == "en" else _CHINESE


_CHINESE = NullTranslations()


def english_catalogue() -> Catalog:
    """Return the English words of all .po files as one catalogue."""
    whole = Catalog(locale="en")
    for path in sorted(ENGLISH.glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="en"):
                if message.id:
                    whole[message.id] = message
    return whole


@lru_cache(maxsize=1)
def _english() -> Translations:
    compiled = BytesIO()
    write_mo(compiled, english_catalogue())
    compiled.seek(0)
    return Translations(compiled)
