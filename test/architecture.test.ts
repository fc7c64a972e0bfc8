/** Who may import whom: ARCHITECTURE.md has the table, this holds the code to it. */

import assert from 'node:assert/strict'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { type Import, importsOf } from './reading/imports.ts'
import { filesOf, type ProjectFile, sourceFiles, textOf } from './reading/project.ts'

/** What one part may use. */
interface Row {
  readonly part: string
  /** Null: anything. */
  readonly parts: readonly string[] | null
  readonly packages: readonly string[]
}

/** An import of one file of `src` by another, or of a package. */
interface Edge {
  readonly from: string
  readonly to: string
  readonly isPackage: boolean
  /** The file is run as a thread: it is loaded anew there, so it may lead back. */
  readonly isThread: boolean
  readonly line: number
}

/** Reads the rows below the heading: `| part | may import | packages |`. */
function readTable(document: string): readonly Row[] {
  const [, section = ''] = document.split('## Who may import whom')
  const rows = [...(section.split('\n## ', 1)[0] ?? '').matchAll(/^\| (?!part |---)(.+?) \| (.+?) \| (.+?) \|$/gm)]
  const list = (text: string): readonly string[] => (text === 'nothing' || text === 'none' ? [] : text.split(', '))
  return rows.map(([, part = '', parts = '', packages = '']) => ({
    part,
    parts: parts === 'anything' ? null : list(parts),
    packages: list(packages),
  }))
}

/** The folders in a folder that `http/dialects/*` stands for. */
function foldersIn(pattern: string, files: readonly ProjectFile[]): readonly string[] {
  const parent = pattern.slice(0, -1)
  const below = files.map(({ path }) => nameOf(path)).filter((name) => name.startsWith(parent))
  return [
    ...new Set(below.map((name) => name.slice(parent.length)).flatMap((name) => (name.includes('/') ? [name.split('/', 1)[0]] : []))),
  ].map((folder) => `${parent}${folder}`)
}

/** A part that ends in `/*` is each folder there by itself, so that they do not know each other. */
function expanded(rows: readonly Row[], files: readonly ProjectFile[]): readonly Row[] {
  const each = (part: string): readonly string[] => (part.endsWith('/*') ? foldersIn(part, files) : [part])
  return rows.flatMap((row) => each(row.part).map((part) => ({ ...row, part, parts: row.parts?.flatMap(each) ?? null })))
}

