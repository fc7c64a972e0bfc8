"""Runs the client of a product against a server, and prints what it found as one line of JSON.

Read from the environment: BASE (the server's address), AUDIOPOD (that of the dialect's own port), KEY."""

import collections
import datetime
import json
import os
import sys

import sdks

BASE, AUDIOPOD, KEY = (os.environ[name] for name in ("BASE", "AUDIOPOD", "KEY"))


class AudioPod:
    """Reads the credits of an account by plain HTTP, and works out what work will cost."""

    #: Seconds, or characters, that one multiplier pays for.
    PER = {"music_generation": 30, "text_to_speech": 1000}

    def __init__(self, api_key):
        import requests

        self.requests = requests
        self.headers = {"Authorization": f"Bearer {api_key}"}

    def get(self, path):
        return self.requests.get(f"{AUDIOPOD}/api/v1/credits{path}", headers=self.headers).json()

    def available(self):
        return self.get("")["total_available_credits"]

    def cost_of(self, service, amount=None):
        """Credits for so many seconds or characters; without an amount, the multiplier itself."""
        multiplier = self.get("/multipliers")[service]
        return multiplier if amount is None else amount / self.PER.get(service, 60) * multiplier

    def check(self, service, amount=None):
        required, available = self.cost_of(service, amount), self.available()
        missing = max(0, required - available)
        return {"sufficient": missing == 0, "available": available, "required": required, "shortfall": missing}

    def summary(self, days, zone=datetime.timezone.utc):
        """What was used since so many days. Times of the server are in UTC: a clock without a zone cannot be compared with them."""
        since = datetime.datetime.now(zone) - datetime.timedelta(days=days)
        rows = [row for row in self.get("/usage") if time_of(row) >= since]
        by_service = collections.Counter()
        for row in rows:
            by_service[row["service_type"]] += row["credits_used"]
        return {"days": days, "credits": sum(by_service.values()), "by_service": dict(by_service), "count": len(rows)}

    def alert(self, warning, critical):
        """The level that the balance has reached; None: it is high enough."""
        available = self.available()
        return "critical" if available <= critical else "warning" if available <= warning else None

    def sign_in(self, email, password):
        """The token that opens the account of a user."""
        form = {"username": email, "password": password}
        return self.requests.post(f"{AUDIOPOD}/api/v1/auth/token", data=form).json()["access_token"]

    def buy(self, dollars):
        """Opens a checkout for so much money, as far as that is on offer."""
        offer = self.get("/payg/info")
        assert offer["min_amount_usd"] <= dollars <= offer["max_amount_usd"], offer
        url = f"{AUDIOPOD}/api/v1/credits/payg/create-checkout-session"
        session = self.requests.post(url, headers=self.headers, json={"amount_usd": dollars}).json()
        assert session["credits_to_receive"] == dollars * offer["credits_per_dollar"], session
        return session

    def guard(self, warning, critical, dollars):
        """Buys when the balance has reached the critical level."""
        return self.buy(dollars) if self.alert(warning, critical) == "critical" else None

    def bulk(self, service, amounts, batch):
        """The sizes of the batches that would be sent; what is missing when the credits do not last for all of them."""
        missing = sum(self.cost_of(service, amount) for amount in amounts) - self.available()
        if missing > 0:
            return {"missing": missing}
        return {"batches": [len(amounts[at : at + batch]) for at in range(0, len(amounts), batch)]}


def time_of(row):
    return datetime.datetime.fromisoformat(row["created_at"].replace("Z", "+00:00"))


def report(rows):
    """Per service: uses, credits, seconds, and credits for each use."""
    services = collections.defaultdict(lambda: {"uses": 0, "credits": 0, "seconds": 0})
    for row in rows:
        service = services[row["service_type"]]
        service["uses"] += 1
        service["credits"] += row["credits_used"]
        service["seconds"] += row.get("audio_duration", 0)
    return {name: {**service, "average": service["credits"] / service["uses"]} for name, service in services.items()}


def per_day(rows):
    days = collections.Counter()
    for row in rows:
        days[time_of(row).date().isoformat()] += row["credits_used"]
    return dict(days)


