"""VideoDB: usage of the month, by operation, in its envelope."""

import json
import os
import urllib.request

request = urllib.request.Request(
    f"{os.environ['OBOL_URL']}/videodb/billing/usage", headers={"x-access-token": os.environ["OBOL_KEY"]}
)
with urllib.request.urlopen(request) as answer:
    usage = json.load(answer)

data = usage["data"]
print(f"Success: {str(usage['success']).lower()}")
print(f"Total Credits Used: {data.get('total_credits_used')}")
print(f"Monthly Credit Limit: {data.get('monthly_limit')}")
print(f"Credits Remaining: {data.get('credits_remaining')}")
for operation, credits in sorted(data["breakdown"].items()):
    print(f"  {operation}: {credits}")
