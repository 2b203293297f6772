"""The newsletter the demo sends: about 10 KB of HTML as mail programs want it, and a text to go with it."""

INK, SEA, SAND, FOAM = "#1d2b36", "#0f5c7a", "#f4efe6", "#ffffff"
FONT = "font-family:Georgia,'Times New Roman',serif"
SANS = "font-family:'Helvetica Neue',Helvetica,Arial,sans-serif"

STORIES = (
    (
        "What happens on the day",
        "Boarding opens one hour before we cast off, at the blue gate on the north pier. Bring a warm layer: the "
        "bay is colder than the street, even in summer. There is room for small bags under the benches, and the "
        "crew will look after anything larger. Children up to twelve sail free when an adult sails with them.",
    ),
    (
        "On the water",
        "We leave on the ebb, pass the old lighthouse to starboard and turn at the sea lions' buoy. With the wind "
        "as it has been this season that makes a little under three hours. The galley serves chowder, coffee and "
        "the ginger cake that people write to us about. If you would rather steer than eat, tell the mate.",
    ),
    (
        "From the workshop",
        "The mizzen is back in its place after four months on trestles. Eleven volunteers gave six hundred hours "
        "to scarf in new spruce, and it shows. You can see their names, and the wood they cut away, in the "
        "boathouse on any afternoon until the end of the month.",
    ),
    (
        "Getting here",
        "The harbor line stops at the foot of the pier every twelve minutes. Those who drive find the car park "
        "behind the chandlery; the first three hours are on us with the voucher below. Bicycles may lean on "
        "anything that doesn't float.",
    ),
    (
        "Next on the calendar",
        "The harbor swim is on the first Sunday, from the slip to the bell buoy and back, with boats beside. The "
        "knot evening moves to Thursdays. And on the last weekend we open the chart room: four hundred charts, the "
        "oldest from 1857, and somebody on watch who knows what every pencil mark on them means.",
    ),
    (
        "A word from the treasurer",
        "Your dues bought two new life rafts, eleven coats of varnish and the paint for the north pier. The rest "
        "goes to the sailing school, where nineteen children learned to bring a dinghy home this year.",
    ),
)


def html(title: str, lead: str, *, greeting: str = "{{ first_name }}") -> str:
    """The template; `greeting` stands where the reader's first name goes."""
    articles = "".join(_article(number, heading, text) for number, (heading, text) in enumerate(STORIES))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
  @media (max-width: 620px) {{
    .sheet {{ width: 100% !important; }}
    .cell {{ padding-left: 20px !important; padding-right: 20px !important; }}
    .button a {{ display: block !important; }}
  }}
  @media (prefers-color-scheme: dark) {{
    .page {{ background: #10191f !important; }}
    .sheet {{ background: #18242c !important; }}
    .ink {{ color: #e8eef2 !important; }}
  }}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:{SAND}">
<div style="display:none;max-height:0;overflow:hidden">{lead}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
<tr><td align="center" style="padding:24px 8px">
<table class="sheet" role="presentation" width="600" cellpadding="0" cellspacing="0" border="0"
       style="width:600px;max-width:600px;background:{FOAM};border-radius:6px">
<tr><td class="cell" style="padding:28px 40px 8px;{SANS};font-size:13px;letter-spacing:2px;color:{SEA}">
  HARBOR LINE SAILING CLUB
</td></tr>
<tr><td class="cell ink" style="padding:0 40px 8px;{FONT};font-size:30px;line-height:36px;color:{INK}">
  {title}
</td></tr>
<tr><td class="cell ink" style="padding:8px 40px 16px;{FONT};font-size:17px;line-height:27px;color:{INK}">
  <p style="margin:0 0 16px">Dear {greeting},</p>
  <p style="margin:0 0 16px">{lead}</p>
  <p style="margin:0">You have been with us since {{{{ member_since }}}}, and many of you come all the way from
  {{{{ city }}}}. We have kept a place for you.</p>
</td></tr>
<tr><td class="cell button" align="left" style="padding:8px 40px 24px">
  <a href="https://www.example.com/book?voucher={{{{ voucher }}}}"
     style="display:inline-block;padding:14px 26px;background:{SEA};border-radius:4px;{SANS};font-size:15px;
     font-weight:bold;color:{FOAM};text-decoration:none">Keep my place</a>
</td></tr>
{articles}<tr><td class="cell" style="padding:8px 40px 24px">
  <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:{SAND}">
  <tr><td style="padding:18px 20px;{SANS};font-size:14px;line-height:22px;color:{INK}">
    <strong>Your voucher: {{{{ voucher }}}}</strong><br>
    Good for three hours behind the chandlery, and for one coffee on board. Show it on your phone or on paper.
  </td></tr></table>
</td></tr>
<tr><td class="cell" style="padding:16px 40px 32px;border-top:1px solid #d9d2c5;{SANS};font-size:12px;
        line-height:19px;color:#5b6872">
  Harbor Line Sailing Club, 1 North Pier, San Diego.<br>
  This letter went to {{{{ email }}}} because you are a member or asked for it.<br>
  <a href="https://www.example.com/leave?m={{{{ email | urlencode }}}}" style="color:{SEA}">Unsubscribe</a> ·
  <a href="https://www.example.com/letters" style="color:{SEA}">Read it in a browser</a>
</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""


def text(title: str, lead: str) -> str:
    stories = "\n\n".join(f"{heading.upper()}\n{body}" for heading, body in STORIES)
    return f"""{title}

Dear {{{{ first_name }}}},

{lead}

Keep my place: https://www.example.com/book?voucher={{{{ voucher }}}}

{stories}

Harbor Line Sailing Club, 1 North Pier, San Diego.
Unsubscribe: https://www.example.com/leave?m={{{{ email | urlencode }}}}
"""


def _article(number: int, heading: str, body: str) -> str:
    return f"""<tr><td class="cell" style="padding:0 40px">
  <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
  <tr><td style="border-top:1px solid #d9d2c5;padding:22px 0 4px">
    <img src="https://www.example.com/letters/{number + 1}.png" width="520" height="180" alt="Photograph"
         style="display:block;width:100%;height:auto;border:0;border-radius:4px;background:{SAND}">
  </td></tr>
  <tr><td class="ink" style="padding:12px 0 6px;{FONT};font-size:21px;line-height:27px;color:{INK}">
    {heading}
  </td></tr>
  <tr><td class="ink" style="padding:0 0 20px;{FONT};font-size:16px;line-height:25px;color:{INK}">
    {body}
    <a href="https://www.example.com/letters/story-{number + 1}?m={{{{ voucher }}}}" style="color:{SEA}">Read on</a>
  </td></tr>
  </table>
</td></tr>
"""
