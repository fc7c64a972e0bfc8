/**
 * What the pages say is so: everything there is has its place in the reference and nothing there is stale, links lead somewhere,
 * commands exist, and the guides' requests are sent to a running server and answered as shown.
 *
 * In a guide, a block that begins with ```sh run is sent; words behind it such as HOLD=id keep a field of the answer for later
 * blocks. A block that begins with ```json answer 201 shows what the request before it is answered with: a text may leave out a
 * part as `…`, an object further fields as `"…": "…"`. Readers see none of these words.
 */

import assert from 'node:assert/strict'
import { existsSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { fullFormats } from 'ajv-formats/dist/formats.js'
import type { Command } from 'commander'
import { KEY_PREFIX, makeSecret, ONE_TIME_PREFIXES, OPERATOR_PREFIX, REFRESH_PREFIX } from '../src/auth/secrets.ts'
import { buildProgram } from '../src/cli/main.ts'
import { SETTINGS } from '../src/config.ts'
import { EVENTS } from '../src/core/events.ts'
import { type DialectName, INSTALLED_DIALECTS } from '../src/http/dialects/installed.ts'
import { PROBLEMS } from '../src/http/problems.ts'
import { AUDIT_CHECKS } from '../src/stores/store.ts'
import { generate, staleFiles } from '../tools/generate.ts'
import { commandsOf } from '../tools/reference/commands.ts'
import { RECORD_KINDS } from '../tools/reference/journal.ts'
import { dialectFile, GENERATED_FIELD } from '../tools/reference/openapi.ts'
import { MARK } from '../tools/reference/page.ts'
import { anchorsOf, type Block, blocksOf, linksOf, rowsOf } from './reading/markdown.ts'
import { filesOf, ROOT, textOf } from './reading/project.ts'
import { differences } from './reading/shown.ts'
import { type CurlAnswer, type CurlRequest, readCurl, send } from './running/curl.ts'
import { makeKey, OPERATOR_KEY, openAccount, startTestObol, type TestObol } from './running/obol.ts'
import { publishSamplePrices } from './running/sample-prices.ts'

const PAGES = filesOf(/\.md$/)
const GUIDES = PAGES.filter(({ path }) => path.startsWith('docs/guides/'))

/** The first cells of a page's tables, without the marks of code and links. */
function namesIn(path: string): readonly string[] {
  return rowsOf(textOf(path)).map(([first = '']) => first.replace(/ ?\\\*$/, '').replaceAll('`', ''))
}

function headingsIn(path: string): readonly string[] {
  return [...textOf(path).matchAll(/^## `?([^`\n]+)`?$/gm)].map(([, heading = '']) => heading)
}

function sorted(names: Iterable<string>): readonly string[] {
  return [...names].sort()
}

test('every generated file is as the code makes it', async () => {
  assert.deepEqual(staleFiles(await generate(), ROOT), [])
})

test('a generated file that is changed, missing or left over is named', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'obol-generated-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  write('same.md', 'same')
  write('changed.md', 'changed by hand')
  write('docs/reference/problems/gone.md', `<!-- ${MARK} -->\n\n# Gone\n`)
  write('docs/reference/by-hand.md', '# By hand\n')
  const pages = ['same', 'changed', 'missing'].map((name) => ({ path: `${name}.md`, text: name }))
  assert.deepEqual(staleFiles(pages, folder), [
    { path: 'changed.md', fault: 'is out of date' },
    { path: 'missing.md', fault: 'is missing' },
    { path: 'docs/reference/problems/gone.md', fault: 'is not generated any more' },
  ])
})

test('every generated file says in its first line that it is, and by what', async () => {
  for (const { path, text } of await generate()) assert.ok(text.split('\n', 1)[0]?.includes(MARK), path)
})

test('every problem has its page, every page its problem, and the list has them all', () => {
  const files = globSync('*.md', { cwd: join(ROOT, 'docs/reference/problems') }).map((name) => name.replace('.md', ''))
  const codes = Object.keys(PROBLEMS)
  assert.ok(codes.length > 40)
  assert.deepEqual(sorted(files), sorted(['README', ...codes]))
  const listed = linksOf(textOf('docs/reference/problems/README.md')).map(({ target }) => target.replace('.md', ''))
  assert.deepEqual(sorted(listed), sorted(codes))
})

test('every setting is on its page, with its default, and no other is', () => {
  const rows = rowsOf(textOf('docs/reference/settings.md'))
  assert.deepEqual(namesIn('docs/reference/settings.md'), Object.keys(SETTINGS))
  for (const [index, { fallback }] of Object.values(SETTINGS).entries())
    assert.equal(rows[index]?.[2], fallback === null ? 'none' : `\`${fallback}\``)
})

test('the settings that are or may hold secrets are marked, and no other', () => {
  const marked = rowsOf(textOf('docs/reference/settings.md')).filter(([name]) => name?.includes('\\*'))
  assert.deepEqual(
    marked.map(([name]) => name),
    [
      '`OBOL_DATABASE_URL` \\*',
      '`OBOL_OPERATOR_KEY` \\*',
      '`OBOL_SHORTGENIUS_HANDLER_URL` \\*',
      '`STRIPE_SECRET_KEY` \\*',
      '`STRIPE_WEBHOOK_SECRET` \\*',
      '`OBOL_SMTP_URL` \\*',
    ],
  )
})

test('every event is on its page, and no other is', () => {
  assert.deepEqual(namesIn('docs/reference/events.md'), Object.keys(EVENTS))
})

test('every audit check is on its page, and no other is', () => {
  const checks = headingsIn('docs/reference/audit.md').filter((heading) => heading !== 'Make the derived tables anew')
  assert.deepEqual(checks, Object.keys(AUDIT_CHECKS))
})

test('every kind of record that the code can make is on its page, and no other is', () => {
  const factsIn = (name: string): string => textOf(`src/core/${name}-facts.ts`).split(/export interface \w+Facts \{/)[1] ?? ''
  const facts = factsIn('subscription') + factsIn('auto-topup')
  const made = [...textOf('src/core/record.ts').matchAll(/Head<'([a-z_]+)'>/g), ...facts.matchAll(/^ {2}([a-z_]+): /gm)].map(
    ([, kind = '']) => kind,
  )
  assert.ok(made.length > 15)
  assert.deepEqual(sorted(RECORD_KINDS), sorted(made))
  assert.deepEqual(namesIn('docs/reference/journal.md'), RECORD_KINDS)
})

test('every command has its section with every option and argument, and no other has one', () => {
  const page = textOf('docs/reference/commands.md')
  const commands = commandsOf(buildProgram())
  assert.ok(commands.length > 15)
  assert.deepEqual(
    headingsIn('docs/reference/commands.md').filter((heading) => heading !== 'Exit codes'),
    commands.map(({ name }) => name),
  )
  for (const { name, command } of commands) {
    const section = page.split(`\n## ${name}\n`)[1]?.split('\n## ', 1)[0] ?? ''
    for (const { flags } of command.options) assert.ok(section.includes(flags), `${name} ${flags}`)
    for (const argument of command.registeredArguments) assert.ok(section.includes(`<${argument.name()}>`), `${name} <${argument.name()}>`)
    assert.ok(command.description() !== '' && section.includes(command.description().slice(0, 40)), `${name} is described`)
  }
})

/** The parts of an OpenAPI document that are looked at. */
interface Operation {
  readonly operationId?: string
  readonly tags?: readonly string[]
  readonly summary?: string
  readonly security?: readonly object[]
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { schema: unknown }>> }>>
}

interface OpenApi {
  readonly tags: readonly { readonly name: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

const OPENAPI = JSON.parse(textOf('openapi.json')) as OpenApi
const OPERATIONS = Object.entries(OPENAPI.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, path, operation })),
)

test('every operation has an id of its own, a known tag, a summary, who may call it, an answer and problems', () => {
  assert.ok(OPERATIONS.length > 35)
  const tags = OPENAPI.tags.map(({ name }) => name)
  const ids = OPERATIONS.map(({ operation }) => operation.operationId)
  assert.equal(new Set(ids).size, ids.length, 'each id is used once')
  for (const { name, operation } of OPERATIONS) {
    assert.match(operation.operationId ?? '', /^[a-z][A-Za-z]+$/, name)
    assert.equal(operation.tags?.length, 1, name)
    assert.ok(
      operation.tags?.every((tag) => tags.includes(tag)),
      name,
    )
    assert.match(operation.summary ?? '', /^[A-Z].{4,70}[^.]$/, name)
    assert.ok((operation.security ?? []).length > 0, name)
    const answers = Object.entries(operation.responses).filter(([status]) => /^2\d\d$/.test(status))
    assert.equal(answers.length, 1, `${name} has one answer`)
    assert.deepEqual(
      operation.responses.default?.content?.['application/problem+json']?.schema,
      { $ref: '#/components/schemas/Problem' },
      name,
    )
  }
})

test('every tag has an operation', () => {
  const used = new Set(OPERATIONS.flatMap(({ operation }) => operation.tags ?? []))
  assert.deepEqual(sorted(used), sorted(OPENAPI.tags.map(({ name }) => name)))
})

/** Every schema of a document that gives examples. */
function schemasWithExamples(value: unknown): readonly { readonly examples: readonly unknown[] }[] {
  if (typeof value !== 'object' || value === null) return []
  const own = 'examples' in value && Array.isArray(value.examples) && 'type' in value ? [value as { examples: readonly unknown[] }] : []
  return [...own, ...Object.values(value).flatMap(schemasWithExamples)]
}

test('every example of the API description is what its schema asks for', () => {
  const ajv = new Ajv2020({ strict: false, formats: { ...fullFormats, decimal: /^-?\d+(\.\d+)?$/ } })
  const schemas = schemasWithExamples(OPENAPI)
  assert.ok(schemas.length > 20)
  for (const schema of schemas)
    for (const example of schema.examples)
      assert.ok(ajv.validate(schema, example), `${JSON.stringify(example)} in ${JSON.stringify(schema)}: ${ajv.errorsText()}`)
})

test('openapi.json is what the server gives', async (t) => {
  const { call } = await startTestObol(t)
  const { [GENERATED_FIELD]: mark, ...document } = JSON.parse(textOf('openapi.json')) as Record<string, unknown>
  assert.equal(mark, MARK)
  assert.deepEqual((await call('GET', '/openapi.json', undefined, { key: null })).body, document)
})

/** The paths of a dialect, below its prefix and, on a host of its own, without it. Those that the native API also has are that. */
function pathsOfDialect(name: DialectName): readonly string[] {
  const { paths } = JSON.parse(textOf(dialectFile(name))) as OpenApi
  return Object.keys(paths).flatMap((path) => (path.startsWith('/v1/') ? [`/${name}${path}`] : [`/${name}${path}`, path]))
}

test('every operation that a page names is there, and a problem has the status that pages give it', () => {
  // Called by payment providers alone, and in no document for those who write clients.
  const native = [...Object.keys(OPENAPI.paths), '/v1/payments/{provider}/events'].map(
    (path) => new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`),
  )
  const ofDialects = Object.keys(INSTALLED_DIALECTS).flatMap((name) => pathsOfDialect(name as DialectName))
  const unknown = PAGES.flatMap(({ path, text }) => {
    const named = [...text.matchAll(/(?:(?:\/[a-z]+)?(?:\/api)?)\/v1\/[\w/{}:.<>…$-]*[\w}>…]/g)].map(([name]) => name)
    const strange = named.filter((name) => !native.some((template) => template.test(name)) && !ofDialects.includes(name))
    const wrong = [...text.matchAll(/\b([45]\d\d) `([a-z_]+)`/g)].filter(
      ([, status, code = '']) => PROBLEMS[code as keyof typeof PROBLEMS]?.status !== Number(status),
    )
    return [...strange, ...wrong.map(([name]) => name)].map((name) => `${path}: ${name}`)
  })
  assert.deepEqual(unknown, [])
})

test('every setting that a page or a message names is one', () => {
  const known = new Set([...Object.keys(SETTINGS), 'OBOL_URL', 'OBOL_KEY', 'OBOL_'])
  const named = filesOf(/^(src|docs|bin)\/.*\.(ts|js|md)$|^[A-Z]+\.md$/)
    .filter(({ path }) => !path.endsWith('.test.ts'))
    .flatMap(({ path, text }) => [...text.matchAll(/\bOBOL_[A-Z_]*/g)].map(([name]) => ({ path, name })))
  assert.ok(named.length > 40)
  const unknown = named.filter(({ name }) => !known.has(name.replace(/_FILE$/, '')) && !name.startsWith('OBOL_TEST_'))
  assert.deepEqual(unknown, [])
})

test('every link of every page leads to a file that is there, and to a heading that it has', () => {
  const links = PAGES.flatMap(({ path, text }) => linksOf(text).map((link) => ({ path, ...link })))
  assert.ok(links.length > 80, `${links.length} links`)
  const broken = links.filter(({ path, target }) => {
    if (/^(https?|mailto):/.test(target)) return false
    const [file = '', anchor] = target.split('#')
    const goal = file === '' ? path : normalize(join(dirname(path), file))
    if (!existsSync(join(ROOT, goal))) return true
    return anchor !== undefined && !(goal.endsWith('.md') && anchorsOf(textOf(goal)).has(anchor))
  })
  assert.deepEqual(
    broken.map(({ path, line, target }) => `${path}:${line} ${target}`),
    [],
  )
})

test('links to a heading are read as code hosts make them', () => {
  const anchors = anchorsOf("# What always holds\n## `due`\n## Who may import whom?\n## A & B's\n## `due`\n```sh\n# no heading\n```\n")
  assert.deepEqual([...anchors], ['what-always-holds', 'due', 'who-may-import-whom', 'a--bs', 'due-1'])
  assert.deepEqual(linksOf('[a](b.md#c) `[no](link.md)` <https://x.test>\n```\n[no](link)\n```'), [
    { target: 'b.md#c', line: 1 },
    { target: 'https://x.test', line: 1 },
  ])
})

test('every file that a page names is there', () => {
  const named = PAGES.filter(({ path }) => path !== 'CHANGELOG.md').flatMap(({ path, text }) =>
    [...text.matchAll(/`((?:src|sdk|test|docs|tools|bench|examples|bin|core|stores|http|cli|auth|operations|payments)\/[\w*./-]+)`/g)].map(
      ([, name = '']) => ({ path, name }),
    ),
  )
  assert.ok(named.length > 40, `${named.length} names`)
  const missing = named.filter(({ path, name }) => {
    const places = [name, `src/${name}`, join(dirname(path), name)]
    return !places.some((place) => globSync(place.replace(/\/$/, ''), { cwd: ROOT }).length > 0)
  })
  assert.deepEqual(missing, [])
})

/** The shell lines of a page: continued lines joined, comments left out. */
function shellLines(blocks: readonly Block[]): readonly string[] {
  return blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.replace(/\\\n\s*/g, ' ').split('\n'))
    .flatMap((line) => line.replace(/\s+# .*$/, '').split(' && '))
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** Finds the command that a line names, and says which of its words it does not take. */
function strangeWords(program: Command, words: readonly string[]): readonly string[] {
  let command = program
  const rest = [...words]
  for (;;) {
    const child = command.commands.find((candidate) => candidate.name() === rest[0])
    if (!child) break
    command = child
    rest.shift()
  }
  if (command.commands.length > 0) return [`${words.join(' ')} is no command`]
  const flags = rest.filter((word) => word.startsWith('--'))
  return flags.filter((flag) => !command.options.some(({ long }) => long === flag))
}

/** The lines of a page that a reader may copy into a shell. */
function commandLines(text: string): readonly string[] {
  const inline = [...text.matchAll(/`(npm [^`]+|node bin\/obol\.js [^`]+)`/g)].map(([, line = '']) => line)
  return [...shellLines(blocksOf(text)), ...inline].filter((line) => !line.includes('<command>'))
}

/** What a line asks for that does not exist: a script of package.json, a command, an option. */
function strangeIn(line: string, { scripts, program }: { readonly scripts: object; readonly program: Command }): readonly string[] {
  const words = line.replace(/^(?:[A-Z_]+=\S+ )+/, '').split(/\s+/)
  const [name, verb = '', script = ''] = words
  if (name === 'node' && verb.endsWith('obol.js')) return strangeWords(program, words.slice(2))
  if (name !== 'npm' || verb === 'ci') return []
  const wanted = verb === 'run' ? script : verb
  if (!(wanted in scripts)) return [`package.json has no script ${wanted}`]
  return wanted === 'obol' ? strangeWords(program, words.slice(4)) : []
}

test('every command that a page shows exists: scripts of npm, commands of obol, and their options', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: object }
  const program = buildProgram()
  const lines = PAGES.flatMap(({ path, text }) => commandLines(text).map((line) => ({ path, line })))
  const ofNpm = lines.filter(({ line }) => /\bnpm\b/.test(line))
  assert.ok(ofNpm.length > 20, `${ofNpm.length} commands of npm`)
  const strange = lines.flatMap(({ path, line }) => strangeIn(line, { scripts, program }).map((fault) => `${path}: ${line}: ${fault}`))
  assert.deepEqual(strange, [])
  assert.notDeepEqual(strangeIn('npm run nothing', { scripts, program }), [])
  assert.notDeepEqual(strangeIn('OBOL_PORT=1 npm run obol -- grants nothing x', { scripts, program }), [])
  assert.notDeepEqual(strangeIn('node bin/obol.js accounts create x --nothing', { scripts, program }), [])
})

test('every block of JSON can be read', () => {
  const blocks = PAGES.flatMap(({ path, text }) => blocksOf(text).map((block) => ({ path, ...block }))).filter(
    ({ language }) => language === 'json',
  )
  assert.ok(blocks.length > 15)
  for (const { path, line, text } of blocks) assert.doesNotThrow(() => JSON.parse(text) as unknown, `${path}:${line}`)
})

/** Starts a server with the sample prices, as `npm start` does. */
async function startWithSamplePrices(t: TestContext, environment: Readonly<Record<string, string>> = {}): Promise<TestObol> {
  const running = await startTestObol(t, environment)
  await publishSamplePrices(running)
  return running
}

/** Reads a value out of an answer: `id`, `data.0.id`. */
function valueAt(body: unknown, path: string): string {
  const value = path.split('.').reduce<unknown>((inner, name) => (inner as Record<string, unknown> | undefined)?.[name], body)
  assert.equal(typeof value, 'string', `the answer has ${path}`)
  return String(value)
}

for (const { path, text } of GUIDES)
  test(`${path} shows what a running server answers`, async (t) => {
    const { url } = await startWithSamplePrices(t, { OBOL_PAYMENTS: 'sandbox', OBOL_TEST_CLOCKS: 'on' })
    const variables: Record<string, string> = {
      OBOL_URL: url,
      OBOL_OPERATOR_KEY: OPERATOR_KEY,
      OPERATOR: `Authorization: Bearer ${OPERATOR_KEY}`,
      JSON: 'Content-Type: application/json',
    }
    let answer: CurlAnswer | undefined
    let compared = 0
    for (const block of blocksOf(text)) {
      const [note, ...details] = block.notes
      if (note === 'run') {
        answer = await send(readCurl(block.text.trim(), variables))
        assert.ok(answer.status < 500, `${path}:${block.line} is answered with ${answer.status}: ${JSON.stringify(answer.body)}`)
        for (const detail of details) {
          const [name = '', field = ''] = detail.split('=')
          variables[name] = valueAt(answer.body, field)
        }
      } else if (note === 'answer') {
        assert.equal(answer?.status, Number(details[0]), `${path}:${block.line} ${JSON.stringify(answer?.body)}`)
        assert.deepEqual(differences(JSON.parse(block.text), answer?.body), [], `${path}:${block.line}`)
        compared++
      } else if (block.language === 'json' && note === 'price-book') await assertPublishable(url, block)
      else assert.ok(!/^curl/m.test(block.text), `${path}:${block.line} shows a request that is not sent: begin it with \`\`\`sh run`)
    }
    assert.ok(compared > 0 || !text.includes('curl'), `${path} shows answers`)
  })

async function assertPublishable(url: string, { text, line }: Block): Promise<void> {
  const headers = { authorization: `Bearer ${OPERATOR_KEY}`, 'content-type': 'application/json' }
  const { prices } = JSON.parse(text) as { prices: readonly object[] }
  // In force only in a thousand years, so that the guide's requests are priced by the sample prices.
  const body = JSON.stringify({ prices, effective_at: '3026-01-01T00:00:00Z' })
  const { status, body: answer } = await send({ method: 'POST', url: `${url}/v1/price-book`, headers, body })
  assert.equal(status, 201, `line ${line}: ${JSON.stringify(answer)}`)
}

/** A request of the README: `…` stands for the address and the operator's key, and for ids and keys of before. */
function readmeRequest(
  line: string,
  { url, key, hold }: { readonly url: string; readonly key: string; readonly hold: string },
): CurlRequest {
  const filled = line
    .replace(/^curl … (\S+)/, `curl -s ${url}$1 -H "Authorization: Bearer $OBOL_OPERATOR_KEY" -H "Content-Type: application/json"`)
    .replace('http://127.0.0.1:4000', url)
    .replaceAll('obol_live_…', key)
    .replaceAll('hold_…', hold)
  assert.ok(!filled.includes('…'), filled)
  return readCurl(filled, { OBOL_OPERATOR_KEY: OPERATOR_KEY })
}

test("the README's requests are answered as it shows", async (t) => {
  const running = await startWithSamplePrices(t)
  const account = await openAccount(running, '23610')
  assert.equal((await running.call('PATCH', `/v1/accounts/${account}`, { external_id: 'ada' })).status, 200)
  const { secret: key } = await makeKey(running, account)
  let hold = ''
  let answer: CurlAnswer | undefined
  let sent = 0
  for (const block of blocksOf(textOf('README.md'))) {
    if (block.language === 'json') {
      const shown = JSON.parse(block.text.replace(/([a-z]+_)[0-9a-v]{16}/g, '$1…')) as unknown
      assert.deepEqual(differences(shown, answer?.body), [])
    }
    for (const line of shellLines([block]).filter((text) => text.startsWith('curl'))) {
      answer = await send(readmeRequest(line, { url: running.url, key, hold }))
      assert.ok(answer.status < 300, `${line} is answered with ${answer.status}: ${JSON.stringify(answer.body)}`)
      const { object, id } = answer.body as { object: string; id: string }
      if (object === 'hold') hold = id
      sent++
    }
  }
  assert.ok(sent >= 3)
})

test('the problem that its page shows is one that a server answers with', async (t) => {
  const running = await startWithSamplePrices(t, { OBOL_PUBLIC_URL: 'http://127.0.0.1:4000' })
  const account = await openAccount(running, '12.5')
  const { body, headers } = await running.call('POST', '/v1/charges', { account, operation: 'transcription', quantities: { second: 90 } })
  const [shown] = blocksOf(textOf('docs/reference/problems/README.md'))
  assert.deepEqual(differences(JSON.parse(shown?.text ?? ''), body), [])
  assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/)
})

test('the page of a problem is the one that the server gives', async (t) => {
  const { call } = await startTestObol(t)
  for (const code of ['insufficient_credits', 'hold_expired', 'internal_error']) {
    const { text } = await call('GET', `/problems/${code}`, undefined, { key: null })
    assert.equal(textOf(`docs/reference/problems/${code}.md`), `<!-- ${MARK} -->\n\n${text}`)
  }
})

test('the pattern for scanners of secrets finds the secrets that Obol makes', () => {
  for (const page of ['SECURITY.md', 'docs/guides/keys.md']) {
    const [, pattern = ''] = /`(obol_\([^`]+)`/.exec(textOf(page)) ?? []
    for (const prefix of [KEY_PREFIX, OPERATOR_PREFIX, REFRESH_PREFIX, ...Object.values(ONE_TIME_PREFIXES)])
      assert.match(makeSecret(prefix), new RegExp(`^${pattern}$`), page)
    const [, own = ''] = /`(ap_[^`]+\})`/.exec(textOf(page)) ?? []
    assert.match(makeSecret('ap_'), new RegExp(`^${own}$`), `${page} shows the pattern of another prefix`)
  }
})

test('every folder of the source says what it means, what always holds, and what it owns', () => {
  const folders = globSync('src/*/', { cwd: ROOT, withFileTypes: true }).filter((entry) => entry.isDirectory())
  assert.ok(folders.length >= 6)
  for (const { name } of folders) {
    const page = textOf(`src/${name}/README.md`)
    assert.ok(page.trimEnd().split('\n').length <= 40, `src/${name}/README.md is longer than 40 lines`)
    for (const heading of ['## Invariants', '## Owns', '## Does not own'])
      assert.ok(page.includes(`\n${heading}\n`), `src/${name}/README.md ${heading}`)
  }
})

test('every decision says what was chosen, what it costs, when to look at it again, and what holds it', () => {
  const decisions = PAGES.filter(({ path }) => path.startsWith('docs/decisions/'))
  assert.ok(decisions.length >= 5)
  for (const [index, { path, text }] of decisions.entries()) {
    const number = String(index + 1).padStart(4, '0')
    assert.match(path, new RegExp(`/${number}-[a-z0-9-]+\\.md$`))
    assert.match(text, new RegExp(`^# ${number} [A-Z]`))
    for (const part of ['Context', 'Choice', 'What it costs', 'When to revisit', 'Held by'])
      assert.match(text, new RegExp(`^\\*\\*${part}\\.?\\*\\*`, 'm'), path)
  }
})

test('what a page shows of an answer is compared with all of it', () => {
  assert.deepEqual(differences({ a: 'x_…', b: ['1', '…'], '…': '…' }, { a: 'x_12', b: ['1', '2'], c: 3 }), [])
  assert.deepEqual(differences({ a: 1 }, { a: 1, b: 2 }), ['the answer also has b, which is not shown: show it, or end with "…": "…"'])
  assert.deepEqual(differences({ a: '1' }, { a: 1 }), ['the answer.a is 1, not "1"'])
  assert.deepEqual(differences(['1'], ['1', '2']), ['the answer has 2 items, not 1'])
  assert.deepEqual(differences({ a: null, b: 1 }, { a: null }), ['the answer has no b'])
})

test('curl lines are read as a shell reads them', () => {
  const line = `curl -s -X PATCH "$URL/v1/x" -H "Authorization: Bearer \${KEY}" \\\n  -d '{"a":"it'\\''s $5"}'`
  assert.deepEqual(readCurl(line, { URL: 'http://x.test', KEY: 'k' }), {
    method: 'PATCH',
    url: 'http://x.test/v1/x',
    headers: { authorization: 'Bearer k' },
    body: `{"a":"it's $5"}`,
  })
  assert.equal(readCurl(`curl http://x.test -d "{\\"a\\":\\"$A\\"}"`, { A: 'b' }).body, '{"a":"b"}')
  assert.throws(() => readCurl('curl "$NOT_SET"'), /NOT_SET is not set/)
  assert.throws(() => readCurl('curl --insecure http://x.test'), /unknown option/)
})
