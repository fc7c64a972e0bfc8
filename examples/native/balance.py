"""How much is left: by credit type, by where it came from, and what this key may still spend. Free, and true at once."""

import os

from obol import Obol

obol = Obol(os.environ["OBOL_URL"], os.environ["OBOL_KEY"])
credits = obol.credits.get()

for name, state in credits.credit_types.items():
    print(f"{name}: {state.available} available, {state.held} held")
    for source, left in state.sources.items():
        print(f"  from {source}: {left}")
budget = credits.key.budget if credits.key else None
print(f"This key may spend {budget.remaining if budget and budget.remaining is not None else 'everything'} more")

available = credits.credit_types["credits"].available
print("Plenty of credits" if available >= 30_000 else "Low on credits! Consider buying more.")
