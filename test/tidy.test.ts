/** What may not be in the project, each with what to do instead. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exportsOf } from './reading/exports.ts'
import { functionsOf } from './reading/functions.ts'
import { filesOf, type ProjectFile, pythonFiles, sdkFiles, sourceFiles, textOf } from './reading/project.ts'
import { blanked, codeOf } from './reading/tokens.ts'

/** One thing that may not be, and a proof that the rule finds it and finds nothing else. */
interface Ban {
  readonly name: string
  readonly files: RegExp
  readonly except?: RegExp
  /** Where it is looked for: in the code without comments and strings, or in all of the text. */
  readonly look: 'code' | 'text'
  readonly find: RegExp
  readonly instead: string
  readonly found: readonly string[]
  readonly passed: readonly string[]
}

const SOURCE = /^(?:src|sdk\/typescript\/src)\/.*\.ts$/
const CORE = /^src\/core\/.*\.ts$/
const TESTS = /\.test\.ts$/
const TYPESCRIPT = /\.ts$/
const EVERYTHING = /./
/** This file, the ones that it reads with, and the pages that name what is not to be named. */
const NAMES_THEM = /^(test\/tidy\.test\.ts|STYLE\.md)$/

/** Words that this file must not contain either: put together from their halves. */
const word = (...halves: readonly string[]): string => halves.join('')
const UNFINISHED = [word('TO', 'DO'), word('FIX', 'ME'), word('X', 'XX'), word('HA', 'CK')]
const MACHINE_FOLDERS = [word('wo', 'rk'), word('fa', 'rm')].join('|')
const REGISTRY = word('regis', 'try')

/** What an amount of credits is called, wherever it is; times, sequences and counts are called otherwise. */
const MONEY =
  '(?:credits|amount|remaining|held|settled|available|debt|spent|granted|charged|refunded|expired|voided|shortfall|balance|rate|quantity|price|limit|\\w*(?:[Mm]icro\\w*|Credits|Amount|Balance|Rate))'