def audiopod():
    sdks.install_requests()
    sdks.install_audiopod(AUDIOPOD, KEY)
    import audiopod as package

    client = package.Client()
    balance = client.credits.get_credit_balance()
    rows = client.credits.get_usage_history(limit=1000)
    http = AudioPod(KEY)
    try:
        http.summary(30, zone=None)
        without_zone = "worked"
    except TypeError as fault:
        without_zone = str(fault)
    return {
        "balance": [
            balance.total_available_credits,
            balance.balance,
            balance.payg_balance,
            balance.total_credits_used,
            balance.next_reset_date,
        ],
        "rows": [[row["service_type"], row["credits_used"], row["created_at"]] for row in rows],
        "report": report(rows),
        "days": per_day(rows),
        "checks": [
            http.check("transcription", 60),
            http.check("music_generation", 30),
            http.check("video_download"),
            http.check("transcription", 36_000),
        ],
        "summary": http.summary(30),
        "summary by a clock without a zone": without_zone,
        "estimates": {
            "voice_cloning_training": http.cost_of("voice_cloning_training"),
            "voice_cloning_generation": http.cost_of("voice_cloning_generation", 120),
            "transcription": http.cost_of("transcription", 1800),
            "transcription_with_diarization": http.cost_of("transcription_with_diarization", 60),
            "music_generation": http.cost_of("music_generation", 60),
            "translation": http.cost_of("translation", 60),
            "text_to_speech": http.cost_of("text_to_speech", 5000),
        },
        "alerts": [http.alert(*levels) for levels in ((10**6, 10**6), (10**6, 1), (1, 1))],
        "bulk": [http.bulk("transcription", [6] * 7, 5), http.bulk("transcription", [36_000], 5)],
    }


def shortgenius():
    sdks.install_shortgenius(f"{BASE}/shortgenius/v1", KEY)
    from shortgenius import Shortgenius
    from shortgenius.types import APIError

    client = Shortgenius(api_key=KEY)
    credits = client.usage.get().balance.credits
    try:
        client.videos.create()
        refused = None
    except APIError as error:
        refused = [error.status_code, str(error)]
    return {"credits": credits, "refused": refused}


def videodb():
    sdks.install_videodb(f"{BASE}/videodb", KEY)
    import videodb as package

    usage = package.connect(api_key=KEY).check_usage()
    return [usage.get(name) for name in ("total_credits_used", "monthly_limit", "credits_remaining")]


def audiopod_buys():
    """Buys because the balance is low, by key and as a user who has signed in."""
    sdks.install_requests()
    http = AudioPod(KEY)
    user = AudioPod(http.sign_in(os.environ["EMAIL"], os.environ["PASSWORD"]))
    return {
        "offer": http.get("/payg/info"),
        "enough": http.guard(warning=2, critical=1, dollars=50),
        "bought": [http.guard(warning=10**7, critical=10**6, dollars=50), user.buy(25)],
    }


def videodb_buys():
    """Opens a checkout, and lists what was bought with what it is known by."""
    sdks.install_requests()
    sdks.install_videodb(f"{BASE}/videodb", KEY)
    import requests
    import videodb as package

    headers = {"x-access-token": KEY}
    opened = requests.post(f"{BASE}/videodb/billing/checkout", json={"amount": 50}, headers=headers).json()
    checkouts = requests.get(f"{BASE}/videodb/billing/checkouts", headers=headers).json()["checkouts"]
    return {
        "opened": [opened.get("id"), opened.get("checkout_url")],
        "checkouts": [[row["id"], row["amount"], row["status"]] for row in checkouts],
        "invoices": [[row.get("amount"), row.get("date"), row.get("status")] for row in package.connect(api_key=KEY).get_invoices()],
    }


CLIENTS = {"audiopod": audiopod, "audiopod buys": audiopod_buys, "videodb buys": videodb_buys, "shortgenius": shortgenius, "videodb": videodb}

print(json.dumps(CLIENTS[sys.argv[1]]()))
