"""A look at one text message of a campaign, as a phone would show it."""

from opsconsole.campaign import DATA, METADATA, TEMPLATE, TEXT
from opsconsole.preview import preview
from tests.preflight.situations import SLUG, situation


def test_given_a_campaign_of_text_messages_then_the_text_of_a_row_is_shown_and_no_page_is_asked_for() -> None:
    files = {
        METADATA: {"name": "May", "channel": "sms", "from": "The Shop"},
        TEXT: "Hi {{ name }}, 20 € off\n",
        DATA: "phone,name\n+447700900001,Ann\n+447700900002,Bob & Co\n",
        TEMPLATE: {"kind": "missing"},
    }
    shown = preview(situation({"files": files}).seen, SLUG, 2)
    assert shown.trouble == ""
    assert (shown.text, shown.html, dict(shown.headers)) == ("Hi Bob & Co, 20 € off", "", {"from": "The Shop"})
    assert shown.values["phone"] == "+447700900002"
