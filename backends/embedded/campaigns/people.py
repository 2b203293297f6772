"""Recipients that don't exist: the same ones for the same seed, all of them at example.com."""

import csv
import io
import random
from collections.abc import Iterator

COLUMNS = ("email", "first_name", "last_name", "city", "member_since", "voucher")

FIRST = (  # noqa: SIM905
    "Ada Amir Anouk Ben Bea Björn Camila Chen Clara Dara Diego Edda Elif Emeka Esme Farah Felix Finn Gemma Goran "
    "Hana Hugo Ida Imran Ines Jonas June Kaia Kofi Lena Leo Lucía Malik Mara Marek Mina Nadia Niko Noor Olga Omar "
    "Paula Pavel Priya Quinn Rafael Renée Rosa Sami Sanne Selma Siobhán Tariq Theo Uma Vera Viktor Wren Yara Zoë"
).split()
LAST = (  # noqa: SIM905
    "Abara Aldana Almeida Anker Baptiste Barros Becker Bhatt Borg Castellan Chandra Cole Dahl Delgado Demir Drake "
    "Egan Eriksen Falk Fontaine Fuentes Garrick Haddad Hale Hartmann Ibarra Ilves Jansen Kamau Keane Kimura Kowal "
    "Laurent Lindqvist Lozano Marsh Mbeki Moreau Nakata Novak Oduya Okafor O'Neil Ortega Park Petrov Quist Ramos "
    "Reyes Rossi Saito Salter Santos Seki Thorne Tran Ueda Vance Varga Wolfe Yilmaz Zeller"
).split()
CITIES = (  # noqa: SIM905
    "San Diego|Long Beach|Oceanside|Coronado|La Jolla|Monterey|Sausalito|Santa Cruz|Newport Beach|Avalon|"
    "Port Townsend|Astoria, OR|Half Moon Bay|Morro Bay|Dana Point"
).split("|")
PLAIN = str.maketrans("áéíóúëöñ", "aeioueon", "'")


def people(seed: str, count: int) -> Iterator[dict[str, str]]:
    """`count` recipients with distinct addresses."""
    chance = random.Random(seed)  # noqa: S311 - names, not secrets
    for number in range(1, count + 1):
        first, last = chance.choice(FIRST), chance.choice(LAST)
        yield {
            "email": f"{first}.{last}.{number}@example.com".lower().translate(PLAIN),
            "first_name": first,
            "last_name": last,
            "city": chance.choice(CITIES),
            "member_since": str(chance.randint(2004, 2025)),
            "voucher": f"{chance.randrange(16**6):06X}",
        }


def table(rows: Iterator[dict[str, str]]) -> str:
    """The CSV, as a spreadsheet would write it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