/** `src/core/decisions/hold.ts` is `core/decisions/hold`, `sdk/typescript/src/obol.ts` is `sdk/obol`. */
function nameOf(path: string): string {
  return path
    .replace(/^src\//, '')
    .replace(/^sdk\/typescript\/src\//, 'sdk/')
    .replace(/\.ts$/, '')
}

function covers(part: string, name: string): boolean {
  return name === part || name.startsWith(`${part}/`)
}

/** The part that a file belongs to: of the rows that cover it, the one that names it most precisely. */
function partOf(rows: readonly Row[], name: string): Row | undefined {
  return rows.filter(({ part }) => covers(part, name)).toSorted((a, b) => b.part.length - a.part.length)[0]
}

/** The package of a specifier: `csv-parse/sync` is of `csv-parse`, `@fastify/swagger` of itself. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function edgesOf({ path, text }: ProjectFile): readonly Edge[] {
  const edge = ({ specifier, form, line }: Import): Edge => {
    const common = { from: nameOf(path), isThread: form === 'url', line }
    if (specifier === null) return { ...common, to: 'something that is computed', isPackage: true }
    if (!specifier.startsWith('.')) return { ...common, to: packageOf(specifier), isPackage: true }
    return { ...common, to: nameOf(normalize(join(dirname(path), specifier))), isPackage: false }
  }
  return importsOf(text).map(edge)
}

/** What the table does not allow, each as a sentence. */
function violations(rows: readonly Row[], files: readonly ProjectFile[]): readonly string[] {
  const names = new Set(files.map(({ path }) => nameOf(path)))
  return files.flatMap((file) => {
    const row = partOf(rows, nameOf(file.path))
    if (!row) return [`${file.path} is in no part: put it in one, or give ARCHITECTURE.md a row for it`]
    return edgesOf(file).flatMap((edge) => {
      const fault = faultOf(rows, row, edge)
      const place = `${file.path}:${edge.line}`
      if (!edge.isPackage && !names.has(edge.to)) return [`${place} imports ${edge.to}, which is no file of src that runs in the server`]
      return fault === null ? [] : [`${place} ${fault}`]
    })
  })
}

function faultOf(rows: readonly Row[], row: Row, { to, isPackage }: Edge): string | null {
  if (isPackage) return row.packages.includes(to) ? null : `imports ${to}, which ${row.part} may not use`
  const target = partOf(rows, to)
  const isAllowed =
    row.parts === null || target === row || row.parts.some((part) => to === part || (target?.part === part && covers(part, to)))
  return isAllowed ? null : `imports ${to}, and ${row.part} may not import ${target?.part ?? 'it'}`
}

/** The first way round from a file back to itself; null: there is none. */
function cycleIn(edges: readonly Edge[]): readonly string[] | null {
  const next = Map.groupBy(
    edges.filter(({ isPackage, isThread }) => !isPackage && !isThread),
    ({ from }) => from,
  )
  const done = new Set<string>()
  const walk = (name: string, way: readonly string[]): readonly string[] | null => {
    if (way.includes(name)) return [...way.slice(way.indexOf(name)), name]
    if (done.has(name)) return null
    for (const { to } of next.get(name) ?? []) {
      const cycle = walk(to, [...way, name])
      if (cycle) return cycle
    }
    done.add(name)
    return null
  }
  for (const name of next.keys()) {
    const cycle = walk(name, [])
    if (cycle) return cycle
  }
  return null
}

/** The entry of the published package: it is there to pass on. */
const PUBLIC = 'sdk/typescript/src/public.ts'
const SDK = filesOf(/^sdk\/typescript\/src\/.*\.ts$/).filter(({ path }) => !path.endsWith('.test.ts'))
const FILES = [...sourceFiles(), ...SDK]
const ROWS = expanded(readTable(textOf('ARCHITECTURE.md')), FILES)
const EDGES = FILES.flatMap(edgesOf)

test('the table, the files and their imports are found at all', () => {
  assert.ok(ROWS.length >= 12, `${ROWS.length} rows`)
  assert.ok(FILES.length >= 80, `${FILES.length} files`)
  assert.ok(EDGES.length >= 400, `${EDGES.length} imports`)
  for (const { part } of ROWS)
    assert.ok(
      FILES.some(({ path }) => partOf(ROWS, nameOf(path))?.part === part),
      `${part} has no files: take its row out`,
    )
})

test('the table names no part that does not exist', () => {
  const names = FILES.map(({ path }) => nameOf(path))
  for (const { part, parts } of ROWS)
    for (const other of parts ?? [])
      assert.ok(
        names.some((name) => covers(other, name)),
        `${part} may import ${other}, which is neither a folder nor a file of src`,
      )
})

test('every file is in a part, and imports only what its part may', () => {
  assert.deepEqual(violations(ROWS, FILES), [])
})

test('the core imports nothing outside itself, not even Node', () => {
  const outside = EDGES.filter(({ from, to, isPackage }) => covers('core', from) && (isPackage || !covers('core', to)))
  assert.deepEqual(outside, [])
})

test('Fastify is known to HTTP alone, and each database to its store alone', () => {
  const users = (name: string): readonly string[] => EDGES.filter(({ to }) => to === name).map(({ from }) => from)
  assert.ok(users('fastify').length > 5 && users('node:sqlite').length > 5 && users('pg').length > 1)
  assert.deepEqual(
    users('fastify').filter((from) => from !== 'app' && !covers('http', from)),
    [],
  )
  assert.deepEqual(
    users('node:sqlite').filter((from) => !covers('stores/sqlite', from)),
    [],
  )
  assert.deepEqual(
    users('pg').filter((from) => !covers('stores/postgres', from)),
    [],
  )
})

test('no file imports itself by any way round, types included', () => {
  assert.equal(cycleIn(EDGES)?.join(' → ') ?? null, null)
})

test('no file only passes on what others export', () => {
  const passing = FILES.filter(({ path }) => path !== PUBLIC).flatMap(({ path, text }) =>
    importsOf(text)
      .filter(({ form }) => form === 're-export')
      .map(({ line }) => `${path}:${line} passes on what another file exports: import it from there`),
  )
  const barrels = FILES.filter(({ path }) => /\/index\.ts$/.test(path)).map(({ path }) => `${path}: name the file after what it holds`)
  assert.deepEqual([...passing, ...barrels], [])
})

test('packages that the server uses are its dependencies, and not those of its tests', () => {
  const { dependencies } = JSON.parse(textOf('package.json')) as { dependencies: Record<string, string> }
  const foreign = EDGES.filter(({ to, isPackage }) => isPackage && !to.startsWith('node:') && !(to in dependencies))
  assert.deepEqual(foreign, [])
})

/** Faults that are planted, each in a project of one or two files that is in order without it. */
const PLANTED: readonly (readonly [name: string, files: Readonly<Record<string, string>>, fault: RegExp])[] = [
  ['a part that may not', { 'src/core/a.ts': "import { b } from '../http/b.ts'" }, /a\.ts:1 imports http\/b, and core may not import http/],
  ['a package', { 'src/core/a.ts': "import { hash } from 'node:crypto'" }, /imports node:crypto, which core may not use/],
  ['a part of a package', { 'src/http/a.ts': "import { parse } from 'csv-parse/sync'" }, /imports csv-parse, which http may not use/],
  ['a type', { 'src/core/a.ts': "import type { B } from '../http/b.ts'" }, /core may not import http/],
  ['a type, inline', { 'src/core/a.ts': "let x: import('../http/b.ts').B" }, /core may not import http/],
  ['types among values', { 'src/core/a.ts': "import {\n  type B,\n  c,\n} from '../http/b.ts'" }, /a\.ts:1 imports http\/b/],
  ['a dynamic import', { 'src/core/a.ts': "const b = await import('../http/b.ts')" }, /core may not import http/],
  ['a computed import', { 'src/core/a.ts': `await import(\`../\${name}.ts\`)` }, /imports something that is computed/],
  ['an import for its effects', { 'src/core/a.ts': "import '../http/b.ts'" }, /core may not import http/],
  ['an import of everything', { 'src/core/a.ts': "import * as b from '../http/b.ts'" }, /core may not import http/],
  ['an import of the default', { 'src/core/a.ts': "import b, { c } from '../http/b.ts'" }, /core may not import http/],
  ['a re-export', { 'src/core/a.ts': "export { b } from '../http/b.ts'" }, /core may not import http/],
  ['a re-export of everything', { 'src/core/a.ts': "export * from '../http/b.ts'" }, /core may not import http/],
  ['a re-export under a name', { 'src/core/a.ts': "export * as b from '../http/b.ts'" }, /core may not import http/],
  ['a re-export of types', { 'src/core/a.ts': "export type { B } from '../http/b.ts'" }, /core may not import http/],
  ['require', { 'src/core/a.ts': "const b = require('../http/b.ts')" }, /core may not import http/],
  ['a thread', { 'src/core/a.ts': "new Worker(new URL('../http/b.ts', import.meta.url))" }, /core may not import http/],
  ['an import on one line with others', { 'src/core/a.ts': "import './c.ts'; import '../http/b.ts'" }, /core may not import http/],
  ['an import in a template', { 'src/core/a.ts': `const text = \`\${(await import('../http/b.ts')).b}\`` }, /core may not import http/],
  ['an import after a regular expression', { 'src/core/a.ts': "const quote = /'/\nimport '../http/b.ts'" }, /a\.ts:2 imports http/],
  ['a file in no part', { 'src/new/a.ts': 'export const a = 1' }, /src\/new\/a\.ts is in no part/],
  ['a test', { 'src/core/a.ts': "import './a.test.ts'" }, /imports core\/a\.test, which is no file of src/],
  [
    'a dialect that knows another',
    { 'src/http/dialects/evolink/a.ts': "import '../videodb/b.ts'", 'src/http/dialects/videodb/b.ts': 'export const b = 1' },
    /http\/dialects\/evolink may not import http\/dialects\/videodb/,
  ],
  [
    'the frame of the dialects that knows one',
    { 'src/http/dialects/a.ts': "import './videodb/b.ts'", 'src/http/dialects/videodb/b.ts': 'export const b = 1' },
    /http\/dialects may not import http\/dialects\/videodb/,
  ],
  ['what is outside', { 'src/http/a.ts': "import '../../tools/x.ts'" }, /a\.ts:1 imports/],
]

for (const [name, planted, fault] of PLANTED)
  test(`a planted fault is found: ${name}`, () => {
    const files = { 'src/core/c.ts': 'export const c = 1', 'src/http/b.ts': 'export const b = 1', ...planted }
    const found = violations(
      ROWS,
      Object.entries(files).map(([path, text]) => ({ path, text })),
    )
    assert.equal(found.length, 1, found.join('\n'))
    assert.match(found[0] ?? '', fault)
  })

test('what only looks like an import is none', () => {
  const text = [
    "// import { b } from '../http/b.ts'",
    "/* import '../http/b.ts' */",
    'const text = "import \'../http/b.ts\'"',
    `const template = \`import '../http/b.ts' \${'nothing'} from '../http/b.ts'\``,
    'const here = import.meta.dirname',
    "const reexport = { import: 1, export: 2 }; const from = '../http/b.ts'",
    "const found = store.import('../http/b.ts')",
    "const page = new URL('../http/b.ts', base)",
    'const ratio = a / b; const other = c / d',
    "export { text }; const last = 'x'",
  ].join('\n')
  assert.deepEqual(importsOf(text), [])
})

test('a planted cycle is found, whichever way it goes', () => {
  const edge = (from: string, to: string): Edge => ({ from, to, isPackage: false, isThread: false, line: 1 })
  assert.equal(cycleIn([edge('a', 'b'), edge('b', 'c')]), null)
  assert.deepEqual(cycleIn([edge('a', 'b'), edge('b', 'c'), edge('c', 'b')]), ['b', 'c', 'b'])
  assert.deepEqual(cycleIn([edge('a', 'a')]), ['a', 'a'])
})

test('a part is the most precise row that covers a file', () => {
  const part = (name: string): string | undefined => partOf(ROWS, name)?.part
  assert.equal(part('core/decisions/hold'), 'core')
  assert.equal(part('stores/chain'), 'stores')
  assert.equal(part('stores/sqlite/audit'), 'stores/sqlite')
  assert.equal(part('http/server'), 'http/server')
  assert.equal(part('http/pages'), 'http')
  assert.equal(part('http/dialects/evolink/evolink'), 'http/dialects/evolink')
  assert.equal(part('http/dialects/mounts'), 'http/dialects')
  assert.equal(part('coreless'), undefined)
})
