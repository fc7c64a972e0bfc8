/** What never reaches the log: keys, tokens and passwords, wherever they stand. */

import type { LoggerOptions } from 'pino'
import { hideSecrets } from './auth/secrets.ts'

/** What is logged of a request. */
interface LoggedRequest {
  readonly method: string
  readonly url: string
  readonly host: string
  readonly ip: string
  readonly socket: { readonly remotePort?: number }
}

/** Logger options that blank secrets by where they stand, and in the text of errors, where `hide` finds them. */
export function redaction(hide = hideSecrets): Pick<LoggerOptions, 'redact' | 'serializers'> {
  const paths = [
    'req.headers.authorization',
    'req.headers.cookie',
    'req.headers["x-access-token"]',
    'req.headers["x-api-key"]',
    'req.headers["idempotency-key"]',
    'res.headers["set-cookie"]',
    '*.password',
    '*.secret',
    '*.api_key',
    '*.token',
    '*.access_token',
    '*.refresh_token',
    '*.current_password',
  ]
  return {
    redact: { paths, censor: '[redacted]' },
    serializers: {
      req: (request: object) => (isRequest(request) ? summaryOf(request, hide) : request),
      err: (error: unknown) =>
        error instanceof Error
          ? {
              type: error.name,
              message: hide(error.message),
              stack: hide(error.stack ?? ''),
              cause: error.cause instanceof Error ? hide(error.cause.message) : undefined,
            }
          : hide(String(error)),
    },
  }
}

function isRequest(value: object): value is LoggedRequest {
  return 'url' in value && 'socket' in value
}

function summaryOf({ method, url, host, ip, socket }: LoggedRequest, hide: (text: string) => string): object {
  return { method, url: hide(url), host, remoteAddress: ip, remotePort: socket.remotePort }
}
