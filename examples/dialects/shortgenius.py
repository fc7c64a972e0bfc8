"""ShortGenius: the balance, a check before expensive work, and 402 where credits do not reach."""

import json
import os
import urllib.error
import urllib.request

BASE = f"{os.environ['OBOL_URL']}/shortgenius/v1"
HEADERS = {"Authorization": f"Bearer {os.environ['OBOL_KEY']}", "Content-Type": "application/json"}


def call(path: str, body: object = None) -> tuple[int, dict]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{BASE}{path}", data, HEADERS)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


_, usage = call("/credits")
print("Credit Balance:")
for name, credits in usage["balance"].items():
    print(f"  {name}: {credits}")
if usage["balance"]["credits"] < 30_000:
    print("Low on credits!")

status, _ = call("/videos/drafts", {"topic": "Foxes"})
print(f"A draft: {status}")

for title in ("A day of foxes", "A day of badgers"):
    status, answer = call("/videos", {"title": title, "duration": 86_400})
    print(f"{title}: {status} {answer.get('message', 'made')}")
