"""AudioPod: balance, what things cost, whether it suffices, and what was used by service."""

import json
import os
import urllib.request
from collections import defaultdict

BASE = f"{os.environ['OBOL_URL']}/audiopod/api/v1"


def read(path: str) -> object:
    request = urllib.request.Request(f"{BASE}{path}", headers={"Authorization": f"Bearer {os.environ['OBOL_KEY']}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


balance = read("/credits")
print(f"Total Available Credits: {balance['total_available_credits']}")
print(
    f"Subscription: {balance['credits_balance']}, pay as you go: {balance['payg_balance']}, used: {balance['total_credits_used']}"
)

costs = read("/credits/multipliers")
required = 120 // 60 * costs["voice_cloning_generation"]
shortfall = max(0, required - balance["total_available_credits"])
print(f"Enough for two minutes of voice: {required}" if not shortfall else f"Need {shortfall} more credits")

rows = read("/credits/usage?limit=1000")
services = defaultdict(list)
for row in rows:
    services[row["service_type"]].append(row)
print(f"Usage by service, of {len(rows)} rows:")
for service, used in sorted(services.items()):
    seconds = sum(row.get("audio_duration", 0) for row in used)
    print(f"  {service}: {sum(row['credits_used'] for row in used)} credits, {len(used)} times, {seconds} s")
