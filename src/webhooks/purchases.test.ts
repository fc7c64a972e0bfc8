/** Purchases are told of as everything else is: whoever waits for a payment need not ask for it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Receiver, startReceiver, until } from '../../test/running/receiver.ts'
import { openShop } from '../../test/running/sandbox.ts'
import { STORE_KINDS } from '../../test/running/store.ts'
import { readMessage } from '../../test/running/webhooks.ts'

const PURCHASE = [
  'checkout.created',
  'checkout.linked',
  'topup.paid',
  'grant.created',
  'credits.recovered',
  'topup.refund_requested',
  'topup.refunded',
  'topup.disputed',
  'checkout.created',
  'checkout.linked',
  'checkout.closed',
]

for (const kind of STORE_KINDS)
  test(`endpoints hear of checkouts, payments, refunds and disputes, from ${kind}`, async (t) => {
    const shop = await openShop(t, { OBOL_WEBHOOK_ALLOWED_CIDRS: '127.0.0.0/8' }, kind)
    const { account, call, clock } = shop
    clock.nowMs += 1_000
    const post = async (path: string, body?: object): Promise<string> => {
      const answer = await call('POST', path, body)
      assert.ok([200, 201, 202].includes(answer.status), answer.text)
      return answer.body.secret
    }
    const [all, some] = [await startReceiver(t), await startReceiver(t)]
    const secretOfAll = await post('/v1/webhook-endpoints', { url: all.url })
    const secretOfSome = await post('/v1/webhook-endpoints', { account, url: some.url, events: ['topup.*', 'checkout.closed'] })
    const told = ({ received }: Receiver, secret: string) => received.map((request) => readMessage(request, secret))
    const typesOf = (events: readonly { readonly type: string }[]): readonly string[] => events.map(({ type }) => type)
    const hear = (type: string): Promise<void> => until(() => typesOf(told(all, secretOfAll)).includes(type), `${type} is told`)

    const { id } = await shop.buy()
    await post(`/v1/topups/${id}/refund`, { amount_minor: 100 })
    await hear('topup.refunded')
    await post(`/v1/topups/${id}/simulate`, { event: 'dispute' })
    await hear('topup.disputed')
    await post(`/v1/checkout-sessions/${(await shop.open()).id}/cancel`)
    await hear('checkout.closed')

    assert.deepEqual(typesOf(told(all, secretOfAll)), PURCHASE)
    const { data } = (await call('GET', '/v1/events?limit=100')).body
    assert.deepEqual(
      told(all, secretOfAll).map((message) => message.data),
      data.slice(-PURCHASE.length),
      'as the feed has them',
    )
    const wanted = PURCHASE.filter((type) => type.startsWith('topup.') || type === 'checkout.closed')
    await until(() => some.received.length >= wanted.length, 'the account is told')
    assert.deepEqual(typesOf(told(some, secretOfSome)), wanted)
  })
