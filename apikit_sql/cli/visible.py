"""Characters that a terminal obeys, made visible: what an API says must not move the cursor, nor set a title."""

from __future__ import annotations

from itertools import chain

#: Those that turn the direction of writing, and so can show another text than there is.
_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_ONE_LINE = {number: repr(chr(number))[1:-1] for number in chain(range(32), range(127, 160), _BIDI)}
_LINES = {number: text for number, text in _ONE_LINE.items() if chr(number) not in "\n\t"}


def visible(text: str) -> str:
    """`text` without characters that a terminal obeys, but for line breaks and tabs."""
    return text.translate(_LINES)


def on_one_line(text: str) -> str:
    """`text` without any of them."""
    return text if text.isprintable() else text.translate(_ONE_LINE)
