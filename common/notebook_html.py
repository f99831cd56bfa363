"""HTML for a notebook: pieces that hold no script and load nothing, and in which every text is escaped."""

import base64
from collections.abc import Sequence

from markupsafe import Markup, escape

_LEFT, _RIGHT = "text-align:left", "text-align:right"


def figure(picture: bytes, alternative: str, width: int, below: Markup) -> str:
    """A PNG picture as a data URI, with something below it.

    Args:
        picture: the file's bytes.
        alternative: the text in its place.
        width: as it is shown, in pixels.
        below: HTML.
    """
    source = base64.b64encode(picture).decode("ascii")
    return str(
        Markup(
            '<figure style="display:inline-block;margin:0 1em 1em 0">'
            '<img src="data:image/png;base64,{}" alt="{}" width="{}">{}</figure>'
        ).format(source, alternative, width, below)
    )


def facts(lines: Sequence[tuple[str, str]]) -> Markup:
    """A table of names and what there is to say of each."""
    return Markup("<table>{}</table>").format(
        Markup("").join(
            Markup('<tr><th style="{}">{}</th><td style="{}">{}</td></tr>').format(_LEFT, name, _LEFT, value)
            for name, value in lines
        )
    )


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table under a title; the first column is left-aligned, the others (numbers) right-aligned."""
    head = _row(columns, "th")
    body = Markup("").join(_row(row, "td") for row in rows)
    caption = Markup('<caption style="{}">{}</caption>').format(_LEFT, title)
    return Markup("<table>{}<thead>{}</thead><tbody>{}</tbody></table>").format(caption, head, body)


def paragraph(text: str) -> Markup:
    """A paragraph."""
    return Markup("<p>{}</p>").format(escape(text))


def _row(cells: Sequence[str], tag: str) -> Markup:
    styled = [(_LEFT if index == 0 else _RIGHT, cell) for index, cell in enumerate(cells)]
    made = [Markup(f'<{tag} style="{{}}">{{}}</{tag}>').format(style, cell) for style, cell in styled]
    return Markup("<tr>{}</tr>").format(Markup("").join(made))
