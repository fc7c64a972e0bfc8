/** The thread in which a running server audits its own store. */

import { parentPort, workerData } from 'node:worker_threads'
import { auditDatabase } from './audit.ts'

const report = await auditDatabase((workerData as { readonly url: string }).url)
parentPort?.postMessage(report)