const BANS: readonly Ban[] = [
  {
    name: 'unfinished work',
    files: EVERYTHING,
    look: 'text',
    find: new RegExp(`\\b(?:${UNFINISHED.join('|')})\\b`),
    instead: 'finish it, or write an issue',
    found: [`// ${UNFINISHED[0]}: later`, `/* ${UNFINISHED[1]} */`],
    passed: ['what to do', 'obol_live_xxxx', 'hackles'],
  },
  {
    name: 'tests that do not run',
    files: TESTS,
    look: 'code',
    find: /\b(?:test|it|describe|suite)\.(?:only|skip|todo)\b|\b(?:only|skip|todo): true\b|\bt\.(?:skip|todo)\(/,
    instead: 'run it, or take it out',
    found: ["test.only('x', () => {})", "test('x', { skip: true }, f)", "t.skip('later')"],
    passed: ["test('skips what it should', () => {})", 'rows.skip(3)'],
  },
  {
    name: 'switches for the compiler',
    files: TYPESCRIPT,
    look: 'text',
    find: /@ts-(?:ignore|expect-error|nocheck)/,
    instead: 'make the types right',
    found: [`// ${word('@ts-', 'ignore')}`],
    passed: ['// types are checked'],
    except: NAMES_THEM,
  },
  {
    name: 'console outside the command line',
    files: SOURCE,
    except: /^src\/cli\//,
    look: 'code',
    find: /\bconsole\./,
    instead: 'log with the logger that is handed over',
    found: ["console.log('x')"],
    passed: ["const text = 'console.log(1)' // console.log"],
  },
  {
    name: 'effects in the core',
    files: CORE,
    except: TESTS,
    look: 'code',
    find: /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bMath\.random\b|\brandom(?:UUID|Bytes|Int)\b|\bprocess\.|\bperformance\.|\bset(?:Timeout|Interval|Immediate)\(|\bfetch\(|\bconsole\./,
    instead: 'take time, ids and randomness as arguments',
    found: ['const now = Date.now()', 'new Date()', 'Math.random()', 'crypto.randomUUID()', 'process.env.X', 'performance.now()'],
    passed: ['new Date(atMs).toISOString()', 'Date.UTC(2026, 1)', 'const processed = 1', "'Date.now'"],
  },
  {
    name: 'promises in the core',
    files: CORE,
    except: TESTS,
    look: 'code',
    find: /\basync\b|\bawait\b|\bPromise\b/,
    instead: 'decide at once, and leave waiting to whoever calls',
    found: ['async function decide() {}', 'const x: Promise<void> = y'],
    passed: ['// awaits nothing'],
  },
  {
    name: 'floats made from text',
    files: SOURCE,
    except: TESTS,
    look: 'code',
    find: /\bparseFloat\b|\.toPrecision\(|\.toExponential\(/,
    instead: 'read amounts with parseCredits and decimals with parseDecimal',
    found: ["parseFloat('1.5')", 'Number.parseFloat(x)', 'x.toPrecision(3)'],
    passed: ['Number.parseInt(text, 32)'],
  },
  {
    name: 'amounts written by a float',
    files: SOURCE,
    except: /^src\/core\/decimal\.ts$|\.test\.ts$/,
    look: 'code',
    find: /\.toFixed\(|\bMath\.round\(/,
    instead: 'write amounts with formatCredits; a price names its own rounding',
    found: ['price.toFixed(2)', 'Math.round(x)'],
    passed: ['Math.floor(windowMs / costMs)'],
  },
  {
    name: 'amounts made into numbers',
    files: /^src\/(?:core|operations|stores)\/.*\.ts$/,
    except: TESTS,
    look: 'code',
    find: new RegExp(`\\b(?:Number|Math\\.(?:floor|ceil|trunc|abs))\\([^)]*\\b${MONEY}\\b(?!\\s*\\()`),
    instead: 'keep credits and decimals bigint; `least`, `most` and `divide` are in the core',
    found: ['Number(credits)', 'Number(row.held)', 'Math.ceil(amount / 2n)', 'Number(totalMicrocredits)', 'Math.abs(grant.remaining)'],
    passed: ['Number(row.charges)', 'Number(seq)', 'Number(expiresAtMs)', 'Math.ceil((endMs - nowMs) / 1000)', 'Number(row.refunds)'],
  },
  {
    name: 'any',
    files: SOURCE,
    except: TESTS,
    look: 'code',
    find: /(?:[:<|&,(=]|\bas|\bextends)\s*any\b(?!\s*[:(])|\bany\[\]/,
    instead: 'say what it is, or `unknown` and find out',
    found: ['const x: any = 1', 'x as any', 'Promise<any>', 'Map<string, any>', 'let y: any[]'],
    passed: ["const text = 'any: any'", 'rows.any(x)', 'const any = 1'],
  },
  {
    name: 'claims that something is there',
    files: SOURCE,
    look: 'code',
    find: /[\w)\]]!(?=[\s.,;)\]}[]|$)/m,
    instead: 'find out, and throw a fault that says what is missing',
    found: ['rows[0]!.id', 'find(x)!', 'const a = b!\nconst c = 1'],
    passed: ['a !== b', 'if (!x) y()', 'a != b', "'wow!'", 'return !done'],
  },
  {
    name: 'default exports',
    files: TYPESCRIPT,
    look: 'code',
    find: /\bexport default\b/,
    instead: 'export it by its name',
    found: ['export default function x() {}'],
    passed: ["import x from 'y'"],
  },
  {
    name: 'enums and namespaces',
    files: TYPESCRIPT,
    look: 'code',
    find: /^\s*(?:export )?(?:declare )?(?:const )?(?:enum|namespace) \w/m,
    instead: 'use a union of literals, or a file',
    found: ['export enum Kind { A }', 'namespace X {}'],
    passed: ["{ type: 'string', enum: ['a'] }"],
  },
  {
    name: 'swallowed faults',
    files: /^(?:src|tools|bench|examples|sdk)\/.*\.ts$/,
    look: 'code',
    find: /\bcatch\s*(?:\([^)]*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*(?:\{\s*\}|undefined|null)\)/,
    instead: 'answer for it or pass it on',
    found: ['try { x() } catch {}', 'try { x() } catch (error) {\n}', 'x.catch(() => {})', 'x.catch(() => undefined)'],
    passed: ['try { x() } catch (cause) { throw cause }'],
  },
  {
    name: 'swallowed faults in Python',
    files: /^sdk\/python\/.*\.py$/,
    look: 'text',
    find: /^\s*except\s*:|^\s*except[^\n]*:\s*(?:\n\s*)?(?:pass|\.\.\.)\s*$/m,
    instead: 'name what is expected, and answer for it or pass it on',
    found: ['try:\n  x()\nexcept:\n  y()', 'except ValueError:\n    pass', 'except OSError: pass'],
    passed: ['except ValueError as cause:\n    raise X from cause', 'except OSError:\n    return'],
  },
  {
    name: 'shelves',
    files: SOURCE,
    look: 'code',
    find: /\b(?:class|interface|type|function|const) \w*(?:Util|Utils|Helper|Helpers|Manager|Misc|Common)\b/,
    instead: 'find the noun that it is about',
    found: ['class KeyManager {}', 'export const dateUtils = {}'],
    passed: ['const managed = 1', 'interface ManagedKey {}'],
  },
  {
    name: 'machine paths',
    files: EVERYTHING,
    look: 'text',
    find: new RegExp(`(?:^|[^.\\w])/(?:${MACHINE_FOLDERS})/|/home/\\w|/Users/\\w|\\b[A-Z]:\\\\\\\\`, 'm'),
    instead: 'use a path inside the repository, or a temporary folder',
    found: [`cd /${word('wo', 'rk')}/main`, `file:///${word('ho', 'me')}/x`, `/${word('ho', 'me')}/ada/`].map((text) => ` ${text}`),
    passed: ['./work/', 'the work/life', 'src/stores/'],
  },
  {
    name: 'registry hosts and tools of a workplace',
    files: EVERYTHING,
    look: 'text',
    find: new RegExp(
      `\\b${REGISTRY}\\.[a-z]+\\.(?:org|com)|\\bdeb\\.[a-z]+\\.org|\\b${word('fa', 'rm')}-\\w|\\.${word('lib', 'rary')}\\b|\\bnpm_config_\\w*${REGISTRY}`,
    ),
    instead: 'leave it to the machine of whoever installs',
    found: [`https://${REGISTRY}.npmjs.org/x`, `${word('fa', 'rm')}-bench`, `npm_config_${REGISTRY}=x`],
    passed: ['a registry of packages', 'library.ts'],
  },
]

/** The places at which a rule finds something in a text. */
function findings({ look, find }: Pick<Ban, 'look' | 'find'>, text: string): readonly number[] {
  const searched = look === 'code' ? blanked(text) : text
  return [...searched.matchAll(new RegExp(find, `g${find.flags}`))].map(({ index }) => searched.slice(0, index).split('\n').length)
}

const ALL = filesOf(EVERYTHING)

function inForce(ban: Ban): readonly ProjectFile[] {
  return ALL.filter(({ path }) => ban.files.test(path) && !ban.except?.test(path) && !(ban.look === 'text' && NAMES_THEM.test(path)))
}

test('the files that rules are for are found at all', () => {
  assert.ok(ALL.length > 200, `${ALL.length} files`)
  for (const ban of BANS) assert.ok(inForce(ban).length > 10, `${ban.name} looks into ${inForce(ban).length} files`)
})

for (const ban of BANS) {
  test(`there are no ${ban.name}: ${ban.instead}`, () => {
    const places = inForce(ban).flatMap(({ path, text }) =>
      findings(ban, text).map((line) => `${path}:${line} ${ban.name}: ${ban.instead}`),
    )
    assert.deepEqual(places, [])
  })

  test(`the rule against ${ban.name} finds what it should, and only that`, () => {
    for (const text of ban.found) assert.notEqual(findings(ban, text).length, 0, `not found: ${text}`)
    for (const text of ban.passed) assert.deepEqual(findings(ban, text), [], `found: ${text}`)
  })
}

const SHELVES = /^(?:utils?|helpers?|commons?|misc|managers?|shared|lib|stuff|types|constants|index|v\d+)$/

test('no file or folder is a shelf: it is named after what it holds', () => {
  const shelves = ALL.filter(({ path }) => /^(src|test|tools|bench|examples|sdk)\//.test(path)).filter(({ path }) =>
    path
      .replace(/\.\w+$/, '')
      .split(/[/.-]/)
      .some((name) => SHELVES.test(name)),
  )
  assert.deepEqual(
    shelves.map(({ path }) => path),
    [],
  )
})

/** Words that stand for an idea of the glossary, and the word that it has there. */
const OTHER_WORDS: readonly (readonly [word: RegExp, instead: string])[] = [
  [/\b(?:un)?reserv(?:e[ds]?|ing|ations?)\b/i, 'hold'],
  [/\bwallets?\b|\bpurses?\b/i, 'account'],
  [/\btenants?\b/i, 'account'],
  [/\bdebit(?:s|ed|ing)?\b|\bdeduct(?:s|ed|ing|ions?)?\b/i, 'charge'],
  [/\bquotas?\b/i, 'budget'],
  [/\btariffs?\b|\brate[ -]?cards?\b|\bprice[ -]?lists? of\b/i, 'price book'],
  [/\bcoupons?\b|\bvouchers?\b/i, 'grant'],
  [/\bapi[ _-]?tokens?\b|\baccess[ _-]?keys?\b/i, 'API key'],
  [/\bchargebacks?\b/i, 'refund'],
  [/\bpre-?auth\w*\b/i, 'hold'],
]

test('ideas of the glossary have one word', () => {
  const texts = ALL.filter(({ path }) => /^(?:src|docs|examples|tools|sdk)\/.*\.(?:ts|md|sql|py)$|^[A-Z]+\.md$|^openapi\.json$/.test(path))
  assert.ok(texts.length > 100)
  const places = texts
    .filter(({ path }) => !NAMES_THEM.test(path))
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, index) =>
          OTHER_WORDS.flatMap(([other, instead]) =>
            other.test(line) ? [`${path}:${index + 1} ${other.exec(line)?.[0]}: say ${instead}`] : [],
          ),
        ),
    )
  assert.deepEqual(places, [])
})

test('the rule about words finds them, and no others', () => {
  for (const text of ['a reservation', 'Reserved credits', 'the wallet', 'deducted', 'API token', 'rate card'])
    assert.ok(
      OTHER_WORDS.some(([other]) => other.test(text)),
      text,
    )
  for (const text of ['authorization', 'preserve', 'credits', 'a token of ours', 'conserved', 'reservoir'])
    assert.ok(!OTHER_WORDS.some(([other]) => other.test(text)), text)
})

test('the glossary is in order, and each of its words is used', () => {
  const words = [...textOf('docs/glossary.md').matchAll(/^\| \*\*(.+?)\*\* \|/gm)].map(([, name = '']) => name)
  assert.ok(words.length > 30)
  assert.deepEqual(
    words,
    words.toSorted((a, b) => a.localeCompare(b, 'en')),
  )
  const texts = ALL.filter(({ path }) => /^(src|docs\/(guides|reference|decisions))\//.test(path) || path === 'ARCHITECTURE.md')
  const unused = words.filter((name) => !texts.some(({ text }) => text.toLowerCase().includes(name.toLowerCase())))
  assert.deepEqual(unused, [])
})

test('the lock file names versions and no addresses', () => {
  const lock = JSON.parse(textOf('package-lock.json')) as {
    packages: Record<string, { version?: string; resolved?: string; link?: boolean }>
  }
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '')
  assert.ok(packages.length > 50)
  assert.deepEqual(
    packages.filter(([, { resolved, version }]) => resolved !== undefined || version === undefined),
    [],
  )
})

test('dependencies are pinned exactly, and the lock file has the same ones', () => {
  type Wanted = Readonly<Record<string, string>>
  const names = ['dependencies', 'devDependencies', 'optionalDependencies'] as const
  const manifest = JSON.parse(textOf('package.json')) as Readonly<Record<(typeof names)[number], Wanted>>
  const lock = JSON.parse(textOf('package-lock.json')) as { packages: Readonly<Record<string, { version: string }>> }
  const pinned = names.flatMap((name) => Object.entries(manifest[name]))
  assert.ok(pinned.length > 10)
  for (const [name, version] of pinned) {
    assert.match(version, /^\d+\.\d+\.\d+(?:-[a-z]+\.\d+)?$/, `${name} is not pinned exactly`)
    assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name)
  }
})

const MAX_FILE_LINES = 400
const MAX_FUNCTION_LINES = 60

test(`no file of the source is longer than ${MAX_FILE_LINES} lines: what is longer is two ideas`, () => {
  const long = [...sourceFiles(), ...sdkFiles(), ...pythonFiles()].filter(({ text }) => text.trimEnd().split('\n').length > MAX_FILE_LINES)
  assert.deepEqual(
    long.map(({ path }) => path),
    [],
  )
})

test(`no function of the source is longer than ${MAX_FUNCTION_LINES} lines: parents branch, leaves compute`, () => {
  const functions = [...sourceFiles(), ...sdkFiles()].flatMap(({ path, text }) => functionsOf(text).map((one) => ({ path, ...one })))
  assert.ok(functions.length > 500, `${functions.length} functions`)
  const long = functions.filter(({ lines }) => lines > MAX_FUNCTION_LINES)
  assert.deepEqual(
    long.map(({ path, line, lines }) => `${path}:${line} has ${lines} lines`),
    [],
  )
})

test('a function is as long as its own lines: blank ones, and those of functions inside it, do not count', () => {
  const text = [
    'export function first({',
    '  a,',
    '}: {',
    '  readonly a: number',
    '}): Promise<{ readonly b: number }> {',
    '',
    '  return rows.map((row) => {',
    '    return row',
    '  })',
    '}',
    'class Second {',
    '  async #third(a: string): Promise<void> {',
    '    if (a) {',
    '      b()',
    '    }',
    '  }',
    '}',
    'const fourth = (): number => 4',
  ].join('\n')
  assert.deepEqual(
    functionsOf(text).map(({ line, lines }) => [line, lines]),
    [
      [1, 6],
      [7, 3],
      [12, 5],
    ],
  )
})

test('every export of the source has a line that says what it is', () => {
  const exported = [...sourceFiles(), ...sdkFiles()].flatMap(({ path, text }) => exportsOf(path, text).map((one) => ({ path, ...one })))
  assert.ok(exported.length > 400, `${exported.length} exports`)
  const bare = exported.filter(({ isDocumented }) => !isDocumented).map(({ path, name }) => `${path} ${name}`)
  assert.deepEqual(bare, [])
})

test('an export is documented by what stands above it, by its group, by its file, or by its schema', () => {
  const documented = (path: string, text: string): readonly (readonly [string, boolean])[] =>
    exportsOf(path, text).map(({ name, isDocumented }) => [name, isDocumented])
  assert.deepEqual(documented('src/x.ts', '/** Says. */\nexport const a = 1\nexport const b = 2\n\nexport const c = 3'), [
    ['a', true],
    ['b', true],
    ['c', false],
  ])
  assert.deepEqual(documented('src/charges.ts', '/** Charges. */\n\nexport function chargeRoutes() {}\n\nexport function other() {}'), [
    ['chargeRoutes', true],
    ['other', false],
  ])
  assert.deepEqual(documented('src/x.ts', "export const A = Type.String({\n  description: 'Says.',\n})\nexport class B {}"), [
    ['A', true],
    ['B', false],
  ])
})

test('reading code tells what is said from what is done', () => {
  const text = `const a = /[/'"]/.test(\`\${b ? \`c \${d}\` : 'e'}\`) // f\nconst g = h / i / j /* k */`
  assert.deepEqual(
    codeOf(text)
      .filter(({ kind }) => kind === 'word')
      .map((token) => token.text),
    ['const', 'a', 'test', 'b', 'd', 'const', 'g', 'h', 'i', 'j'],
  )
})
