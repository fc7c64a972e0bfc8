"""An alert tells that credits run low, and the account buys more by itself, with the card that its customer left, within a cap."""

import os
from urllib.request import urlopen

from obol import Obol

customer = Obol(os.environ["OBOL_URL"], os.environ["OBOL_KEY"])
operator = Obol(os.environ["OBOL_URL"], os.environ["OBOL_OPERATOR_KEY"])
account = customer.credits.get().account

operator.topup_options.set(currency="eur", credits_per_unit=1000, min_minor=500, max_minor=50_000)
# The customer pays once on a page and leaves the card. The sandbox's page takes a form, and no money.
checkout = operator.checkout_sessions.create(account=account, amount_minor=1_000, save_payment_method=True)
urlopen(checkout.url or "", data=b"action=pay").close()

operator.alerts.create(account=account, watch="balance", threshold=10_000, name="Running low")
consent = {"by": "Ada Lovelace", "text": "terms of 2026-11"}
operator.auto_topups.set(account=account, threshold=5_000, target=20_000, monthly_cap_minor=5_000, consent=consent)

is_first = True
for update in customer.follow_credits():
    if is_first:
        print(f"{update.credits.credit_types['credits'].available} credits")
        operator.charges.create(key=os.environ["OBOL_KEY"], operation="transcription", quantities={"minute": 41})
        is_first = False
    for change in update.changes:
        for alert in change.alerts or ():
            print(f"{alert.level}: only {alert.current} credits left" if alert.turn == "fired" else "enough again")
        if "auto_topup.triggered" in change.events:
            print("buying more")
    if any(change.kind == "topup" for change in update.changes):
        print(f"{update.credits.credit_types['credits'].available} credits")
        break

standing = customer.auto_topups.get().auto_topup
if standing:
    print(f"{standing.spent_this_month_minor} of {standing.monthly_cap_minor} {standing.currency} cents spent this month")
