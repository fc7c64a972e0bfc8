/** The secrets that `obol dev` made: kept beside its store, so that the next start, and commands in this folder, find them. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sqliteFile } from '../config.ts'
import { CliError, EXIT } from './client.ts'
import type { SampleUser } from './sample-user.ts'
import type { SampleAccount } from './samples.ts'

/** What is kept. */
export interface DevSecrets {
  readonly operator_key: string
  readonly accounts?: readonly SampleAccount[]
  readonly user?: SampleUser
}

/** Where the secrets of a store are that is no file. */
const DEFAULT_FILE = './data/obol.db'

/** The file of the secrets, by the address of the store. */
export function devSecretsFile(databaseUrl: string): string {
  return join(dirname(sqliteFile(databaseUrl) ?? DEFAULT_FILE), 'dev-secrets.json')
}

/** Reads the secrets; undefined: `obol dev` has not been run there. Throws CliError for a file that is something else. */
export function readDevSecrets(file: string): DevSecrets | undefined {
  if (!existsSync(file)) return undefined
  try {
    const secrets = JSON.parse(readFileSync(file, 'utf8')) as Partial<DevSecrets> | null
    if (typeof secrets?.operator_key === 'string') return { ...secrets, operator_key: secrets.operator_key }
  } catch (cause) {
    throw new CliError(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      exitCode: EXIT.config,
      cause,
    })
  }
  throw new CliError(`${file} holds no secrets of obol dev. Remove it, and obol dev makes it anew.`, { exitCode: EXIT.config })
}

/** Keeps the secrets, readable by this user alone. */
export function saveDevSecrets(file: string, secrets: DevSecrets): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
}
