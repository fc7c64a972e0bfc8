/** The command line as a process: run to its end, or kept running as a server and stopped when the test ends. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const LAUNCHER = join(import.meta.dirname, '../../bin/obol.js')
/** Longest that a command may take, on a machine with much else to do. */
const TIMEOUT_MS = 60_000
/** Longest that a server may take until it listens. */
const START_MS = 20_000
const POLL_MS = 20

/** How a process is started. Of the environment it sees the path, and what is named here. */
export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Default: a folder in which nothing is. */
  readonly cwd?: string
  /** The Node that starts it, with its own options. Default: the one that runs the tests. */
  readonly node?: readonly [program: string, ...options: string[]]
  readonly launcher?: string
}

/** How a process ended, and what it said. */
export interface Ended {
  /** Null: a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A folder of its own for a test. */
export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'obol-process-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Started {
  readonly child: ChildProcess
  readonly said: { stdout: string; stderr: string }
  readonly ended: Promise<Ended>
}

function start(
  args: readonly string[],
  { env = {}, cwd = tmpdir(), node = [process.execPath], launcher = LAUNCHER }: ProcessOptions,
): Started {
  const [program, ...options] = node
  const child = spawn(program, [...options, launcher, ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(timer)
    return { code: code as number | null, ...said }
  })
  return { child, said, ended }
}

/** Runs `obol` with these words to its end. */
export function runObol(args: readonly string[], options: ProcessOptions = {}): Promise<Ended> {
  return start(args, options).ended
}

/** Starts a move of a store, which may be killed. */
export function startMove(args: readonly string[]): { readonly kill: () => void; readonly ended: Promise<Ended> } {
  const { child, ended } = start(['migrate-store', ...args], {})
  return { kill: () => child.kill('SIGKILL'), ended }
}

/** Starts a server and kills it after so many milliseconds, whatever it is doing by then. */
export async function startAndKill(command: 'dev' | 'serve', afterMs: number, options: ProcessOptions): Promise<Ended> {
  const { child, ended } = start([command], { ...options, env: { OBOL_PORT: '0', ...options.env } })
  await Promise.race([ended, sleep(afterMs)])
  child.kill('SIGKILL')
  return ended
}

/** A Node whose clock is ahead: what it runs takes it to be later. */
export function nodeAhead(ms: number): NonNullable<ProcessOptions['node']> {
  const preload = `const now = Date.now; Date.now = () => now() + ${ms}`
  return [process.execPath, '--import', `data:text/javascript,${encodeURIComponent(preload)}`]
}

/** A server that runs as a process. */
export interface ServerProcess {
  readonly url: string
  readonly pid: number
  /** What it has said so far. */
  readonly said: { readonly stdout: string; readonly stderr: string }
  readonly ended: Promise<Ended>
  readonly signal: (name: NodeJS.Signals) => void
  /** Stops it gracefully, and gives how it ended and how long that took. */
  readonly stop: (name?: NodeJS.Signals) => Promise<Ended & { readonly tookMs: number }>
}

/** Starts `obol dev` or `obol serve` on a port that is free, and waits until it listens. It is ended with the test. */
export async function startServer(t: TestContext, command: 'dev' | 'serve', options: ProcessOptions): Promise<ServerProcess> {
  const started = start([command], { ...options, env: { OBOL_PORT: '0', ...options.env } })
  const { child, said, ended } = started
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const url = await listening(started, command)
  const stop: ServerProcess['stop'] = async (name = 'SIGTERM') => {
    const startedMs = performance.now()
    child.kill(name)
    return { ...(await ended), tookMs: performance.now() - startedMs }
  }
  return { url, pid: child.pid ?? 0, said, ended, signal: (name) => child.kill(name), stop }
}

/** `serve` logs its address; `dev` prints it once the samples are there. Throws when it ends before that, or takes too long. */
async function listening({ said, ended }: Started, command: 'dev' | 'serve'): Promise<string> {
  const address = command === 'dev' ? /is running at (http:\S+)[\s\S]*Stop with/ : /listening at (http:[^\s"]+)/
  let end: Ended | null = null
  void ended.then((value) => {
    end = value
  })
  for (let waitedMs = 0; end === null && waitedMs < START_MS; waitedMs += POLL_MS) {
    const [, url] = address.exec(said.stdout) ?? []
    if (url !== undefined) return url
    await sleep(POLL_MS)
  }
  throw new Error(`it did not start: ${JSON.stringify(end ?? said)}`)
}
