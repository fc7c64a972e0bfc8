"""What was used this month, and what was paid: by operation, and with the receipt of each payment."""

import os
from decimal import Decimal
from urllib.request import urlopen

from obol import Obol

customer = Obol(os.environ["OBOL_URL"], os.environ["OBOL_KEY"])
operator = Obol(os.environ["OBOL_URL"], os.environ["OBOL_OPERATOR_KEY"])
account = customer.credits.get().account

operator.topup_options.set(currency="eur", credits_per_unit=1000, min_minor=500, max_minor=50_000)
for amount_minor in (1_000, 2_500):
    checkout = operator.checkout_sessions.create(account=account, amount_minor=amount_minor)
    urlopen(checkout.url or "", data=b"action=pay").close()

used: dict[str, Decimal] = {}
for charge in customer.charges.list():
    used[charge.operation] = used.get(charge.operation, Decimal(0)) + charge.credits
for operation, credits in used.items():
    print(f"{operation}: {credits:f} credits")

for invoice in customer.invoices.list():
    print(f"{invoice.kind} {invoice.number} of a {invoice.about}: {invoice.total_minor} {invoice.currency} cents")
    with urlopen(invoice.pdf_url) as pdf:
        print(f"  {pdf.headers['content-type']}")
