"""The lines of a TOML text, whatever its values contain."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore.policy.toml_lines import line_of, statement_lines

TEXT = r"""
# [no.table] = "comment"
a = @@@
[not.a.table]
b = 1 \@@@ # none
@@@@
'c=' = [
  "x]", # ]
  { d = 1 },
]
e . "f g" = { h = '''
i = 2'''' }

[ j."k.l" ]  # table
m = 'it"s'
[j."k.l".n]
[[o]]
p = ""
""".lstrip().replace("@", '"')


def test_names_have_the_lines_of_their_statements() -> None:
    tomllib.loads(TEXT)

    assert statement_lines(TEXT) == {
        ("a",): 2,
        ("c=",): 6,
        ("e",): 10,
        ("e", "f g"): 10,
        ("j",): 13,
        ("j", "k.l"): 13,
        ("j", "k.l", "m"): 14,
        ("j", "k.l", "n"): 15,
        ("o",): 16,
        ("o", "p"): 17,
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [(("e", "f g", "h"), 10), (("j", "k.l", "x", "y"), 13), (("x",), None)],
)
def test_value_without_a_line_has_that_of_its_statement(path: Any, line: Any) -> None:
    assert line_of(statement_lines(TEXT), path) == line


NAMES = st.sampled_from(("a", "b-1", '"c.d"', "'='", '"[\\""', '"#"'))
VALUES = st.sampled_from(
    (
        *("1", '"x"', "'[a]'", '"a\\"=\\""', '"""\n[a]\nb = 1\n"""', "'''\n= \"\n'''"),
        *("[1,\n 2, # ]\n]", '{ a = "}" }', '["""\n""", \'\']', '""""x"""', "1.5"),
    )
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_drawn_statement_has_the_line_on_which_it_begins(pairs: Any) -> None:
    """Whatever the values before it contain."""
    lines, text = {}, ""
    for number, (name, value) in enumerate(pairs):
        lines[f"t{number}"] = text.count("\n") + 1
        text += f"[t{number}]\n{name} = {value}\n\n"
    document = tomllib.loads(text)
    found = statement_lines(text)

    assert {name: found[name,] for name in document} == lines
    for table, options in document.items():
        for option in options:
            assert found[table, option] == lines[table] + 1
