/**
 * The logger of one request. It is made when something is logged: most requests log nothing, and to make one costs more than to route.
 * Fastify looks at each method of it before that, so these must not make it.
 */

import type { FastifyBaseLogger, FastifyServerOptions } from 'fastify'

type ChildLoggerFactory = NonNullable<FastifyServerOptions['childLoggerFactory']>
type Child = Parameters<ChildLoggerFactory>[1]
type ChildOptions = Parameters<ChildLoggerFactory>[2]

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

class RequestLogger implements FastifyBaseLogger {
  readonly #parent: FastifyBaseLogger
  readonly #bindings: Child
  readonly #options: ChildOptions
  #made: FastifyBaseLogger | null = null

  constructor(parent: FastifyBaseLogger, bindings: Child, options: ChildOptions) {
    this.#parent = parent
    this.#bindings = bindings
    this.#options = options
  }

  get #logger(): FastifyBaseLogger {
    this.#made ??= this.#parent.child(this.#bindings, this.#options)
    return this.#made
  }

  #log(level: Level, line: unknown[]): void {
    const log = this.#logger[level] as (...line: unknown[]) => void
    log.apply(this.#logger, line)
  }

  get level(): FastifyBaseLogger['level'] {
    return this.#parent.level
  }

  fatal(...line: unknown[]): void {
    this.#log('fatal', line)
  }

  error(...line: unknown[]): void {
    this.#log('error', line)
  }

  warn(...line: unknown[]): void {
    this.#log('warn', line)
  }

  info(...line: unknown[]): void {
    this.#log('info', line)
  }

  debug(...line: unknown[]): void {
    this.#log('debug', line)
  }

  trace(...line: unknown[]): void {
    this.#log('trace', line)
  }

  silent(...line: unknown[]): void {
    this.#log('silent', line)
  }

  child(bindings: Child, options?: ChildOptions): FastifyBaseLogger {
    return this.#logger.child(bindings, options)
  }
}

/** Gives each request a logger that knows its id. */
export const requestLogger: ChildLoggerFactory = (parent, bindings, options) => new RequestLogger(parent, bindings, options)
