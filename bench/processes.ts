/** Whatever is measured runs in a process of its own. */

import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { LoadPlan, LoadResult } from './load.ts'
import type { Spent } from './profiler.ts'
import type { ServerMessage, ServerPlan, ServerReady } from './server.ts'

/** What `npm start` gives Node: charges make much that is soon garbage, and a larger nursery copies less of it. */
const NODE_OPTIONS = ['--max-semi-space-size=32']

function startProcess(file: string, plan: unknown): ChildProcess {
  const child = fork(join(import.meta.dirname, file), { stdio: 'inherit', execArgv: NODE_OPTIONS })
  child.send(plan as object)
  return child
}

function firstMessage<Message>(child: ChildProcess, file: string): Promise<Message> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Message))
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)))
  })
}

/** Runs a file of this folder with a plan; gives its result. */
export function ask<Result>(file: string, plan: unknown): Promise<Result> {
  return firstMessage(startProcess(file, plan), file)
}

/** Sends a load. Throws when an answer was not the expected one. */
export async function load(plan: LoadPlan): Promise<LoadResult> {
  const result = await ask<LoadResult>('load.ts', plan)
  if (result.unexpected > 0) throw new Error(`${plan.path}: ${result.unexpected} unexpected answers`)
  return result
}

/** A server that is measured. */
export interface RunningServer {
  readonly ready: ServerReady
  /** Profiles the server while work is done. */
  readonly profile: <Result>(work: () => Promise<Result>) => Promise<{ readonly result: Result; readonly spent: Spent }>
  readonly stop: () => Promise<void>
}

/** Starts a server and waits until it has its accounts. */
export async function startServer(plan: ServerPlan): Promise<RunningServer> {
  const child = startProcess('server.ts', plan)
  const ready = await firstMessage<ServerReady>(child, 'server.ts')
  const say = <Answer>(message: ServerMessage): Promise<Answer> => {
    const answer = firstMessage<Answer>(child, 'server.ts')
    child.send(message)
    return answer
  }
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.send('stop' satisfies ServerMessage)
    })
  const profile: RunningServer['profile'] = async (work) => {
    await say('begin profile')
    const result = await work()
    return { result, spent: await say<Spent>('end profile') }
  }
  return { ready, profile, stop }
}

/** Runs work in a process that `ask` has started: takes its plan, gives its result, ends. */
export function answerParent<Plan, Result>(work: (plan: Plan) => Promise<Result>): void {
  if (!process.send) return
  process.once('message', (plan: Plan) => {
    work(plan).then(
      (result) => process.send?.(result, () => process.disconnect()),
      (fault: unknown) => {
        throw fault
      },
    )
  })
}
