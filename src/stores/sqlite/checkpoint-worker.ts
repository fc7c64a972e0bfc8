/** The thread that checkpoints a store's log while the store goes on committing. */

import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

const db = new DatabaseSync((workerData as { readonly file: string }).file, { timeout: 5_000 })
db.exec('pragma synchronous = full')
// Passive: it waits for nobody and keeps nobody waiting; what it cannot move yet, the next one does.
const checkpoint = db.prepare('pragma wal_checkpoint(passive)')

parentPort?.on('message', () => {
  checkpoint.get()
  parentPort?.postMessage('done')
})
