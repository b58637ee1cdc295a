"""
Makes the sample: 5 000 leads as three sources of one company would export them.

Rules:
    Seeded, so that the same bytes come out at every run and on every machine.
    Nobody here is real: addresses end in .example, and numbers in 555-01xx, which the
    North American plan keeps for fiction.
    In ``crm.csv`` nobody repeats; all other mess is in all three files.

    python benchmarks/sample/make.py
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SEED = 20240616
FOLDER = Path(__file__).parent
CRM, FORMS, EVENT = 2_500, 1_500, 1_000

FIRST = (
    *("Ada", "Grace", "Linus", "Zoë", "José", "Siân", "Łukasz", "Øyvind", "Chloé"),
    *("Нина", "Дмитрий", "Ελένη", "宏", "美咲", "محمد", "ليلى", "Jürgen", "Anaïs"),
    *("Mary-Jane", "Seán", "Priya", "Ravi", "Nguyễn", "Kwame", "Ngozi", "İpek"),
)
LAST = (
    *("King", "Hopper", "O'Brien", "van der Berg", "Müller", "Strauß", "Çelik"),
    *("Nowak", "Иванова", "Παπαδοπούλου", "山田", "الخطيب", "Fernández-López"),
    *("Smith", "Jones", "Ng", "Li", "Håkansson", "D’Angelo", "St. James", "Adebayo"),
)
ASCII = ("ada", "grace", "linus", "zoe", "jose", "sian", "lukasz", "oyvind", "nina")
FIRMS = ("Acme", "Globex, Inc.", 'The "Blue" Co', "Initech", "Umbrella", "Ünlü A.Ş.")
CITIES = (("Oslo", "NO"), ("Austin", "US"), ("São Paulo", "BR"), ("Köln", "DE"))
TAGS = ("newsletter", "VIP", "Webinar 2024", "trial", "Partner")
# Area codes that are assigned, long since: a number of another one is none.
AREAS = (
    *(201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218),
    *(219, 224, 225, 228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260),
    *(262, 267, 269, 270, 281),
)
SWITCHBOARDS = tuple(f"+1 989-555-01{n:02d}" for n in range(12))

Lead = dict[str, Any]


def person(rng: random.Random, number: int) -> Lead:
    """Make one person, unlike every other by email and phone."""
    city, country = rng.choice(CITIES)
    area, last = divmod(number, 100)
    return {
        "firstName": rng.choice(FIRST),
        "lastName": rng.choice(LAST),
        "email": f"{rng.choice(ASCII)}.{number}@{rng.choice(('acme', 'mail'))}.example",
        "phone": f"+1{AREAS[area]}5550{100 + last}",
        "companyName": rng.choice(FIRMS),
        "city": city,
        "country": country,
        "tags": rng.sample(TAGS, rng.randrange(4)),
    }


def typed(rng: random.Random, lead: Lead) -> Lead:
    """Write a person as people type: case, white space, the forms of a number."""
    found = dict(lead)
    found["email"] = rng.choice((str, str, str.upper, str.title))(found["email"])
    found["email"] = rng.choice(("{}", "{}", " {}", "{} ", "\u00a0{}")).format(
        found["email"]
    )
    found["phone"] = formatted(rng, found["phone"])
    if rng.random() < 0.1:
        found["lastName"] = found["lastName"].upper()
    for name in ("companyName", "city", "phone"):
        if rng.random() < 0.08:
            found[name] = rng.choice(("", " "))
    return found


def formatted(rng: random.Random, phone: str) -> str:
    """Write a number in one of the ways in which exports hold it."""
    area, block, last = phone[2:5], phone[5:8], phone[8:]
    return rng.choice(
        (
            phone,
            f"+1 ({area}) {block}-{last}",
            f"+1 {area}-{block}-{last}",
            f"001{area}{block}{last}",
            f"({area}) {block}-{last}",
            f"{area}.{block}.{last}",
        )
    )


def crm(people: list[Lead], rng: random.Random) -> list[Lead]:
    """Write the system of record: everybody once."""
    return [typed(rng, lead) for lead in people[:CRM]]


def again(rng: random.Random, people: list[Lead], number: int) -> Lead:
    """Choose who sends something: one half is known, and some have news."""
    known = rng.random() < 0.5
    lead = dict(people[rng.randrange(CRM) if known else CRM + rng.randrange(number)])
    if rng.random() < 0.15:
        lead["city"], lead["country"] = rng.choice(CITIES)
    return lead


def forms(people: list[Lead], rng: random.Random) -> list[Lead]:
    """Write web forms: in a hurry, sent twice, a shared number, fields swapped."""
    rows: list[Lead] = []
    while len(rows) < FORMS:
        lead = typed(rng, again(rng, people, 900))
        chance = rng.random()
        if chance < 0.04:
            lead["phone"] = rng.choice(SWITCHBOARDS)
        elif chance < 0.06:
            lead["email"], lead["phone"] = lead["phone"], lead["email"]
        elif chance < 0.08:
            lead["email"] = rng.choice(("n/a", "none@", "ada at mail", "x@@y.example"))
        elif chance < 0.1:
            lead["email"] = lead["phone"] = ""
        rows.append(lead)
        if rng.random() < 0.12:
            rows.append(dict(lead))
    return rows[:FORMS]


def event(people: list[Lead], rng: random.Random) -> Iterator[str]:
    """Write the badge scans of an event, as JSON Lines, a few of them broken."""
    for number in range(EVENT):
        lead = typed(rng, again(rng, people, 1_200))
        payload: Lead = {
            "name": f"{lead['firstName']} {lead['lastName']}",
            "email": lead["email"].strip() or None,
            "phone": lead["phone"].strip() or None,
            "tags": [*lead["tags"], "Expo 2024"],
            "source": "expo",
        }
        if rng.random() < 0.05:
            payload["phone"] = rng.choice(SWITCHBOARDS)
        if rng.random() < 0.03:
            payload["email"] = None
        line = json.dumps(payload, ensure_ascii=number % 2 == 0)
        yield line[:-9] if number % 250 == 249 else line


def table(rows: list[Lead], columns: dict[str, str]) -> bytes:
    """Write a CSV as spreadsheets do: heading row, CRLF, quotes where needed."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        cells = [row[name] for name in columns.values()]
        writer.writerow([";".join(c) if isinstance(c, list) else c for c in cells])
    return text.getvalue().encode()


def files() -> dict[str, bytes]:
    """Make the three files, by name."""
    rng = random.Random(SEED)
    people = [person(rng, number) for number in range(CRM + 1_200)]
    fields = ("firstName", "lastName", "email", "phone", "city", "country", "tags")
    columns = {name: name for name in fields}
    crm_columns = {
        "First Name": "firstName",
        "Last Name": "lastName",
        "E-mail Address": "email",
        **{name: name for name in ("phone", "companyName", *fields[4:])},
    }
    lines = "".join(line + "\n" for line in event(people, rng))
    return {
        # Excel's "CSV UTF-8" begins with a byte order mark.
        "crm.csv": b"\xef\xbb\xbf" + table(crm(people, rng), crm_columns),
        "forms.csv": table(forms(people, rng), columns),
        "event.jsonl": lines.encode(),
    }


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)
        lines = content.count(10)
        print(f"{name}: {lines:,} lines")
