"""Webhooks are believed when they are the server's, from now, and unchanged. The signature is of the reference implementation."""

from __future__ import annotations

import unittest

from obol import WebhookVerificationError, verify_webhook

# Signed by the package standardwebhooks: see python.test.ts, which passes it on.
import json
import os

SIGNED = json.loads(os.environ["OBOL_TEST_WEBHOOK"])
BODY: str = SIGNED["body"]
SECRET: str = SIGNED["secret"]
OTHER: str = SIGNED["other"]
HEADERS: dict[str, str] = SIGNED["headers"]
NOW = float(HEADERS["webhook-timestamp"])


class WebhookTest(unittest.TestCase):
    def test_what_the_reference_implementation_signs_is_verified(self) -> None:
        for body in (BODY, BODY.encode()):
            for headers in (HEADERS, {name.title(): text for name, text in HEADERS.items()}):
                event = verify_webhook(body, headers, SECRET, now=NOW)
                self.assertEqual((event.id, event.type, event.data), ("msg_1", "credits.low", json.loads(BODY)["data"]))

    def test_during_a_rotation_either_secret_will_do(self) -> None:
        self.assertEqual(verify_webhook(BODY, HEADERS, [OTHER, SECRET], now=NOW).type, "credits.low")

    def test_what_must_not_be_believed(self) -> None:
        without = {name: text for name, text in HEADERS.items() if name != "webhook-signature"}
        for name, body, headers, secret, now in (
            ("another secret", BODY, HEADERS, OTHER, NOW),
            ("a changed body", BODY.replace("9.5", "9.6"), HEADERS, SECRET, NOW),
            ("a parsed body", json.loads(BODY), HEADERS, SECRET, NOW),
            ("an old message", BODY, HEADERS, SECRET, NOW + 301),
            ("a message from the future", BODY, HEADERS, SECRET, NOW - 301),
            ("no signature", BODY, without, SECRET, NOW),
            ("a signature that is none", BODY, {**HEADERS, "webhook-signature": "v1,### v2,abc v1,ä"}, SECRET, NOW),
            ("another id", BODY, {**HEADERS, "webhook-id": "msg_2"}, SECRET, NOW),
            ("a time that is none", BODY, {**HEADERS, "webhook-timestamp": "1e9"}, SECRET, NOW),
            ("a secret that is none", BODY, HEADERS, "abc", NOW),
            ("an empty secret", BODY, HEADERS, "whsec_", NOW),
        ):
            with self.subTest(name), self.assertRaises(WebhookVerificationError):
                verify_webhook(body, headers, secret, now=now)
