/** `npm run build:sdk`: builds both SDKs as they are published, into dist/: the package of npm, and the wheel of Python. */

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

/** Builds the TypeScript SDK into a folder that can be published as it is. */
export function buildTypescript(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const source = join(root, 'sdk/typescript')
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', source, '--outDir', join(folder, 'dist')], { stdio: 'inherit' })
  for (const file of ['package.json', 'README.md', 'CHANGELOG.md']) cpSync(join(source, file), join(folder, file))
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
}

/** Builds the wheel of the Python SDK into a folder, with nothing but Python, and gives its path. */
export function buildWheel(folder: string): string {
  mkdirSync(folder, { recursive: true })
  const program = 'import build_wheel, sys; print(build_wheel.build_wheel(sys.argv[1]))'
  const options = { cwd: join(root, 'sdk/python'), encoding: 'utf8', env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } } as const
  return join(folder, execFileSync('python3', ['-c', program, folder], options).trim())
}

if (import.meta.main) {
  const dist = join(root, 'dist')
  buildTypescript(join(dist, 'typescript'))
  console.log(`${join(dist, 'typescript')}: npm publish ./dist/typescript`)
  console.log(buildWheel(join(dist, 'python')))
}
