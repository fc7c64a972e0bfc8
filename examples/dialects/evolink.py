"""Evolink: what this key and its account have left, and what a wrong key is answered with."""

import json
import os
import urllib.error
import urllib.request


def read(key: str) -> tuple[int, dict]:
    request = urllib.request.Request(f"{os.environ['OBOL_URL']}/evolink/v1/credits", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


data = read(os.environ["OBOL_KEY"])[1]["data"]
token, user = data["token"], data["user"]
unlimited = ", unlimited" if token["unlimited_credits"] else ""
print(f"This key: {token['remaining_credits']} left, {token['used_credits']} used{unlimited}")
print(f"The account: {user['remaining_credits']} left, {user['used_credits']} used")

status, answer = read("nobodys-key")
print(f"A wrong key: {status} {answer['error']['code']} {answer['error']['type']}")
