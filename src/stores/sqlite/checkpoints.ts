/** Moves what commits have written to the log into the database file, on a thread of its own, so that no commit waits for it. */

import { Worker } from 'node:worker_threads'

/** Records after which the log is checkpointed: a few megabytes of it. */
const RECORDS = 4_000

/** Starts checkpoints as records are committed. Should its thread fail, SQLite itself checkpoints a log that has grown long. */
export class Checkpoints {
  readonly #file: string
  readonly #onFault: (fault: unknown) => void
  #worker: Worker | null = null
  #isRunning = false
  #records = 0

  constructor(file: string, onFault: (fault: unknown) => void) {
    this.#file = file
    this.#onFault = onFault
  }

  /** Notes that records were committed. */
  note(records: number): void {
    this.#records += records
    if (this.#records < RECORDS || this.#isRunning) return
    this.#records = 0
    this.#isRunning = true
    this.#worker ??= this.#start()
    this.#worker.postMessage('checkpoint')
  }

  #start(): Worker {
    const worker = new Worker(new URL('./checkpoint-worker.ts', import.meta.url), { workerData: { file: this.#file } })
    worker.unref()
    worker.on('message', () => {
      this.#isRunning = false
    })
    worker.on('error', (fault) => {
      this.#worker = null
      this.#isRunning = false
      this.#onFault(fault)
    })
    return worker
  }

  /** Ends the thread, once a checkpoint that runs is done. */
  async close(): Promise<void> {
    await this.#worker?.terminate()
  }
}
