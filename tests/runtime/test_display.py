"""Foreign text, medium by medium: shown as it stands, and nothing more."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from minilm.runtime.display import (
    github_data,
    github_property,
    html_text,
    markdown_text,
    visible,
    visible_json,
)

NASTY = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.lists(
        st.sampled_from(
            ["\n", "\r", "\x1b[2J", "::", "error::", "##[", "##vso[", " ", "#", "[", "]", "(x)",
             "!", "<script>", "&amp;", "&#64;", "@all", "`", "|", "*", "-", "1.", ">", "=", "https://a.b/c",
             "www.a.b", "GH-1", "#1", "\u202e", "\x00", "\ud800", "\\", "%0A", "a", "é"]
        )
    ).map("".join),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 日本, #1 @all", "plain, é, 日本, #1 @all"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("right \u202e left", "right \\u202e left"),
        ("a lone \ud800", "a lone \\ud800"),
        ("\n::error::x", "\\n::error::x"),
        ("  ::error::x", "\\  ::error::x"),
        ("a ::error::x", "a ::error::x"),
        ("a ##[error]x", "a \\x23#[error]x"),
        ("##vso[task.x]", "\\x23#vso[task.x]"),
        ("###[group]", "#\\x23#[group]"),
        ("", ""),
    ],
)
def test_visible_escapes_controls_and_commands(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(NASTY)
def test_visible_is_one_printable_line_without_a_command(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert not shown.lstrip().startswith("::")
    assert not re.search(r"##\w*\[", shown)
    assert visible(shown) == shown
    shown.encode("utf-8")


@given(NASTY)
def test_visible_is_well_formed_xml(text: str) -> None:
    element = ET.Element("a", name=visible(text))
    element.text = visible(text)
    read = ET.fromstring(ET.tostring(element, encoding="unicode"))
    assert read.attrib["name"] == visible(text)
    assert (read.text or "") == visible(text)


@given(NASTY)
def test_a_workflow_command_stays_one_and_its_message_the_same(text: str) -> None:
    line = f"::error title={github_property(text)}::{github_data(text)}"
    assert len(line.splitlines()) == 1
    title, _, message = line.removeprefix("::error title=").partition("::")
    assert not {*":,"} & {*title}
    decode = {"%25": "%", "%3A": ":", "%2C": ","}
    assert re.sub("%25|%3A|%2C", lambda match: decode[match[0]], title) == visible(text)
    assert message.replace("%25", "%") == visible(text)


class Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(NASTY)
def test_html_shows_the_text_alone(text: str) -> None:
    page = Text()
    page.feed(f'<p title="{html_text(text)}">{html_text(text)}</p>')
    page.close()
    assert page.tags == ["p"]
    assert page.text == visible(text)


@given(NASTY)
@example("- a")
@example("1. a")
@example("1) a")
@example("===")
@example("<!-- a -->")
@example("![a](https://a.b)")
@example("> a")
@example("[a]: /b")
def test_markdown_shows_the_text_alone(text: str) -> None:
    source = f"{markdown_text(text)}\n\n- {markdown_text(text)}\n\n|a|b|\n|---|---|\n"
    source += f"|{markdown_text(text)}|end|\n"
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(source)
    inline = [token for token in tokens if token.type == "inline"]
    kinds = {child.type for token in inline for child in token.children or ()}
    assert kinds <= {"text", "text_special"}
    shown = ["".join(child.content for child in token.children or ()) for token in inline]
    expected = visible(text).strip(" ")
    # An empty paragraph is none; the cells of the table come last, and the row has two of them.
    assert [line.replace("\u200b", "") for line in shown if line] == [
        *([expected] * 2 if expected else []), "a", "b", *([expected] if expected else []), "end"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["@all", "a@b.org", "#12", "GH-3", "https://a.b", "www.a.b"])
def test_markdown_gives_a_code_host_nothing_to_link(text: str) -> None:
    (inline,) = (t for t in MarkdownIt().parse(markdown_text(text)) if t.type == "inline")
    shown = "".join(child.content for child in inline.children or ())
    assert "\u200b" in shown
    assert shown.replace("\u200b", "") == text


@given(value=st.recursive(NASTY, lambda inner: st.lists(inner) | st.dictionaries(NASTY, inner)))
@example(value="\U0010ffff\x9b##vso[x]")
def test_json_means_the_same(value: object) -> None:
    text = visible_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value
    assert text.replace("\n", "").isprintable()
    assert not re.search(r"##\w*\[|^\s*::", text, re.MULTILINE)
