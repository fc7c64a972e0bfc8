/** What an answer that cost credits says in its headers. */

import type { FastifyReply } from 'fastify'
import { availableOf } from '../core/balance.ts'
import { formatCredits } from '../core/credits.ts'
import { objectId } from '../core/ids.ts'
import type { ChargeRecord } from '../core/record.ts'
import type { Applied } from '../stores/store.ts'

/** Says what was charged, what is left, and whether it had been charged before. */
export function setCreditHeaders(reply: FastifyReply, { account, isReplay }: Applied, record: ChargeRecord): void {
  reply
    .header('x-credits-charged', formatCredits(record.credits))
    .header('x-credits-remaining', formatCredits(availableOf(record.balance)))
    .header('x-credits-charge-id', objectId('chg', account, record.seq))
  if (isReplay) reply.header('idempotent-replayed', 'true')
}
