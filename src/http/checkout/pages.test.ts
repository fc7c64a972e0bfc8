/** The pages on which credits are paid, in a real browser: with and without scripts, by mouse and by keyboard. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { openPage } from '../../../test/running/browser.ts'
import { openShop, until } from '../../../test/running/sandbox.ts'

/** A page of the operator's own, where customers go afterwards. */
async function startShopPage(t: TestContext): Promise<string> {
  const server = createServer((request, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<h1>You are at ${request.url}</h1>`),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a customer pays on the page, comes back, and has the credits', async (t) => {
  const shop = await openShop(t)
  const own = await startShopPage(t)
  const session = await shop.open({ pack: 'big', success_url: `${own}/thanks`, cancel_url: `${own}/basket` })
  const page = await openPage(t)
  await page.goto(session.url)
  assert.equal(await page.title(), 'Checkout')
  assert.equal(await page.getByRole('heading').textContent(), '5500 credits')
  assert.match(await page.locator('main').innerText(), /No real money is paid here/)
  await page.getByRole('button', { name: 'Pay 50.00 EUR' }).click()
  await page.waitForURL(`${own}/thanks?checkout_session=${session.id}`)
  assert.deepEqual(await shop.credits(), ['5500', '0', '0'], 'at once: the return page has looked itself')
  await page.goBack()
  await page.goto(session.url)
  assert.match(await page.getByRole('status').innerText(), /This is paid/)
  assert.equal(await page.getByRole('button').count(), 0, 'it cannot be paid again')
})

test('without scripts and by keyboard alone it works the same, and a declined card can be tried again', async (t) => {
  const shop = await openShop(t)
  const session = await shop.open()
  const page = await openPage(t, { javaScriptEnabled: false, viewport: { width: 360, height: 640 } })
  await page.goto(session.url)
  for (const name of ['Pay 10.00 EUR', 'Let the bank decline it']) {
    await page.keyboard.press('Tab')
    assert.equal(await page.locator(':focus').innerText(), name)
  }
  await page.keyboard.press('Enter')
  assert.match(await page.getByRole('alert').innerText(), /declined/)
  await page.reload()
  assert.deepEqual(await shop.credits(), ['0', '0', '0'])
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Paid' }).waitFor()
  assert.match(await page.locator('main').innerText(), /Your credits are ready/)
  assert.deepEqual(await shop.credits(), ['1000', '0', '0'])
})

test('money that is on its way is shown as that, until it has arrived', async (t) => {
  const shop = await openShop(t)
  const session = await shop.open()
  const page = await openPage(t)
  await page.goto(session.url)
  await page.getByRole('button', { name: 'Pay by slow transfer', exact: true }).click()
  await page.getByRole('heading', { name: 'On its way' }).waitFor()
  assert.deepEqual(await shop.credits(), ['0', '0', '0'])
  shop.clock.nowMs += 60_000
  // The page loads itself anew.
  await page.getByRole('heading', { name: 'Paid' }).waitFor()
  await until(shop.credits, ([available]) => available === '1000')
})

test('whoever leaves pays nothing, and can go on later', async (t) => {
  const shop = await openShop(t)
  const own = await startShopPage(t)
  const page = await openPage(t)
  const left = await shop.open({ amount_minor: 1_000, cancel_url: `${own}/basket` })
  await page.goto(left.url)
  await page.getByRole('link', { name: 'Cancel and go back' }).click()
  await page.waitForURL(`${own}/basket`)
  const session = await shop.open()
  await page.goto(session.url)
  await page.getByRole('link', { name: 'Cancel and go back' }).click()
  await page.getByRole('heading', { name: 'Not paid yet' }).waitFor()
  await page.getByRole('link', { name: 'Go on' }).click()
  await page.getByRole('button', { name: 'Pay 10.00 EUR' }).click()
  await page.getByRole('heading', { name: 'Paid' }).waitFor()
  assert.deepEqual(await shop.credits(), ['1000', '0', '0'])
})

test('a page that is pressed many times at once takes one payment', async (t) => {
  const shop = await openShop(t)
  const session = await shop.open()
  const answers = await Promise.all(
    ['pay', 'pay', 'pay_later', 'pay', 'decline', 'pay_later_in_vain', 'pay'].map((action) => shop.press(session, action)),
  )
  for (const { status } of answers) assert.equal(status, 303)
  shop.clock.nowMs += 60_000
  const { status } = await until(
    () => shop.session(session.id),
    (now) => now.status !== 'open' && now.status !== 'pending',
  )
  await until(shop.credits, ([available]) => available === (status === 'paid' ? '1000' : '0'))
})

test('nothing that a customer or an operator wrote becomes markup, and pages say nothing to others', async (t) => {
  const shop = await openShop(t)
  const wicked = '"><script>alert(1)</script>'
  await shop.call('PUT', '/v1/topups/options', {
    currency: 'eur',
    credit_type: 'credits',
    credits_per_unit: '100',
    min_minor: 100,
    max_minor: 1_000,
  })
  const session = await shop.open({ amount_minor: 100, cancel_url: `https://shop.example/?a=${wicked}`, metadata: { note: wicked } })
  const answer = await fetch(session.url)
  const text = await answer.text()
  assert.ok(!text.includes('<script'), text)
  const page = await openPage(t)
  await page.goto(session.url)
  const link = await page.getByRole('link', { name: 'Cancel and go back' }).getAttribute('href')
  assert.equal(new URL(link ?? '').searchParams.get('a'), wicked)
  assert.deepEqual(
    [answer.headers.get('referrer-policy'), answer.headers.get('cache-control'), answer.headers.get('x-content-type-options')],
    ['no-referrer', 'no-store', 'nosniff'],
  )
  assert.match(
    answer.headers.get('content-security-policy') ?? '',
    /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; frame-ancestors 'none'$/,
  )
})

test('what is no checkout, or no action, is not found or refused', async (t) => {
  const shop = await openShop(t)
  const session = await shop.open()
  const at = (path: string, body?: string): Promise<Response> =>
    fetch(`${shop.url}${path}`, body === undefined ? {} : { method: 'POST', body: new URLSearchParams(body), redirect: 'manual' })
  for (const path of [
    '/sandbox/sbx_unknown',
    '/sandbox/%00',
    '/checkout/cs_0000000000000001/return',
    `/checkout/${session.id}/return?token=x`,
  ])
    assert.equal((await at(path)).status, 404, path)
  assert.equal((await at('/sandbox/sbx_unknown', 'action=pay')).status, 404)
  for (const body of ['action=steal', 'act=pay', ''])
    assert.equal((await fetch(session.url, { method: 'POST', body: new URLSearchParams(body) })).status, 400)
  const json = await fetch(session.url, { method: 'POST', body: '{"action":"pay"}', headers: { 'content-type': 'application/json' } })
  assert.equal(json.status, 400)
  assert.deepEqual(await shop.credits(), ['0', '0', '0'])
})
