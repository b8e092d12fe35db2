"""What staff send and get about the training material."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, validate
from marshmallow.fields import Field, List, Nested

from app.schemas.answers import text, whole
from app.schemas.fields import Day, StrictSchema, Text, Whole
from app.schemas.people import many
from registry.training_material import LONGEST_OPTION, LONGEST_QUESTION, LONGEST_TITLE, MOST_OPTIONS, MOST_QUESTIONS

_MOST_PARAGRAPHS = 200


def _several(inner: Field[Any], description: str, *, most: int) -> Field[Any]:
    return List(
        inner,
        required=True,
        validate=[validate.Length(min=1, error="required"), validate.Length(max=most, error=f"out_of_range|1|{most}")],
        metadata={"description": description},
        error_messages={"required": "required", "null": "null", "invalid": "not_a_list"},
    )


class BankQuestionRequest(StrictSchema):
    """One question of the bank."""

    question = Text("the question, 200 characters at most", longest=LONGEST_QUESTION, required=True)
    options = _several(
        Text("one option, 120 characters at most", longest=LONGEST_OPTION),
        "two to eight options, none twice, in the order shown",
        most=MOST_OPTIONS,
    )
    answer = Whole("place of the right option counted from 0", high=MOST_OPTIONS, required=True)


class TrainingVersionRequest(StrictSchema):
    """A version of the material with its bank of questions."""

    title = Text("its title, 60 characters at most", longest=LONGEST_TITLE, required=True)
    paragraphs = _several(
        Text("one paragraph", longest=2_000), "its paragraphs; 100 characters or more in all", most=_MOST_PARAGRAPHS
    )
    effective_on = Day("first day it counts, Asia/Shanghai; it lies ahead", required=True)
    questions = _several(Nested(BankQuestionRequest), "the bank; at least as many as a test has", most=MOST_QUESTIONS)


class BankQuestionAnswer(Schema):
    """One question of the bank, with what is right."""

    question = text("the question")
    options: Field[Any] = List(text("one option"), metadata={"description": "the options in the order shown"})
    answer = whole("place of the right option counted from 0")


class TrainingVersionRow(Schema):
    """One version."""

    version = whole("its number")
    title = text("its title")
    effective_at = text("from when it counts, ISO 8601 with offset")


class TrainingVersionAnswer(TrainingVersionRow):
    """One version with its text and its bank."""

    text_zh = text("the material, paragraphs divided by line feeds")
    questions = many(BankQuestionAnswer, "the bank, with the right answers: for staff alone")


class TrainingVersions(Schema):
    """Every version."""

    versions = many(TrainingVersionRow, "newest first; one that is announced is among them")
