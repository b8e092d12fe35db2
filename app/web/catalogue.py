"""What the pages say, collected from their sources, and what of it has no English.

``python -m app.web.catalogue`` prints the missing messages as entries of a .po file, and names those nobody uses any
more. Give it the beginnings of file names (``owner my own_``) to see the missing messages of those files alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import escape

from app.web.language import english_catalogue

HERE = Path(__file__).parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
OPTIONS = {"templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}
KEYWORDS = {"_": None, "_l": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}

# Context, Chinese, and whether it is said of a number (ngettext): a plain entry never stands for such a one.
Key = tuple[str | None, str, bool]


def used() -> dict[Key, str]:
    """Return each message of the pages with the first file it stands in."""
    found: dict[Key, str] = {}
    for filename, _line, message, _comments, context in extract_from_dir(
        HERE, METHODS, options_map=OPTIONS, keywords=KEYWORDS
    ):
        text = message if isinstance(message, str) else message[0]
        found.setdefault((context, text, text is not message), Path(filename).name)
    return found


def translated(catalogue: Catalog | None = None) -> dict[Key, tuple[str, ...]]:
    """Return each message of the catalogue (without one, of all ours) with its English: two forms for a plural."""
    found: dict[Key, tuple[str, ...]] = {}
    for message in english_catalogue() if catalogue is None else catalogue:
        if not message.id or message.fuzzy:
            continue
        plural, forms = not isinstance(message.id, str), message.string or ""
        text = message.id if isinstance(message.id, str) else message.id[0]
        found[message.context, text, plural] = (forms,) if isinstance(forms, str) else tuple(forms)
    return found


def missing(*beginnings: str) -> Iterator[tuple[Key, str]]:
    """Yield the messages without English and their files, of files whose names begin so (all without any)."""
    english = translated()
    for key, filename in sorted(used().items(), key=lambda item: (item[1], item[0][1])):
        if not all(english.get(key, ("",))) and filename.startswith(beginnings or ("",)):
            yield key, filename


def unused() -> list[Key]:
    """Return the messages in the catalogue that no page says."""
    return sorted(set(translated()) - set(used()), key=str)


def main() -> int:
    """Print what is missing; 1 where anything is, or where English stands for nothing."""
    lacking = list(missing(*sys.argv[1:]))
    for (context, text, plural), filename in lacking:
        named = f"msgctxt {escape(context)}\n" if context else ""
        forms = f'msgid_plural {escape(text)}\nmsgstr[0] ""\nmsgstr[1] ""\n' if plural else 'msgstr ""\n'
        sys.stdout.write(f"#: {filename}\n{named}msgid {escape(text)}\n{forms}\n")
    left_over = unused()
    for _context, text, _plural in left_over:
        sys.stderr.write(f"nobody says: {text}\n")
    return 1 if lacking or left_over else 0


if __name__ == "__main__":
    sys.exit(main())
