"""One connection to the mail server that hands nothing over: does it answer, log us in, and what does it offer?"""

import time
from typing import Any

from runner.campaign.address import mask_text
from runner.channel.opening import ERRORS, Opening, unreachable
from runner.channel.port import ServerRefusesUs
from runner.settings import Smtp


async def probe(smtp: Smtp) -> dict[str, Any]:
    """Connect, EHLO, TLS and login as configured, then QUIT. `trouble` is None when a send would come so far too;
    `size` is the largest message the server takes in bytes, 0 when it doesn't say. Never the password."""
    told: dict[str, Any] = {
        "server": f"{smtp.host}:{smtp.port}",
        "tls": smtp.tls,
        "account": smtp.username,
        "trouble": None,
    }
    began = time.monotonic()
    opening = Opening(smtp)
    try:
        opened = await opening.open()
    except ServerRefusesUs as refusal:
        return {**told, "trouble": mask_text(str(refusal))}
    except ERRORS as error:
        try:
            why = unreachable(smtp, error).text
        except ServerRefusesUs as refusal:
            why = str(refusal)
        return {**told, "trouble": mask_text(why)}
    told |= {"size": opened.size, "pipelining": opened.pipelining, "seconds": round(time.monotonic() - began, 3)}
    await opening.quit()
    return told


def say(told: dict[str, Any]) -> str:
    """One line for people."""
    if told["trouble"]:
        return f"{told['server']} can't be used: {told['trouble']}"
    tls = {"tls": "TLS", "starttls": "STARTTLS"}.get(told["tls"], "no TLS")
    login = f"logged in as {told['account']}" if told["account"] else "no login"
    size = f"messages up to {told['size']:,} bytes" if told["size"] else "no limit on sizes told"
    offers = "PIPELINING" if told["pipelining"] else "no PIPELINING"
    return f"{told['server']} answers: {tls}, {login}, {size}, {offers}; nothing was handed over"
