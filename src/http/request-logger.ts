/** The logger of one request. It is made when something is logged: most requests log nothing, and to make one costs more than to route. */

import type { FastifyBaseLogger, FastifyServerOptions } from 'fastify'

type ChildLoggerFactory = NonNullable<FastifyServerOptions['childLoggerFactory']>
type Child = Parameters<ChildLoggerFactory>[1]
type ChildOptions = Parameters<ChildLoggerFactory>[2]

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

  get level(): FastifyBaseLogger['level'] {
    return this.#parent.level
  }

  get fatal(): FastifyBaseLogger['fatal'] {
    return bound(this.#logger, 'fatal')
  }

  get error(): FastifyBaseLogger['error'] {
    return bound(this.#logger, 'error')
  }

  get warn(): FastifyBaseLogger['warn'] {
    return bound(this.#logger, 'warn')
  }

  get info(): FastifyBaseLogger['info'] {
    return bound(this.#logger, 'info')
  }

  get debug(): FastifyBaseLogger['debug'] {
    return bound(this.#logger, 'debug')
  }

  get trace(): FastifyBaseLogger['trace'] {
    return bound(this.#logger, 'trace')
  }

  get silent(): FastifyBaseLogger['silent'] {
    return bound(this.#logger, 'silent')
  }

  child(bindings: Child, options?: ChildOptions): FastifyBaseLogger {
    return this.#logger.child(bindings, options)
  }
}

function bound<Name extends 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'>(
  logger: FastifyBaseLogger,
  name: Name,
): FastifyBaseLogger[Name] {
  return logger[name].bind(logger)
}

/** Gives each request a logger that knows its id. */
export const requestLogger: ChildLoggerFactory = (parent, bindings, options) => new RequestLogger(parent, bindings, options)
