"""What a refusal is about, told from replies as mail systems word them."""

import pytest

from runner.policy.bounces import CLASSES, bounce_class

REPLIES = {
    "mailbox unknown": [
        (550, "5.1.1 <j@example.com>: Recipient address rejected: User unknown in virtual mailbox table"),
        (550, "5.1.1 <j@example.com>... User unknown"),
        (550, "5.1.1 The email account that you tried to reach does not exist. Please try double-checking"),
        (
            550,
            "5.1.1 RecipientNotFound; Recipient not found by SMTP lookup",
        ),
        (550, "5.4.1 Recipient address rejected: Access denied. [AM5EUR03FT012.example.com]"),
        (550, "5.2.1 The email account that you tried to reach is disabled."),
        (550, "Requested action not taken: mailbox unavailable"),
        (550, "No such user here"),
        (550, "no such user - psmtp"),
        (550, "5.7.1 <j@example.com>: Recipient address rejected: user not found"),
        (554, "delivery error: dd This user doesn't have an example.com account (j@example.com) [0]"),
        (550, "Invalid recipient <j@example.com> (#5.1.1)"),
        (553, "sorry, that address is not in our list of allowed recipients; unknown user"),
        (550, "#5.1.0 Address rejected."),
        (550, "5.1.0 j@example.com unknown user account"),
        (551, "not our customer"),
        (550, "5.0.0 mailbox not found"),
        (550, "5.1.3 bad recipient address syntax"),
        (550, "5.1.6 recipient no longer on server: j@example.com"),
        (550, "no"),
        (554, "5.7.1 This account has been suspended: the mailbox is inactive"),
    ],
    "mailbox full": [
        (552, "5.2.2 The email account that you tried to reach is over quota and inactive."),
        (452, "4.2.2 The email account that you tried to reach is over quota. Please direct the recipient to"),
        (452, "4.2.2 Mailbox full"),
        (552, "Mailbox full"),
        (552, "Requested mail action aborted: exceeded storage allocation: user over quota"),
        (450, "4.0.0 mailbox is full"),
        (554, "5.0.0 recipient's inbox is full"),
        (452, "insufficient mailbox storage: quota exceeded"),
        (550, "out of storage space"),
    ],
    "blocked": [
        (554, "5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org"),
        (550, "5.7.1 Our system has detected that this message is likely unsolicited mail."),
        (550, "5.7.26 This mail has been blocked because the sender is unauthenticated."),
        (
            550,
            "5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Please contact your provider since part "
            "of their network is on our block list (S3140).",
        ),
        (554, "Message rejected due to suspected spam content"),
        (553, "5.7.1 [BL21] Connections will not be accepted from 192.0.2.7, because the ip is in Spamhaus's list"),
        (
            421,
            "4.7.0 [TSS04] Messages from 192.0.2.7 deferred for user complaints",
        ),
        (550, "5.7.1 Message rejected by policy"),
        (550, "5.7.0 Local Policy Violation"),
        (550, "SPF check failed"),
        (550, "5.7.23 The message was rejected because of Sender Policy Framework violation"),
        (550, "5.7.1"),
        (
            554,
            "5.7.1 The message from (<news@example.com>) with the subject of (May) matches a profile the Internet "
            "community may consider spam.",
        ),
        (450, "4.7.25 Client host rejected: cannot find your hostname, [192.0.2.7]"),
        (554, "Transaction failed: message contains a virus"),
        (550, "Administrative prohibition"),
        (554, "5.7.5 Email rejected per DMARC policy of example.com"),
        (550, "JunkMail rejected - [192.0.2.7] is in an RBL"),
    ],
    "greylisted": [
        (
            450,
            "4.2.0 <j@example.com>: Recipient address rejected: Greylisted, see http://postgrey.example.com/help",
        ),
        (451, "4.7.1 Greylisting in action, please come back later"),
        (451, "Temporarily greylisted, please try again in 300 seconds"),
        (450, "4.7.1 <j@example.com>: Recipient address rejected: Graylist: try again in 5 minutes"),
        (451, "4.7.500 grey listed; try later"),
        (450, "Requested mail action not taken: please try again later"),
        (450, ""),
    ],
    "rate limited": [
        (421, "4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP"),
        (454, "Throttling failure: Maximum sending rate exceeded."),
        (454, "4.7.0 Throttling failure: Daily message quota exceeded."),
        (421, "Too many concurrent SMTP connections"),
        (421, "4.7.0 Too many connections from your host"),
        (452, "4.5.3 Too many recipients"),
        (450, "4.2.1 The user you are trying to contact is receiving mail too quickly."),
        (550, "5.4.5 Daily user sending limit exceeded."),
        (451, "4.7.1 Rate limit exceeded, slow down"),
        (421, "Service not available, closing transmission channel"),
        (550, "5.7.1 You have exceeded your hourly sending limit"),
        (451, "4.7.650 The mail server [192.0.2.7] has been temporarily rate limited due to IP reputation."),
    ],
    "too big": [
        (552, "5.3.4 Message size exceeds fixed limit"),
        (552, "Message size exceeds fixed maximum message size"),
        (552, "5.2.3 Your message exceeded our message size limits."),
        (552, "message too large"),
        (550, "5.0.0 Message content too large"),
        (523, "Message length exceeds administrative limit"),
    ],
    "auth": [
        (535, "5.7.8 Error: authentication failed"),
        (535, "Authentication credentials invalid"),
        (530, "5.7.0 Authentication required"),
        (530, "Must issue a STARTTLS command first"),
        (534, "5.7.9 Application-specific password required"),
        (554, "5.7.1 <j@example.com>: Relay access denied"),
        (550, "5.7.1 Relaying denied"),
        (550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain"),
        (554, "Message rejected: Email address is not verified. The following identities failed the check"),
        (550, "5.7.1 Client was not authenticated"),
    ],
    "domain unknown": [
        (550, "5.1.2 <j@example.com>: Recipient address rejected: Domain not found"),
        (450, "4.1.2 <j@example.test>: Recipient address rejected: Domain not found"),
        (550, "5.4.4 Unable to route: no mail hosts for domain"),
        (556, "5.1.10 Recipient address has null MX"),
        (550, "Host or domain name not found. Name service error for name=example.test type=A"),
        (550, "unrouteable address"),
        (556, "Domain does not accept mail"),
        (550, "unknown domain example.test"),
    ],
    "other": [
        (451, "4.3.0 Temporary lookup failure"),
        (451, "4.3.5 Server configuration error"),
        (452, "4.3.1 Insufficient system storage"),
        (503, "5.5.1 Error: need MAIL command"),
        (501, "5.1.7 Bad sender address syntax"),
        (554, "Transaction failed"),
        (554, "5.0.0 Service unavailable"),
        (554, "5.4.6 Routing loop detected"),
        (550, "5.1.8 <news@example.com>: Sender address rejected"),
    ],
}
TABLE = [(code, text, name) for name, replies in REPLIES.items() for code, text in replies]


@pytest.mark.parametrize(("code", "text", "name"), TABLE)
def test_a_reply_is_of_its_class(code: int, text: str, name: str) -> None:
    assert bounce_class(code, text) == name


def test_every_class_is_told() -> None:
    assert set(REPLIES) == set(CLASSES)


def test_a_version_or_an_address_is_no_status() -> None:
    assert bounce_class(554, "mx1 (192.5.2.2) says no, milter 5.2.2.1") == "other"


def test_a_long_answer_takes_no_long_look() -> None:
    assert bounce_class(554, "user " * 200_000) == "other"
