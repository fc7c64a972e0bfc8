/** `npm run runtimes`: installs what the SDKs are tried with, beside the project: it is large, and only tests need it. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PYRIGHT_PACKAGE, RUNTIME_PACKAGES, RUNTIMES_FOLDER } from '../test/running/runtimes.ts'

const packages = RUNTIME_PACKAGES[`${process.platform} ${process.arch}`]
if (packages === undefined) {
  console.error(`There are no runtimes for ${process.platform} ${process.arch} here: put bun and deno on the path instead.`)
  process.exitCode = 1
} else {
  mkdirSync(RUNTIMES_FOLDER, { recursive: true })
  writeFileSync(
    join(RUNTIMES_FOLDER, 'package.json'),
    `${JSON.stringify({ private: true, dependencies: { ...packages, pyright: PYRIGHT_PACKAGE } }, null, 2)}\n`,
  )
  const words = ['install', '--prefix', RUNTIMES_FOLDER, '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
  const { status } = spawnSync('npm', words, { stdio: 'inherit' })
  process.exitCode = status ?? 1
}
