/** The Python package as it is published: a wheel that is built and installed without a network, and used. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { blocksOf } from '../../test/reading/markdown.ts'
import { textOf } from '../../test/reading/project.ts'
import { makeKey, openAccount, startTestObol } from '../../test/running/obol.ts'
import { PYTHON_SDK, runPython } from '../../test/running/python.ts'
import { pyright } from '../../test/running/runtimes.ts'
import { buildWheel } from '../../tools/build-sdk.ts'

/** Installs a wheel as installers do, which need not be there: it is unpacked, and its record holds. */
const INSTALL = `
import base64, hashlib, sys, zipfile
wheel, target = zipfile.ZipFile(sys.argv[1]), sys.argv[2]
names = wheel.namelist()
record = next(name for name in names if name.endswith("RECORD"))
lines = [line.split(",") for line in wheel.read(record).decode().splitlines()]
assert sorted(line[0] for line in lines) == sorted(names), "the record names every file"
for name, digest, size in lines:
    if name != record:
        data = wheel.read(name)
        assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(), name
        assert int(size) == len(data), name
wheel.extractall(target)
`

const USE = `
import importlib.metadata, os, obol
credits = obol.Obol(os.environ["URL"], os.environ["KEY"]).credits.get()
print(obol.__file__.startswith(os.environ["PYTHONPATH"]), obol.__version__ == importlib.metadata.version("obol"), credits.credit_types["credits"].available)
`

test('the wheel is built and installed offline, reads a balance, and is the same each time', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'obol-wheel-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const wheel = buildWheel(join(folder, 'one'))
  const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')
  assert.equal(digest(buildWheel(join(folder, 'two'))), digest(wheel))
  const target = join(folder, 'installed')
  assert.deepEqual(await runPython(['-c', INSTALL, wheel, target], {}, folder), { code: 0, stdout: '', stderr: '' })
  const running = await startTestObol(t)
  const { secret } = await makeKey(running, await openAccount(running, '12.5'))
  const used = await runPython(['-c', USE], { URL: running.url, KEY: secret, PYTHONPATH: target }, folder)
  assert.deepEqual(used, { code: 0, stdout: 'True True 12.5\n', stderr: '' })
})

test('pip, where it is there, builds and installs the package without a network', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'obol-pip-'))
  t.after(() => rmSync(folder, { recursive: true }))
  if ((await runPython(['-m', 'pip', '--version'])).code !== 0) {
    t.diagnostic('there is no pip here')
    return
  }
  const words = ['-m', 'pip', 'install', '--no-index', '--no-deps', '--quiet', '--disable-pip-version-check', '--root-user-action=ignore']
  const { code, stderr } = await runPython([...words, '--target', folder, '.'])
  assert.equal(code, 0, stderr)
})

test('types are as they are said to be, for those who check theirs against them', async (t) => {
  const script = pyright()
  if (script === null) {
    t.diagnostic('there is no Pyright here')
    return
  }
  const words = [script, '--warnings', '--pythonversion', '3.10', 'obol']
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: PYTHON_SDK }).catch(
    (error: { readonly stdout: string }) => error,
  )
  assert.match(stdout, /^0 errors, 0 warnings, 0 informations/m, stdout)
})

test('what the README shows is Python', async () => {
  const blocks = blocksOf(textOf('sdk/python/README.md')).filter(({ language }) => language === 'python')
  assert.ok(blocks.length >= 6)
  for (const { text, line } of blocks) {
    const { code, stderr } = await runPython(['-c', `import ast, sys; ast.parse(sys.argv[1])`, text])
    assert.equal(code, 0, `line ${line}: ${stderr}`)
  }
})
