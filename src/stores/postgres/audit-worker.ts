/** The thread in which a running server audits its own store. */

import { parentPort, workerData } from 'node:worker_threads'
import type { Address } from './address.ts'
import { auditAt } from './audit.ts'

const report = await auditAt(workerData as Address)
parentPort?.postMessage(report)
