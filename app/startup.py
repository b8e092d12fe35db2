"""What stops a command before it begins, and how it says so."""

from __future__ import annotations


class CannotStart(Exception):
    """A command cannot start or go on. Its text is one sentence for the person at the terminal, remedy included.

    ``app/cli.py`` prints it without a traceback and leaves with exit code 1.
    """
