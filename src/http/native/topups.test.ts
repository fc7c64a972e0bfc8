/** Refunds and disputes of top-ups, from the operator's request to the sandbox and back. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openShop, type Shop, until } from '../../../test/running/sandbox.ts'

/** Spends credits of the account. */
async function spend({ call, account }: Shop, amount: string): Promise<string> {
  const { status, body } = await call('POST', '/v1/charges', { account, operation: 'unit', amount })
  assert.equal(status, 201)
  return body.id
}

async function refund({ call }: Shop, id: string, body: object = {}, idempotencyKey?: string) {
  const answer = await call('POST', `/v1/topups/${id}/refund`, body, idempotencyKey === undefined ? {} : { idempotencyKey })
  return answer
}

/** Lets something happen at the sandbox and waits until the top-up is as wanted. */
async function simulate(shop: Shop, id: string, event: string, isWanted: Parameters<typeof until<Awaited<ReturnType<Shop['topup']>>>>[1]) {
  assert.equal((await shop.call('POST', `/v1/topups/${id}/simulate`, { event })).status, 202)
  return until(() => shop.topup(id), isWanted)
}

test('a refund takes credits in proportion, bonus included, and says so', async (t) => {
  const shop = await openShop(t)
  const { id } = await shop.buy({ pack: 'big' })
  const { status, body } = await refund(shop, id, { amount_minor: 1_000, reason: 'asked nicely' })
  assert.equal(status, 201)
  assert.deepEqual([body.status, body.taken_back, body.refundable_minor], ['partly_refunded', '1100', 4_000])
  assert.deepEqual(
    body.refunds.map((made: Record<string, unknown>) => [made.amount_minor, made.status, made.credits, /^trf_/.test(String(made.id))]),
    [[1_000, 'succeeded', '1100', true]],
  )
  assert.deepEqual(await shop.credits(), ['4400', '0', '0'])
  const rest = await refund(shop, id)
  assert.deepEqual([rest.body.status, rest.body.taken_back, rest.body.refundable_minor], ['refunded', '5500', 0])
  assert.deepEqual(await shop.credits(), ['0', '0', '0'])
})

test('what was spent of a refunded top-up is a debt that everybody can see', async (t) => {
  const shop = await openShop(t)
  const { id } = await shop.buy()
  await spend(shop, '300')
  await refund(shop, id)
  assert.deepEqual(await shop.credits(), ['-300', '0', '300'])
  const { status, body } = await shop.call('POST', '/v1/charges', { account: shop.account, operation: 'unit', amount: '1' })
  assert.deepEqual([status, body.code], [402, 'insufficient_credits'])
  await shop.buy()
  assert.deepEqual(await shop.credits(), ['700', '0', '0'])
})

test('a refund that is asked for twice under one key is made once', async (t) => {
  const shop = await openShop(t)
  const { id } = await shop.buy()
  const answers = await Promise.all(Array.from({ length: 5 }, () => refund(shop, id, { amount_minor: 400 }, 'k')))
  for (const { status } of answers) assert.equal(status, 201)
  const again = await refund(shop, id, { amount_minor: 400 }, 'k')
  assert.deepEqual([again.headers.get('idempotent-replayed'), again.body.refunds.length], ['true', 1])
  assert.deepEqual(await shop.credits(), ['600', '0', '0'])
  assert.equal((await refund(shop, id, { amount_minor: 500 }, 'k')).body.code, 'idempotency_key_reused')
})

test('more than was paid cannot be refunded, however it is cut', async (t) => {
  const shop = await openShop(t)
  const { id } = await shop.buy()
  await refund(shop, id, { amount_minor: 700 })
  const { status, body } = await refund(shop, id, { amount_minor: 301 })
  assert.deepEqual([status, body.code, body.refundable_minor], [409, 'topup_refund_exceeds_payment', 300])
  const many = await Promise.all(Array.from({ length: 4 }, () => refund(shop, id, { amount_minor: 100 })))
  assert.deepEqual(many.map(({ status: each }) => each).sort(), [201, 201, 201, 409])
  assert.deepEqual(await shop.credits(), ['0', '0', '0'])
  assert.equal((await refund(shop, 'topup_0000000000000001')).body.code, 'topup_not_found')
})

test('a refund that fails gives back what it took', async (t) => {
  const shop = await openShop(t)
  const { id } = await shop.buy()
  await spend(shop, '900')
  await refund(shop, id)
  assert.deepEqual(await shop.credits(), ['-900', '0', '900'])
  const topup = await simulate(shop, id, 'fail_refund', ({ status }) => status === 'paid')
  assert.deepEqual([topup.taken_back, topup.refunds[0].status, topup.refundable_minor], ['0', 'failed', 1_000])
  assert.deepEqual(await shop.credits(), ['100', '0', '0'])
})

test('a dispute freezes what is unspent; won, it is free again', async (t) => {
  const shop = await openShop(t)
  const { id } = await shop.buy()
  await spend(shop, '200')
  const disputed = await simulate(shop, id, 'dispute', ({ status }) => status === 'disputed')
  assert.deepEqual(
    disputed.disputes.map((dispute: Record<string, unknown>) => [dispute.amount_minor, dispute.status]),
    [[1_000, 'open']],
  )
  assert.deepEqual(await shop.credits(), ['0', '800', '0'])
  const refused = await refund(shop, id)
  assert.equal(refused.body.refunds[0].status, 'refused', 'the provider pays nothing back that is in dispute')
  const won = await simulate(shop, id, 'win_dispute', ({ status }) => status === 'paid')
  assert.equal(won.disputes[0].status, 'won')
  assert.deepEqual(await shop.credits(), ['800', '0', '0'])
})

test('a dispute that is lost takes what was frozen, and leaves what was spent as a debt', async (t) => {
  const shop = await openShop(t)
  const { id } = await shop.buy()
  await spend(shop, '200')
  await simulate(shop, id, 'dispute', ({ status }) => status === 'disputed')
  const lost = await simulate(shop, id, 'lose_dispute', ({ status }) => status === 'charged_back')
  assert.deepEqual([lost.taken_back, lost.refundable_minor], ['1000', 0])
  assert.deepEqual(await shop.credits(), ['-200', '0', '200'])
})

test('a dispute of a payment that has gone back is refused, and moves nothing', async (t) => {
  const shop = await openShop(t)
  const { id } = await shop.buy()
  await refund(shop, id)
  const { status, body } = await shop.call('POST', `/v1/topups/${id}/simulate`, { event: 'dispute' })
  assert.deepEqual([status, body.code], [409, 'nothing_to_dispute'])
  for (const event of ['win_dispute', 'lose_dispute'])
    assert.equal((await shop.call('POST', `/v1/topups/${id}/simulate`, { event })).body.code, 'nothing_to_simulate')
  assert.deepEqual(await shop.credits(), ['0', '0', '0'])
})

test('what the sandbox lets happen takes the sandbox', async (t) => {
  const shop = await openShop(t)
  const { body } = await shop.call('POST', '/v1/topups/topup_0000000000000001/simulate', { event: 'dispute' })
  assert.equal(body.code, 'topup_not_found')
  assert.equal((await shop.call('POST', '/v1/topups/nonsense/simulate', { event: 'dispute' })).body.code, 'topup_not_found')
  assert.equal((await shop.call('POST', '/v1/topups/nonsense/simulate', { event: 'earthquake' })).body.code, 'invalid_request')
})
