"""--notify-completion: the closing summary as a mail to whom the credentials file names."""

import asyncio
import socket
from email.message import EmailMessage

import aiosmtplib

from runner.campaign.address import mask_text
from runner.launch import Result
from runner.run.output import Output
from runner.settings import Smtp


def notify(slug: str, result: Result, output: Output) -> None:
    """Mail the summary; a failure is said and changes nothing about the run."""
    smtp = result.account
    if not isinstance(smtp, Smtp) or not smtp.notify_to:
        output.complain("--notify-completion: the credentials file has no [notify] to by mail, nobody is told")
        return
    mail = EmailMessage()
    mail["To"] = mail["From"] = smtp.notify_to
    mail["Subject"] = f"mail blast {slug}: {'done' if result.rc == 0 else f'ended with exit code {result.rc}'}"
    mail.set_content("\n".join([f"Campaign {slug} on {socket.gethostname()}", "", *result.lines, ""]))
    try:
        asyncio.run(
            aiosmtplib.send(
                mail,
                hostname=smtp.host,
                port=smtp.port,
                username=smtp.username,
                password=smtp.password,
                use_tls=smtp.tls == "tls",
                start_tls=smtp.tls == "starttls",
                timeout=30,
            )
        )
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        output.complain(f"the notification could not be mailed: {mask_text(str(error))[:200]}")
