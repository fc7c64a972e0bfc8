/** The package as it is published: packed, installed into an empty project, and run on every runtime that is here. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { publint } from 'publint'
import { blocksOf } from '../../../test/reading/markdown.ts'
import { ROOT, textOf } from '../../../test/reading/project.ts'
import { OPERATOR_KEY, openAccount, publishTestPrices, startTestObol } from '../../../test/running/obol.ts'
import { runtimes } from '../../../test/running/runtimes.ts'
import { buildTypescript } from '../../../tools/build-sdk.ts'

const run = promisify(execFile)

/** An empty project in which the packed package is installed, without a network. */
async function installPackage(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'obol-package-'))
  const built = join(folder, 'built')
  buildTypescript(built)
  const project = join(folder, 'project')
  await run('npm', ['pack', '--pack-destination', folder], { cwd: built })
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? ''
  await run('mkdir', ['-p', project])
  writeFileSync(join(project, 'package.json'), '{"private":true,"type":"module"}')
  await run('npm', ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, tarball)], { cwd: project })
  return folder
}

const FOLDER = await installPackage()
const PROJECT = join(FOLDER, 'project')
process.on('exit', () => rmSync(FOLDER, { recursive: true, force: true }))

/** What smoke.mjs prints on a runtime, or what is bundled of it. */
async function smoke(t: TestContext, command: readonly string[]): Promise<unknown> {
  const running = await startTestObol(t)
  await publishTestPrices(running)
  const account = await openAccount(running, '100')
  const [program = '', ...words] = command
  const SMOKE = JSON.stringify({ baseUrl: running.url, apiKey: OPERATOR_KEY, account })
  const { stdout } = await run(program, words, { cwd: PROJECT, env: { ...process.env, SMOKE }, timeout: 60_000 })
  return JSON.parse(stdout)
}

const EXPECTED = {
  credits: '1.5',
  short: true,
  charges: true,
  csv: true,
  gone: 'CallAbortedError',
  forged: true,
  exact: '0.3',
  hooks: true,
  next: [200, '{"is":"done"}'],
}

for (const { name, command } of runtimes())
  test(`the installed package works on ${name}`, async (t) => {
    writeFileSync(join(PROJECT, 'smoke.mjs'), textOf('sdk/typescript/test/smoke.mjs'))
    assert.deepEqual(await smoke(t, [...command, 'smoke.mjs']), EXPECTED)
  })

test('a bundle for browsers has nothing of Node in it, is small, and works', async (t) => {
  writeFileSync(join(PROJECT, 'smoke.mjs'), textOf('sdk/typescript/test/smoke.mjs'))
  const outfile = join(PROJECT, 'bundle.mjs')
  await build({
    entryPoints: [join(PROJECT, 'smoke.mjs')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
  })
  assert.doesNotMatch(readFileSync(outfile, 'utf8'), /\bnode:|\brequire\(/)
  assert.deepEqual(await smoke(t, [process.execPath, 'bundle.mjs']), EXPECTED)
  const small = await build({
    stdin: { contents: "import { fromMicro } from '@obol/sdk'; console.log(fromMicro(1n))", resolveDir: PROJECT },
    bundle: true,
    format: 'esm',
    minify: true,
    write: false,
  })
  assert.ok((small.outputFiles[0]?.contents.length ?? 0) < 2_000, 'what is not used is left out')
})

test('the package has what it should, and nothing else', async () => {
  const { messages } = await publint({ pkgDir: join(FOLDER, 'built'), strict: true })
  assert.deepEqual(messages, [])
  const installed = readdirSync(join(PROJECT, 'node_modules/@obol/sdk'), { recursive: true }).map(String)
  assert.deepEqual(
    installed.filter((file) => !/^(dist(\/.*)?|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/.test(file) || /\.test\./.test(file)),
    [],
  )
  const { dependencies, peerDependencies } = JSON.parse(textOf('sdk/typescript/package.json')) as Record<string, unknown>
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined], 'it needs nothing')
})

/** Names that the README's examples use and do not make. */
const PRELUDE = `
import { Obol as Client, fromMicro, type Charge, type Used, type RouteTerms } from '@obol/sdk'
declare const customerKey: string, jobId: string, rawBody: string, model: string
declare const charge: Charge, captured: Charge
declare const files: readonly { seconds: number }[]
declare const app: { post(path: string, ...handlers: ((request: ExpressRequest, response: any, next: any) => unknown)[]): void }
declare const fastify: { post(path: string, options: object, handler: unknown): void }
declare const hono: { post(path: string, hook: (context: any, next: () => Promise<void>) => unknown, handler: (context: any) => unknown): void }
interface ExpressRequest { headers: Record<string, string | string[] | undefined>; body: any }
declare const createVideo: () => void, handler: () => void
declare function transcribe(body: unknown): Promise<{ seconds: number }>
declare function create(request: Request, signal: AbortSignal): Promise<object>
declare function after(task: () => Promise<unknown>): void
declare function terms(): RouteTerms
declare function tokensIn(piece: Uint8Array): Used | undefined
declare const request: Request
void [Client, fromMicro]
`
const OBOL = 'declare const obol: Client\n'

test('what the README shows compiles against the installed package, with its types checked as they are', async () => {
  const blocks = blocksOf(textOf('sdk/typescript/README.md')).filter(({ language }) => language === 'ts')
  assert.ok(blocks.length >= 10)
  const files = blocks.map(({ text, line }) => {
    const file = join(PROJECT, `readme-${line}.ts`)
    // A name that an example makes itself is not given to it.
    const prelude = PRELUDE.split('\n')
      .filter((one) => !/^declare const charge/.test(one) || !/const charge\b/.test(text))
      .join('\n')
    writeFileSync(file, `${prelude}${/const obol\b/.test(text) ? '' : OBOL}${text}`)
    return file
  })
  const options = {
    target: 'es2022',
    module: 'nodenext',
    lib: 'es2022,dom,dom.iterable,esnext.disposable',
    strict: 'true',
    skipLibCheck: 'false',
  }
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  const typeRoots = ['--typeRoots', join(ROOT, 'node_modules/@types'), '--types', 'node']
  await run(join(ROOT, 'node_modules/.bin/tsc'), ['--noEmit', '--exactOptionalPropertyTypes', ...words, ...typeRoots, ...files], {
    cwd: PROJECT,
  }).catch(({ stdout }: { readonly stdout: string }) => assert.fail(stdout))
})
