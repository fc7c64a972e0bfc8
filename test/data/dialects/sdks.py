"""Stands in for the products' Python packages, as far as clients use them: what those put on the wire, by their public sources."""

import json
import sys
import types
import urllib.error
import urllib.parse
import urllib.request


class Response:
    """An answer, as `requests` gives it."""

    def __init__(self, status_code, text):
        self.status_code = status_code
        self.text = text

    def json(self):
        return json.loads(self.text)


def send(method, url, headers=None, params=None, body=None, form=None):
    """Sends a request, with JSON or a form in it. Errors are answers."""
    if params:
        url = f"{url}?{urllib.parse.urlencode(params)}"
    data = None if body is None else json.dumps(body).encode()
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Response(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Response(error.code, error.read().decode())


class Namespace(types.SimpleNamespace):
    """An object whose missing attributes are None, as optional fields of these packages are."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def objects(value):
    """JSON with attributes instead of keys."""
    if isinstance(value, dict):
        return Namespace(**{name: objects(each) for name, each in value.items()})
    return [objects(each) for each in value] if isinstance(value, list) else value


def module(name, **names):
    made = types.ModuleType(name)
    made.__dict__.update(names)
    sys.modules[name] = made
    return made


def install_requests():
    """The real package where it is installed; else the little of it that clients use."""
    try:
        import requests  # noqa: F401
    except ImportError:
        module(
            "requests",
            get=lambda url, headers=None, params=None: send("GET", url, headers, params),
            post=lambda url, headers=None, json=None, data=None: send(
                "POST",
                url,
                {"Content-Type": "application/json" if data is None else "application/x-www-form-urlencoded", **(headers or {})},
                body=json,
                form=data,
            ),
        )


def install_audiopod(base_url, api_key):
    """`audiopod`: it joins paths to the root of its base address, and insists on keys that begin with ap_."""

    class Credits:
        def __init__(self, client):
            self.client = client

        def get_credit_balance(self):
            return objects(self.client.request("GET", "/api/v1/credits"))

        def get_usage_history(self, limit=None):
            return self.client.request("GET", "/api/v1/credits/usage", {"limit": limit} if limit else None)

        def get_credit_multipliers(self):
            return self.client.request("GET", "/api/v1/credits/multipliers")

    class Client:
        def __init__(self, api_key=api_key):
            if not api_key.startswith("ap_"):
                raise ValueError("Invalid API key format. AudioPod API keys start with 'ap_'")
            self.api_key = api_key
            self.credits = Credits(self)

        def request(self, method, endpoint, params=None):
            headers = {
                "Authorization": f"Bearer {self.api_key}",
                "Content-Type": "application/json",
                "User-Agent": "audiopod-python/1.1.0",
                "Accept": "application/json",
            }
            answer = send(method, urllib.parse.urljoin(base_url, endpoint), headers, params)
            if answer.status_code >= 400:
                raise RuntimeError(answer.json().get("detail"))
            return answer.json()

    module("audiopod", Client=Client)


def install_shortgenius(base_url, api_key):
    """`shortgenius`."""

    class APIError(Exception):
        def __init__(self, status_code, message):
            super().__init__(message)
            self.status_code = status_code

    def call(method, path, body=None):
        headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        answer = send(method, f"{base_url}{path}", headers, body=body)
        if answer.status_code != 200:
            raise APIError(answer.status_code, answer.json()["message"])
        return objects(answer.json())

    class Shortgenius:
        def __init__(self, api_key):
            self.usage = types.SimpleNamespace(get=lambda: call("GET", "/credits"))
            self.videos = types.SimpleNamespace(create=lambda **body: call("POST", "/videos", body))

    package = module("shortgenius", Shortgenius=Shortgenius)
    package.types = module("shortgenius.types", APIError=APIError)


def install_videodb(base_url, api_key):
    """`videodb`: it unwraps `data` when `success` is true, and takes `status` for that of a job."""

    class Connection:
        def check_usage(self):
            return self.get("/billing/usage")

        def get(self, path):
            headers = {"x-access-token": api_key, "x-videodb-client": "videodb-python/0.4.5", "Content-Type": "application/json"}
            answer = send("GET", f"{base_url}{path}", headers)
            if answer.status_code >= 400:
                raise RuntimeError(answer.json().get("message", "Unknown error"))
            body = answer.json()
            assert "status" not in body and body.get("success"), body
            return body["data"]

        def get_invoices(self):
            return self.get("/billing/invoices")

    module("videodb", connect=lambda api_key: Connection())
