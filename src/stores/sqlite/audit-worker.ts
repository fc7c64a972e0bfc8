/** The thread in which a running server audits its own file. */

import { parentPort, workerData } from 'node:worker_threads'
import { auditFile } from './audit.ts'

parentPort?.postMessage(auditFile((workerData as { readonly file: string }).file))
