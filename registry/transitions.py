"""Legal states: one table of transitions per noun, and the refusal when a step is not in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.base import StepNotAllowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Transitions:
    """The states of one noun and the steps between them: ``edges[state][step] -> next state``.

    ``words`` gives every state its Chinese name for people; code and tables use the key, which is its English name.
    """

    noun_zh: str
    noun_en: str
    words: Mapping[str, str]
    edges: Mapping[str, Mapping[str, str]]

    def after(self, *, state: str, step: str) -> str:
        """Return the state that ``step`` leads to; raises StepNotAllowed where the table has no such edge."""
        following = self.edges.get(state, {}).get(step)
        if following is None:
            raise StepNotAllowed(
                noun=self.noun_zh,
                noun_en=self.noun_en,
                state=self.words.get(state, state),
                state_en=state.replace("_", " "),
                step=step.replace("_", " "),
            )
        return following

    def allows(self, *, state: str, step: str) -> bool:
        """Say whether ``step`` is possible from ``state``."""
        return step in self.edges.get(state, {})
