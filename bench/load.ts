/** A load generator: a process of its own, few microseconds per request, so that it measures the server and not itself. */

import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { answerParent } from './processes.ts'
import type { Figures } from './report.ts'

/** What to send, and how. */
export interface LoadPlan {
  readonly port: number
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly key: string
  readonly connections: number
  readonly seconds: number
  /** Time before counting begins. */
  readonly warmUpSeconds: number
  /** Requests per second, sent whether or not earlier ones have been answered; null: each connection sends when it has its answer. */
  readonly rate: number | null
  /** A file of account ids, one per line; each request names one at random. */
  readonly accountsFile: string | null
  /** Accounts of the file that are used, from its start. */
  readonly accounts: number
  readonly expectedStatus: number
}

/** What came of it. Latencies in milliseconds. */
export interface LoadResult extends Figures {
  readonly requests: number
  readonly unexpected: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const MAX_SAMPLES = 2_000_000

class Load {
  readonly #plan: LoadPlan
  readonly #ids: readonly string[]
  readonly #name = Math.random().toString(36).slice(2)
  readonly #samples = new Float64Array(MAX_SAMPLES)
  /** When requests were due that no connection was free for. */
  readonly #due: number[] = []
  #count = 0
  #sent = 0
  #unexpected = 0
  #countFrom = 0
  #until = 0

  constructor(plan: LoadPlan) {
    this.#plan = plan
    this.#ids = plan.accountsFile === null ? [] : readFileSync(plan.accountsFile, 'utf8').trim().split('\n').slice(0, plan.accounts)
  }

  async run(): Promise<LoadResult> {
    const { connections, seconds, warmUpSeconds, rate } = this.#plan
    const sockets = await Promise.all(Array.from({ length: connections }, () => this.#open()))
    this.#countFrom = performance.now() + warmUpSeconds * 1000
    this.#until = this.#countFrom + seconds * 1000
    const lines = sockets.map((socket) => new Line(socket, (startedMs, status) => this.#answered(startedMs, status)))
    await (rate === null ? this.#closedLoop(lines) : this.#openLoop(lines, rate))
    for (const socket of sockets) socket.destroy()
    return this.#result()
  }

  #open(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: this.#plan.port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
      socket.once('error', reject)
    })
  }

  #closedLoop(lines: readonly Line[]): Promise<void> {
    return new Promise((resolve) => {
      let idle = 0
      for (const line of lines) {
        const next = (): void => {
          if (performance.now() < this.#until) line.send(this.#request(), performance.now(), next)
          else if (++idle === lines.length) resolve()
        }
        next()
      }
    })
  }

  /** Requests are due at a fixed rate; one that has to wait for a connection counts its waiting. */
  #openLoop(lines: readonly Line[], rate: number): Promise<void> {
    return new Promise((resolve) => {
      const free = [...lines]
      let nextMs = performance.now()
      const pump = (): void => {
        const nowMs = performance.now()
        for (; nextMs <= nowMs && nextMs < this.#until; nextMs += 1000 / rate) this.#due.push(nextMs)
        while (this.#due.length > 0 && free.length > 0) this.#sendDue(free)
        if (nowMs < this.#until) setTimeout(pump, 1)
        else setTimeout(resolve, 500)
      }
      pump()
    })
  }

  #sendDue(free: Line[]): void {
    const line = free.pop()
    const dueMs = this.#due.shift()
    if (line === undefined || dueMs === undefined) return
    line.send(this.#request(), dueMs, () => {
      free.push(line)
      if (this.#due.length > 0) this.#sendDue(free)
    })
  }

  #request(): string {
    const { method, path, key } = this.#plan
    const head = `${method} ${path} HTTP/1.1\r\nHost: obol\r\nAuthorization: Bearer ${key}\r\n`
    if (method === 'GET') return `${head}\r\n`
    const account = this.#ids[Math.floor(Math.random() * this.#ids.length)]
    const body = `{"account":"${account}","operation":"llm.chat","quantities":{"input_tokens":374,"output_tokens":44}}`
    return `${head}Content-Type: application/json\r\nIdempotency-Key: ${this.#name}-${this.#sent++}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }

  #answered(startedMs: number, status: number): void {
    const nowMs = performance.now()
    if (startedMs < this.#countFrom || nowMs > this.#until) return
    if (status !== this.#plan.expectedStatus) this.#unexpected++
    if (this.#count < MAX_SAMPLES) this.#samples[this.#count] = nowMs - startedMs
    this.#count++
  }

  #result(): LoadResult {
    const samples = this.#samples.slice(0, Math.min(this.#count, MAX_SAMPLES)).sort()
    const at = (share: number): number => samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? 0
    return {
      requests: this.#count,
      perSecond: this.#count / this.#plan.seconds,
      unexpected: this.#unexpected,
      p50: at(0.5),
      p99: at(0.99),
      max: at(1),
    }
  }
}

/** One connection: one request at a time. */
class Line {
  readonly #socket: Socket
  readonly #answered: (startedMs: number, status: number) => void
  #received = ''
  #startedMs = 0
  #next: () => void = () => undefined

  constructor(socket: Socket, answered: (startedMs: number, status: number) => void) {
    this.#socket = socket
    this.#answered = answered
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#receive(text))
    socket.on('close', () => {
      if (this.#received !== '') throw new Error('the server closed a connection in the middle of an answer')
    })
  }

  send(request: string, startedMs: number, next: () => void): void {
    this.#startedMs = startedMs
    this.#next = next
    this.#socket.write(request)
  }

  #receive(text: string): void {
    this.#received = this.#received === '' ? text : this.#received + text
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const length = /content-length: (\d+)/i.exec(this.#received.slice(0, headEnd))
    if (this.#received.length < headEnd + 4 + Number(length?.[1] ?? 0)) return
    const status = Number(this.#received.slice(9, 12))
    this.#received = ''
    this.#answered(this.#startedMs, status)
    this.#next()
  }
}

answerParent((plan: LoadPlan) => new Load(plan).run())
