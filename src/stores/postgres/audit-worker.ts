/** The thread in which a running server audits its own store. */

import { parentPort, workerData } from 'node:worker_threads'
import type { Reach } from './address.ts'
import { auditDatabase } from './audit.ts'

const { url, reach } = workerData as { readonly url: string; readonly reach: Reach }
const report = await auditDatabase(url, reach)
parentPort?.postMessage(report)
