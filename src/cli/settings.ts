/** The settings, as commands read them: faults are told, not thrown. */

import { ConfigError, type Environment, readConfig, readNamed } from '../config.ts'
import { httpAddress } from '../setting-values.ts'
import { CliError, type Client, EXIT, makeClient } from './client.ts'
import { devSecretsFile, readDevSecrets } from './dev-secrets.ts'

/** Reads the settings of the server. Throws CliError with every fault. */
export function readSettings(environment: Environment): ReturnType<typeof readConfig> {
  return told(() => readConfig(environment))
}

/**
 * A client for the server that the environment names; for `obol dev` in this folder nothing has to be set. Throws CliError for an
 * address or a key that cannot be one.
 */
export function clientFromEnvironment(environment: Environment): Client {
  const url = addressIn(environment)
  const set = told(() => readNamed(environment, ['OBOL_OPERATOR_KEY', 'OBOL_DATABASE_URL']))
  const key =
    set.OBOL_OPERATOR_KEY ?? (isThisMachine(url) ? readDevSecrets(devSecretsFile(set.OBOL_DATABASE_URL))?.operator_key : undefined)
  if (key !== undefined) return makeClient(url, key)
  throw new CliError(`No operator key: set OBOL_OPERATOR_KEY to the operator key of ${url}.`, { exitCode: EXIT.config })
}

function told<Value>(read: () => Value): Value {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof ConfigError) throw new CliError(cause.message, { exitCode: EXIT.config, cause })
    throw cause
  }
}

function addressIn({ OBOL_URL }: Environment): string {
  const given = OBOL_URL || 'http://127.0.0.1:4000'
  const url = httpAddress(given)
  if (url !== undefined) return url
  throw new CliError(`OBOL_URL must be an http or https address, not ${JSON.stringify(given)}.`, { exitCode: EXIT.config })
}

/** The secrets of `obol dev` are for the server here, and are sent nowhere else. */
function isThisMachine(url: string): boolean {
  return ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname)
}
