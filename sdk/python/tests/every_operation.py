"""Calls every operation of the API once, through the SDK. A new operation is a line here: the conformance test names what is missing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.request import urlopen

#: Makes a client of a customer's key.
CustomerOf = Any


async def call_every_operation(operator: Any, customer: CustomerOf, email: str, wait: Any, page: Any) -> None:
    """Some moments of a life. `customer` makes a client of a key, or of None; `wait` awaits what a call gives, or passes it on; `page` reads one page of a list."""
    prices = [{"operation": "unit", "rate": Decimal(1), "per": {"quantity": 1, "unit": "request"}}]
    book = await wait(operator.price_books.publish(prices=prices))
    await page(operator.price_books.list())
    await wait(operator.price_books.get(book.version))
    account = await wait(operator.accounts.create(name="Conformance"))
    await wait(operator.accounts.update(account.id, metadata={"by": "the SDK"}))
    await wait(operator.accounts.get(account.id))
    await page(operator.accounts.list())
    await _grants(operator, account.id, wait, page)
    await _keys(operator, customer, account.id, wait, page)
    await _charges(operator, account.id, wait, page)
    await _holds(operator, account.id, wait, page)
    await wait(operator.accounts.credits(account.id))
    await wait(operator.usage.get(account=account.id, bucket="hour", group_by=["operation", "credit_type"]))
    await page(operator.journal.list(account=account.id))
    await wait(operator.events.list(limit=5))
    await _purchases(operator, account.id, wait, page)
    await _invoices(operator, account.id, wait, page)
    await _webhooks(operator, wait, page)
    await _plans(operator, account.id, wait, page)
    await _alerts(operator, account.id, wait)
    await _users(operator, customer, account.id, email, wait, page)
    now = datetime.now(timezone.utc)
    await wait(operator.price_books.try_out(prices=prices, start=now - timedelta(minutes=1), end=now + timedelta(minutes=1)))
    await wait(operator.audit.verify())


async def _grants(operator: Any, account: str, wait: Any, page: Any) -> None:
    cost = {"amount_minor": 1000, "currency": "eur"}
    grant = await wait(operator.grants.create(account=account, amount="1000", source="topup", cost=cost))
    await wait(operator.grants.get(grant.id))
    await page(operator.grants.list(account=account))
    next_year = datetime.now(timezone.utc) + timedelta(days=400)
    promo = await wait(operator.grants.create(account=account, amount=5, source="promo", expires_at=next_year))
    await wait(operator.grants.void(promo.id, reason="a mistake"))
    await wait(operator.adjustments.create(account=account, amount=Decimal("-1"), reason="a correction"))


async def _keys(operator: Any, customer: CustomerOf, account: str, wait: Any, page: Any) -> None:
    budget = {"limit": Decimal(500), "period": "month"}
    key = await wait(operator.keys.create(account=account, name="one", budget=budget, scopes=["keys:write"]))
    own = customer(key.secret)
    await wait(own.keys.own())
    await wait(own.credits.get())
    await wait(own.prices.get())
    await wait(own.estimates.create(items=[{"operation": "unit", "quantity": {"min": 1, "max": Decimal("2.5")}}]))
    await wait(operator.keys.verify(key=key.secret))
    await wait(operator.keys.update(key.id, name="two"))
    await wait(operator.keys.get(key.id))
    await page(operator.keys.list(account=account))
    await wait(operator.keys.rotate(key.id, overlap_seconds=60))
    await wait(operator.keys.revoke(key.id))


async def _charges(operator: Any, account: str, wait: Any, page: Any) -> None:
    charge = await wait(operator.charges.create(account=account, operation="unit", quantity=2.5, metadata={"job": "1"}))
    await wait(operator.charges.get(charge.id))
    await wait(operator.charges.explain(charge.id))
    await wait(operator.charges.refund(charge.id, amount=Decimal("0.5"), reason="noise"))
    await wait(operator.charges.report_outcome(charge.id, status="failed", reason="the model crashed"))
    unit = {"account": account, "operation": "unit"}
    await wait(operator.charges.create_batch(charges=[unit, {**unit, "quantity": 1_000_000}]))
    await page(operator.charges.list(account=account))


async def _holds(operator: Any, account: str, wait: Any, page: Any) -> None:
    hold = await wait(operator.holds.create(account=account, operation="unit", quantity=10, ttl_seconds=60))
    await wait(operator.holds.extend(hold.id, ttl_seconds=120))
    await wait(operator.holds.increase(hold.id, amount="5"))
    await wait(operator.holds.capture(hold.id, quantity=3, final=False))
    await wait(operator.holds.release(hold.id))
    await wait(operator.holds.get(hold.id))
    await page(operator.holds.list(account=account))


async def _purchases(operator: Any, account: str, wait: Any, page: Any) -> None:
    await wait(operator.topup_options.set(currency="eur", credits_per_unit=Decimal(100), min_minor=500, max_minor=100_000))
    await wait(operator.topup_options.get())
    dropped = await wait(operator.checkout_sessions.create(account=account, amount_minor=500))
    await wait(operator.checkout_sessions.cancel(dropped.id))
    session = await wait(operator.checkout_sessions.create(account=account, amount_minor=1000))
    # The customer pays on the page, which leads back to the server.
    urlopen(session.url, data=b"action=pay").close()
    topup = (await wait(operator.checkout_sessions.get(session.id))).topup
    await page(operator.checkout_sessions.list(account=account))
    await wait(operator.topups.refund(topup, amount_minor=100, reason="noise"))
    await wait(operator.topups.simulate(topup, event="dispute"))
    await wait(operator.topups.get(topup))
    await page(operator.topups.list(account=account))
    consent = {"by": "Ada", "text": "terms of 2026"}
    await wait(operator.auto_topups.set(account=account, threshold=Decimal(10), target=500, monthly_cap_minor=5_000, consent=consent))
    await wait(operator.auto_topups.get(account=account))
    await wait(operator.auto_topups.delete(account=account))


async def _invoices(operator: Any, account: str, wait: Any, page: Any) -> None:
    invoices = await page(operator.invoices.list(account=account))
    await wait(operator.invoices.get(invoices.data[0].id))
    month = datetime.now(timezone.utc).strftime("%Y-%m")
    await wait(operator.invoices.issue_statement(account="external:before", month=month))


async def _webhooks(operator: Any, wait: Any, page: Any) -> None:
    endpoints = operator.webhook_endpoints
    endpoint = await wait(endpoints.create(url="https://hooks.example.com/obol", events=["charge.*"]))
    await wait(endpoints.get(endpoint.id))
    await page(endpoints.list())
    await wait(endpoints.update(endpoint.id, description="of the SDK"))
    await wait(endpoints.rotate_secret(endpoint.id, overlap_seconds=60))
    await wait(endpoints.test(endpoint.id))
    await page(endpoints.attempts(endpoint.id))
    event = (await wait(operator.events.list(limit=1))).data[0]
    await wait(endpoints.resend(endpoint.id, event=event.id))
    await wait(endpoints.replay(endpoint.id, start=datetime.now(timezone.utc) - timedelta(minutes=1)))
    await wait(endpoints.delete(endpoint.id))


async def _plans(operator: Any, account: str, wait: Any, page: Any) -> None:
    plans, subscriptions = operator.plans, operator.subscriptions
    price = {"amount_minor": 900, "currency": "eur"}
    rollover = {"percent": 50, "cap": Decimal(20)}
    await wait(plans.set("pro", name="Pro", credits=[{"amount": Decimal(100), "rollover": rollover}], price=price))
    weekly = {"unit": "week", "count": 1}
    await wait(plans.set("free", name="Free", credits=[{"amount": 10}], period=weekly))
    await wait(plans.set("more", name="More", credits=[{"amount": "20"}], period=weekly))
    await wait(plans.get("pro", version=1))
    await page(plans.list())
    paid = await wait(subscriptions.create(account=account, plan="pro"))
    await wait(subscriptions.open_payment_page(paid.id))
    await wait(subscriptions.cancel(paid.id, at="now"))
    free = await wait(subscriptions.create(account=account, plan="free"))
    await wait(subscriptions.preview_change(free.id, plan="more"))
    await wait(subscriptions.change(free.id, plan="more"))
    await wait(subscriptions.pause(free.id))
    await wait(subscriptions.resume(free.id))
    await wait(subscriptions.get(free.id))
    await page(subscriptions.list(account=account))
    await wait(operator.payment_methods.get(account=account))
    await wait(operator.payment_methods.delete(account=account))
    clock = await wait(operator.test_clocks.create(name="a month", now=datetime(2031, 1, 31, tzinfo=timezone.utc)))
    await wait(operator.test_clocks.advance(clock.id, to=datetime(2031, 2, 28, tzinfo=timezone.utc)))
    await wait(operator.test_clocks.get(clock.id))
    await page(operator.test_clocks.list())


async def _alerts(operator: Any, account: str, wait: Any) -> None:
    alerts = operator.alerts
    emails = ["lin@example.com"]
    alert = await wait(alerts.create(account=account, watch="balance", threshold=Decimal(10), level="critical", email_to=emails))
    await wait(alerts.create(account=account, watch="daily_spend", threshold_percent=20, time_zone="Europe/Berlin"))
    await wait(alerts.update(alert.id, threshold="20", email_owners=False))
    await wait(alerts.get(alert.id))
    await wait(alerts.list(account=account))
    await wait(alerts.delete(alert.id))


_PASSWORD = "correct horse battery staple"


async def _users(operator: Any, customer: CustomerOf, account: str, email: str, wait: Any, page: Any) -> None:
    nobody = customer(None)
    await wait(operator.users.invite_first_operator())
    offer = await wait(operator.users.invite(email=email, account=account, role="owner"))
    token = (await wait(operator.users.renew_invitation(offer.id))).token
    accepted = await wait(nobody.auth.accept_invitation(token=token, password=_PASSWORD))
    user = customer(accepted.access_token)
    await wait(user.me.get())
    await wait(user.me.change_password(current_password=_PASSWORD, password=f"{_PASSWORD}!"))
    reset = await wait(operator.users.offer_password_reset(offer.id))
    await wait(nobody.auth.reset_password(token=reset.token, password=_PASSWORD))
    tokens = await wait(nobody.auth.sign_in(email=email, password=_PASSWORD))
    tokens = await wait(nobody.auth.refresh(refresh_token=tokens.refresh_token))
    await wait(nobody.auth.sign_out(refresh_token=tokens.refresh_token))
    await page(operator.users.list())
    await wait(operator.users.get(offer.id))
    await wait(operator.users.update(offer.id, status="active"))
    await wait(operator.users.set_membership(offer.id, account, role="member"))
    await wait(operator.users.end_membership(offer.id, account))
    await wait(operator.auth.replace_signing_keys())
    await wait(nobody.auth.signing_keys())
