/** Loads that the parts of the bench send. */

import type { LoadPlan } from './load.ts'
import { OPERATOR_KEY, type ServerReady } from './server.ts'

/** Accounts that are charged, unless a part is about their number. */
export const ACCOUNTS = 10_000

/** How long and how often is measured. */
export interface Effort {
  readonly rounds: number
  readonly seconds: number
}

/** A load for a path of a server. */
export function loadPlan(ready: ServerReady, path: string, more: Partial<LoadPlan> & Pick<LoadPlan, 'seconds'>): LoadPlan {
  const isRead = more.method === 'GET'
  return {
    port: ready.port,
    method: 'POST',
    path,
    key: isRead ? ready.key : OPERATOR_KEY,
    connections: 64,
    warmUpSeconds: 0.5,
    rate: null,
    accountsFile: isRead ? null : ready.accountsFile,
    accounts: ACCOUNTS,
    expectedStatus: isRead ? 200 : 201,
    ...more,
  }
}
