"""Work that cannot be paid for: asked beforehand, and refused where it is charged. 402 says what is missing; nothing was written."""

import os

from obol import InsufficientCreditsError, KeyBudgetExceededError, Obol

customer = Obol(os.environ["OBOL_URL"], os.environ["OBOL_KEY"])
operator = Obol(os.environ["OBOL_URL"], os.environ["OBOL_OPERATOR_KEY"])

quantities = {"minute": 10}
check = customer.check_sufficiency({"operation": "speech_translation", "quantities": quantities})
if check.is_sufficient:
    print("It can be paid for")
else:
    print(f"It needs {check.required}, there are {check.available}: {check.shortfall} short")

try:
    # What the operator's server does with the customer's key, before it begins to work.
    operator.holds.create(key=os.environ["OBOL_KEY"], operation="speech_translation", quantities=quantities)
except InsufficientCreditsError as error:
    print(f"{error.status} {error.code}: {error.shortfall} {error.credit_type} short")
except KeyBudgetExceededError as error:
    print(f"The key's budget has {error.remaining} left")
