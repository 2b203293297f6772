"""The process that renders one mail of a campaign, to be looked at. Started by preview.py, and can be cut off.

Standard input: one JSON line with the templates and the number of the row, then the data file. Standard output:
JSON lines, of which one says `preview`. It has the renderer's limits: a template is somebody else's program.
"""

import json
import sys

from opsconsole.preflight.renderer import limit_memory, say
from runner.campaign.csvdata import CsvError, Problem, Reader, Row
from runner.campaign.metadata import MetadataError, parse
from runner.message import plaintext
from runner.message.mail import Composer, RowRefused
from runner.message.sms import SmsComposer
from runner.message.template import TemplateError


def main() -> None:
    stdin = sys.stdin.buffer
    limit_memory()
    say("hello")
    order = json.loads(stdin.readline())
    try:
        metadata = parse(order["metadata"].encode("utf-8", "surrogatepass"))
        reader = Reader(stdin, order["column"])
        row = _row(reader, order["number"])
    except (MetadataError, CsvError) as error:
        return say("preview", trouble=str(error))
    if row is None:
        return say("preview", columns=reader.columns, trouble="The data file has no rows.")
    if isinstance(row, Problem):
        return say("preview", number=row.row or order["number"], columns=reader.columns, trouble=str(row))
    told = {"number": row.number, "columns": reader.columns, "values": row.values}
    try:
        if metadata.channel == "sms":
            text = SmsComposer(order["slug"], metadata, order["text"] or "", reader.columns).render(row.values)
            return say("preview", **told, headers={"from": metadata.from_}, text=text)
        composer = Composer(order["slug"], metadata, order["html"], order["text"], reader.columns)
        mail = composer.render(row.values)
    except (TemplateError, RowRefused) as error:
        return say("preview", **told, trouble=str(error))
    sender = f"{mail.from_name} <{mail.from_addr}>" if mail.from_name else mail.from_addr
    text = plaintext.from_html(mail.html) if mail.text is None else mail.text
    headers = {"subject": mail.subject, "from": sender, "reply-to": mail.reply_to, "unsubscribe": mail.unsubscribe}
    return say("preview", **told, headers=headers, text=text, html=mail.html)


def _row(reader: Reader, number: int) -> Row | Problem | None:
    """Row `number` (from 1), or the last one when there are fewer."""
    found: Row | Problem | None = None
    for count, row in enumerate(reader, 1):
        found = row
        if count >= number:
            break
    return found


if __name__ == "__main__":
    main()
