"""Tells when credits run low, at two thresholds, and once for each."""

import os
from decimal import Decimal

from obol import Obol

customer = Obol(os.environ["OBOL_URL"], os.environ["OBOL_KEY"])
operator = Obol(os.environ["OBOL_URL"], os.environ["OBOL_OPERATOR_KEY"])


def use(minute: int) -> None:
    operator.charges.create(key=os.environ["OBOL_KEY"], operation="transcription", quantities={"minute": minute})


for change in customer.watch_credits(warning=Decimal(5000), critical=Decimal(500), every=0.05):
    if change.level == "enough":
        print(f"{change.available} credits")
        use(30)
    elif change.level == "warning":
        print(f"WARNING: {change.available} credits remaining")
        use(2)
    else:
        print(f"CRITICAL: only {change.available} credits remaining!")
        break
