"""
Makes the labelled sample: 150 rows that say which of 60 people each is about.

Rules:
    Seeded, so that the same bytes come out at every run and on every machine.
    Nobody here is real: addresses end in .example, and numbers in 555-01xx, which the
    North American plan keeps for fiction.
    A few people change their address, many leave their number out, and some share one.

    python benchmarks/sample/make_labelled.py
"""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

SEED = 20240617
FOLDER = Path(__file__).parent
PEOPLE, ROWS = 60, 150

FIRST = ("Ada", "Grace", "Linus", "Zoë", "José", "Siân", "Priya", "Kwame", "Ngozi")
LAST = ("King", "Hopper", "O'Brien", "Müller", "Nowak", "Smith", "Ng", "Håkansson")
COLUMNS = ("person", "firstName", "lastName", "email", "phone", "city")
CITIES = ("Oslo", "Austin", "São Paulo", "Köln")

Row = dict[str, str]


def person(rng: random.Random, number: int) -> Row:
    """Make one person; one in ten shares the number of the one before."""
    first, last = rng.choice(FIRST), rng.choice(LAST)
    line = number - 1 if number % 10 == 9 else number
    return {
        "person": f"p-{number:02d}",
        "firstName": first,
        "lastName": last,
        "email": f"{'abcdefgh'[number % 8]}.{number}@mail.example",
        "phone": f"+1201555{100 + line:04d}",
        "city": rng.choice(CITIES),
    }


def sent(rng: random.Random, known: Row) -> Row:
    """Write a person as one of several systems would hold them."""
    row = dict(known)
    if rng.random() < 0.15:
        row["email"] = row["email"].replace("@mail.", "@new.")
    if rng.random() < 0.3:
        row["email"] = row["email"].upper()
    if rng.random() < 0.4:
        digits = row["phone"]
        row["phone"] = f"+1 ({digits[2:5]}) {digits[5:8]}-{digits[8:]}"
    if rng.random() < 0.3:
        row["phone"] = ""
    return row


def content() -> bytes:
    """Make the file."""
    rng = random.Random(SEED)
    people = [person(rng, number) for number in range(PEOPLE)]
    drawn = [*people, *rng.choices(people, k=ROWS - PEOPLE)]
    rng.shuffle(drawn)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sent(rng, each) for each in drawn)
    return text.getvalue().encode()


if __name__ == "__main__":
    (FOLDER / "labelled.csv").write_bytes(content())
