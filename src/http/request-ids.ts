/** Names of requests: random per process, counted within it. What a caller sends as a request id is not believed. */

import { randomBytes } from 'node:crypto'

/** Makes ids such as `req_k3v9x2m1b7_00004f`. */
export function requestIds(): () => string {
  const process = BigInt(`0x${randomBytes(6).toString('hex')}`)
    .toString(32)
    .padStart(10, '0')
  let count = 0
  return () => `req_${process}_${(count++).toString(32).padStart(6, '0')}`
}
