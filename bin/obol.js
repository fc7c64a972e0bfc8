#!/usr/bin/env node
/**
 * Starts the command line on a Node that can run it: the one that is running, or the one that the repository brings. Plain
 * JavaScript that any Node since 12 can read, because it runs before anything is known of the Node.
 */

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAJOR = 24
const MINOR = 16
const root = join(dirname(fileURLToPath(import.meta.url)), '..')

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > MAJOR || (major === MAJOR && minor >= MINOR)
}

function ownNode() {
  const name = `node-${process.platform}-${process.arch}`
  const path = join(root, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  return existsSync(path) ? path : undefined
}

function runWith(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = code === null ? 1 : code
    if (signal) console.error(`obol: ended by ${signal}`)
  })
}

if (isNewEnough(process.versions.node)) {
  const { enableCompileCache } = await import('node:module')
  enableCompileCache(join(root, 'node_modules', '.cache', 'obol'))
  const { run } = await import('../src/cli/main.ts')
  await run(process.argv)
} else {
  const node = ownNode()
  if (node) runWith(node)
  else {
    console.error(
      `obol: this is Node ${process.versions.node}, and Obol needs ${MAJOR}.${MINOR} or newer.\n` +
        `Run "npm ci" first: it brings one for Linux on x64 and arm64. On other systems install Node ${MAJOR} or newer (nodejs.org).`,
    )
    process.exitCode = 78
  }
}
