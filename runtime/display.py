"""Foreign text made safe for the place where it is shown.

A model's id, a file's name or a text to embed may hold control characters, markup, or commands to
the system that reads the output. Each function takes such a text and gives one that is shown as it
stands in one medium, on one line. Whoever writes that medium calls it last, once.
"""

import re
from typing import Final

__all__ = [
    "github_data",
    "github_property",
    "html_text",
    "markdown_text",
    "visible",
    "visible_json",
]

# CI systems read these in any line of a log: GitHub and Azure "##[", Azure "##vso[", TeamCity
# "##teamcity[". GitHub reads "::" where a line begins, white space apart.
_LOG_COMMAND: Final = re.compile(r"##(?=\w*\[)|^(?=\s*::)")
# Outside of strings JSON has none of these; a line of it never begins with "::".
_JSON_COMMAND: Final = re.compile(r"##(?=\w*\[)")
# Code hosts make links of these in the rendered text.
_LINK: Final = re.compile(
    r"#(?=\d)|\bGH(?=-\d)|(?:https?|ftp|mailto|xmpp)(?=:)|www(?=\.)|@", re.IGNORECASE
)
_BLOCK: Final = re.compile(r"^([-=>]|\d+\.)")
_MARKDOWN: Final = str.maketrans(
    {
        **{character: f"\\{character}" for character in "`*_{}[]()#+!|~"},
        # Parsers of tables do not agree on what a backslash before a pipe means: none stays.
        "\\": "&#92;",
        "&": "&amp;",
        "<": "&lt;",
        "@": "&#64;",
        "\u200b": "&#8203;",
    }
)


def visible(text: str) -> str:
    r"""Escape what cannot be seen, as Python does in a string: `\x1b`, `\n`, `\u202e`.

    Safe on a terminal, in a log that a CI system reads for commands, and in XML (whose writer
    escapes markup). Applied twice, it changes nothing more.

    Example:
        >>> print(visible("name\n::error::\x1b[31m"))
        name\n::error::\x1b[31m
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escaped(c) for c in text)
    return _LOG_COMMAND.sub(lambda match: r"\x23#" if match[0] else "\\", text)


def visible_json(text: str) -> str:
    """Escape the same in JSON, by JSON's own escapes: it means what it meant. Line feeds stay."""
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else _json_escaped(c) for c in text)
    return _JSON_COMMAND.sub(r"\\u0023#", text)


def github_data(text: str) -> str:
    """Escape the message of a workflow command (actions/toolkit, packages/core/src/command.ts)."""
    return visible(text).replace("%", "%25")


def github_property(text: str) -> str:
    """Escape a property of a workflow command, such as its title."""
    return github_data(text).replace(":", "%3A").replace(",", "%2C")


def html_text(text: str) -> str:
    """Escape a text for an element or a quoted attribute of HTML."""
    from html import escape

    return escape(visible(text), quote=True)


def markdown_text(text: str) -> str:
    """Escape a text for a paragraph, a list item or a table's cell of Markdown.

    No markup, no HTML, no link, no broken table. A zero-width space keeps a code host from making
    a mention, or a reference to an issue, of what it finds in the rendered text.
    """
    escaped = _LINK.sub("\\g<0>\u200b", visible(text)).translate(_MARKDOWN)
    return _BLOCK.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", escaped)


def _json_escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
