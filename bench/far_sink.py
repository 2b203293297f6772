"""An SMTP server that answers each command after a while, as one far away does; it keeps nothing.

    python -m bench.far_sink PORT MILLISECONDS [CERTIFICATE]

With the file of a certificate and its key it speaks TLS from the first byte.
"""

import asyncio
import ssl
import sys

_ANSWERS = {b"EHLO": b"250-far\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
_OK = b"250 2.0.0 fine\r\n"
_END = b"\r\n.\r\n"


class Far(asyncio.Protocol):
    """Answers what came in one read together, as the network would bring it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting = bytearray()
        self._in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._answer(b"220 far\r\n")

    def data_received(self, data: bytes) -> None:
        looked = max(0, len(self._waiting) - len(_END))
        self._waiting += data
        answers = b""
        while True:
            mark = _END if self._in_message else b"\r\n"
            if (end := self._waiting.find(mark, looked)) < 0:
                break
            word = bytes(self._waiting[:4]).upper()
            del self._waiting[: end + len(mark)]
            looked = 0
            answers += _OK if self._in_message else _ANSWERS.get(word, _OK)
            self._in_message = not self._in_message and word == b"DATA"
        if answers:
            self._answer(answers)

    def _answer(self, answers: bytes) -> None:
        if not self._seconds:
            self._transport.write(answers)  # type: ignore[attr-defined]
            return
        asyncio.get_running_loop().call_later(self._seconds, self._transport.write, answers)  # type: ignore[attr-defined]


async def main(port: int, milliseconds: float, certificate: str = "") -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(
        lambda: Far(milliseconds / 1000), "127.0.0.1", port, ssl=context
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:]))
