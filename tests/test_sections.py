"""Documents into sections: which headings are seen, which look-alikes are not, which anchors stay."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ingest.sections import ANCHOR_BYTES_MAX, sections_of


def cut(text: str, suffix: str = ".rst") -> list[tuple[str, str, str]]:
    return [
        (section.anchor, section.heading, section.text) for section in sections_of(dedent(text).lstrip("\n"), suffix)
    ]


def anchors(text: str, suffix: str = ".rst") -> list[str]:
    return [anchor for anchor, _, _ in cut(text, suffix)]


# --- reStructuredText ---------------------------------------------------------------------------------------


def test_rst_sections_are_cut_at_underlined_and_overlined_titles_and_nested_by_the_order_of_styles() -> None:
    assert cut("""
        ====
        Shop
        ====
        What it is.

        Paying
        ======
        Money goes in.

        Refunds
        -------
        Money goes out.

        Shipping
        ========
        Boxes.
        """) == [
        ("top", "Shop", "What it is."),
        ("paying", "Paying", "Money goes in."),
        ("paying/refunds", "Refunds", "Money goes out."),
        ("shipping", "Shipping", "Boxes."),
    ]  # the same character with and without overline is two styles


def test_an_indented_title_between_adornments_is_a_title() -> None:
    assert cut("""
        ==========
           Shop
        ==========
        Text.
        """) == [("top", "Shop", "Text.")]


@pytest.mark.parametrize(
    "look_alike",
    [
        "Code::\n\n    Not a title\n    ===========\n\n    still code",
        ".. code-block:: text\n\n   Not a title\n   -----------\n\n   still code",
        "Quoted::\n\n> Not a title\n> ----\n>>>>>>>>>>>>>>",
        "A paragraph of two lines, the second one\nNot a title\n-----------\nis inside it",
        "Before a transition.\n\n----------\n\nAfter it.",
        "=====  =====\nA      B\n=====  =====\n1      2\n=====  =====",
        "+------+------+\n| A    | B    |\n+======+======+\n| 1    | 2    |\n+------+------+",
        "- item\n------",
        ">>> print('=' * 4)\n====",
        ".. comment\n----------",
        "| line block\n------------",
        "Fox\n--\nshort",
    ],
)
def test_look_alikes_of_titles_are_text(look_alike: str) -> None:
    assert cut(f"Title\n=====\n\n{look_alike}\n") == [("top", "Title", look_alike)]


def test_a_short_underline_is_a_title_from_four_characters_on() -> None:
    assert anchors("A rather long title\n====\ntext\n") == ["top"]
    assert anchors("One\n===\ntext\n\nNumber 2. Two\n-------------\ntext\n") == ["top", "number-2-two"]


def test_wide_characters_take_two_columns() -> None:
    assert cut("日本\n====\ntext\n") == [("top", "日本", "text")]
    assert cut("日本\n===\ntext\n") == [("top", "", "日本\n===\ntext")]


def test_a_label_belongs_to_the_heading_below_it() -> None:
    assert cut("""
        .. _shop:

        Shop
        ====
        Text with a target inside it.

        .. _inner:

        More text.

        .. _pay:
        .. _`pay, and more`:

        Paying
        ------
        Money.
        """) == [
        ("top", "Shop", "Text with a target inside it.\n\n.. _inner:\n\nMore text."),
        ("paying", "Paying", "Money."),
    ]


def test_a_title_right_below_a_label_is_seen() -> None:
    assert anchors(".. _pay:\nPaying\n======\ntext\n\nX\n-\ntext\n") == ["top", "x"]


# --- Markdown -----------------------------------------------------------------------------------------------


def test_markdown_sections_are_cut_at_both_kinds_of_headings() -> None:
    assert cut(
        """
        # Shop
        What it is.

        Paying *now*
        ------------
        Money.

        ### Refunds ###
        Out.

        ## Paying later
        Perhaps.
        """,
        ".md",
    ) == [
        ("top", "Shop", "What it is."),
        ("paying-now", "Paying *now*", "Money."),
        ("paying-now/refunds", "Refunds", "Out."),
        ("paying-later", "Paying later", "Perhaps."),
    ]


@pytest.mark.parametrize(
    "look_alike",
    [
        "```\n# not a heading\n```",
        "~~~ python\n# not a heading\n```\n# nor this\n~~~",
        "````\n```\n# not a heading\n````",
        "```\n# an open fence runs to the end",
        "text\n\n    # indented code",
        "<!--\n# commented out\n-->",
        "> # quoted",
        "- # in a list",
        "#hashtag",
        "####### seven",
        "Before a rule.\n\n---\n\nAfter it.",
    ],
)
def test_look_alikes_of_markdown_headings_are_text(look_alike: str) -> None:
    assert cut(f"# Title\n\n{look_alike}\n", ".md") == [("top", "Title", look_alike)]


def test_front_matter_is_no_heading() -> None:
    assert cut("---\nstatus: draft\n---\n# Title\ntext\n", ".md") == [
        ("top", "Title", "---\nstatus: draft\n---\n\ntext")
    ]


# --- plain text, and what all have in common ----------------------------------------------------------------


def test_plain_text_is_cut_at_underlined_titles_or_not_at_all() -> None:
    assert cut("Notes\n=====\none\n\nLater\n-----\ntwo\n", ".txt") == [
        ("top", "Notes", "one"),
        ("later", "Later", "two"),
    ]
    assert cut("just\nlines\n", ".txt") == [("top", "", "just\nlines")]


def test_an_empty_document_and_headings_without_text_of_their_own_give_no_section() -> None:
    assert cut("") == cut("\n \n") == []
    assert anchors("Shop\n====\n\nPaying\n------\n\nRefunds\n~~~~~~~\ntext\n") == ["paying/refunds"]


def test_what_stands_before_the_title_is_kept_with_it() -> None:
    assert cut(":orphan:\n\nShop\n====\ntext\n") == [("top", "Shop", ":orphan:\n\ntext")]


def test_a_document_with_several_highest_headings_has_no_title() -> None:
    assert anchors("preamble\n\nA\n=\ntext\n\nB\n=\ntext\n") == ["top", "a", "b"]


def test_renaming_the_title_moves_no_anchor() -> None:
    body = "text\n\nPaying\n------\ntext\n\nCash\n~~~~\ntext\n"
    assert anchors(f"Shop\n====\n{body}") == anchors(f"Store\n=====\n{body}") == ["top", "paying", "paying/cash"]


def test_equal_headings_get_numbers() -> None:
    doubled = "\n".join(f"{title}\n{'-' * 8}\ntext\n" for title in ("Example", "Example 2", "Example", "Top", "? !"))
    assert anchors("Shop\n====\n" + doubled) == ["example", "example-2", "example-3", "top-2", "section"]


def test_slugs_keep_letters_of_every_script_and_lose_markup() -> None:
    assert anchors(
        "T\n=\n\nThe :meth:`~app.run` *method*, `here <https://x.org>`_!\n-------------------------\ntext\n"
    ) == ["the-app-run-method-here"]
    assert anchors("# T\n## Überblick — 概要\ntext\n", ".md") == ["überblick-概要"]


def test_an_anchor_fits_into_a_key_however_deep_and_long_the_headings() -> None:
    long, other = ("# T\n## " + "章" * 400 + f"{end}\ntext\n" for end in "ab")
    assert len(anchors(long, ".md")[0].encode()) <= ANCHOR_BYTES_MAX + len("-01234567")
    assert anchors(long, ".md") != anchors(other, ".md")


def test_line_ends_trailing_spaces_and_a_byte_order_mark_change_nothing() -> None:
    assert (
        cut("\ufeffShop\r\n====  \r\ntext \r\nmore\r\n")
        == cut("Shop\n====\ntext\nmore\n")
        == [("top", "Shop", "text\nmore")]
    )


LINE = st.sampled_from(
    [
        "",
        "Title",
        "=====",
        "-----",
        "text::",
        "  code",
        "# H",
        "## H",
        "```",
        "~~~",
        ".. _a:",
        "> q",
        "---",
        "- x",
        "Änd\u0301",
        "日本",
    ]
)


@given(st.lists(LINE, max_size=30), st.sampled_from([".rst", ".md", ".txt"]))
def test_any_text_is_cut_into_sections_with_unique_anchors_and_nothing_twice(lines: list[str], suffix: str) -> None:
    sections = sections_of("\n".join(lines), suffix)
    assert len({section.anchor for section in sections}) == len(sections)
    assert all(section.text.strip() and "@" not in section.anchor and "#" not in section.anchor for section in sections)
    assert (
        sum(len(section.text.split("\n")) for section in sections) <= len(lines) + 1
    )  # one: a preamble joined to its title
    words = [line for line in lines if line == "text::"]
    assert sum(section.text.split("\n").count("text::") for section in sections) + sum(
        section.heading == "text::" for section in sections
    ) <= len(words)
