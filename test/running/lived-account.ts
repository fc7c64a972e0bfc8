/** An account to which everything has happened: each kind of record, each status of a grant and a hold, hours that are over. */

import type { Store } from '../../src/stores/store.ts'
import { livesOfAutoTopups } from './auto-topups.ts'
import { livesOfPurchases } from './purchases.ts'
import * as make from './store-commands.ts'
import { seqOf } from './store-commands.ts'
import { livesOfSubscriptions } from './subscriptions.ts'

/** Lets an account live through all of it, while the store's time passes. */
export async function live(store: Store, account: number, clock: { nowMs: number }): Promise<void> {
  let named = 0
  const seq = (command: Parameters<typeof seqOf>[2]): Promise<number> => seqOf(store, account, command, { key: `${named++}` })
  await make.make(store, account, make.createAccount(), { key: `open ${account}` })
  await seq(make.grant(1_000))
  await seq(make.updateAccount({ externalId: `external ${account}`, metadata: { a: 'b' } }))
  const key = await seq(make.createKey(`one ${account}`))
  await seq(make.rotateKey(key, `two ${account}`))
  await seq(make.revokeKey(await seq(make.createKey(`gone ${account}`))))
  await seq(make.grant(5, { source: 'promo', expiresAtMs: clock.nowMs + make.HOUR_MS }))
  await seq(make.charge(5, { operation: 'image', key }))
  const spent = await seq(make.grant(7, { source: 'plan' }))
  const charged = await seq(make.charge(7, { operation: 'video' }))
  await seq(make.refund(charged, 2))
  await seq(make.refund(charged, 1))
  await seq(make.voidGrant(spent))
  await seq(make.capture(await seq(make.hold(20)), 4))
  await seq(make.release(await seq(make.hold(3))))
  const late = await seq(make.hold(2, { ttlMs: make.MINUTE_MS }))
  await seq(make.chargeGroup(1, 2))
  const topups = livesOfAutoTopups(make.grant(60_000))
  for (let next = topups.next(); !next.done; ) {
    if (typeof next.value === 'number') clock.nowMs += next.value
    next = topups.next(typeof next.value === 'number' ? 0 : await seq(next.value))
  }
  const purchases = livesOfPurchases()
  for (let next = purchases.next(); !next.done; ) next = purchases.next(await seq(next.value))
  const subscriptions = livesOfSubscriptions()
  for (let next = subscriptions.next(); !next.done; ) {
    if (typeof next.value === 'number') clock.nowMs += next.value
    next = subscriptions.next(typeof next.value === 'number' ? 0 : await seq(next.value))
  }
  await seq(make.reportOutcome(charged))
  clock.nowMs += 2 * make.HOUR_MS
  await seq(make.grant(50, { source: 'promo', expiresAtMs: clock.nowMs + make.DAY_MS }))
  await seq(make.capture(late))
  const held = await seq(make.hold(9, { ttlMs: make.DAY_MS }))
  await seq(make.increase(held, 1))
  await seq(make.refund(await seq(make.charge(4))))
  clock.nowMs += 2 * make.HOUR_MS
  await seq(make.charge(11))
  await seq(make.charge(12))
  await store.touchKeys([{ account, seq: key, atMs: clock.nowMs }])
}
