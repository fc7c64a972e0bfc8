import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const EXCERPT = join(import.meta.dirname, 'data/llm-trace-excerpt.csv')

async function replay(folder: string): Promise<string> {
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, 'replay.ts'), EXCERPT], {
    env: { ...process.env, OBOL_REPLAY_FOLDER: folder },
  })
  return stdout
}

test('a replayed trace agrees with sums worked out without Obol, and replaying it again changes nothing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'obol-replay-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const first = await replay(folder)
  assert.match(first, /400 charged, 0 charged by an earlier run/)
  assert.match(first, /all 50 accounts agree, to the micro-credit; the audit is clean/)
  const second = await replay(folder)
  assert.match(second, /0 charged, 400 charged by an earlier run/)
  assert.match(second, /all 50 accounts agree, to the micro-credit; the audit is clean/)
})
