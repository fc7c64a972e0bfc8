/** A page for each problem, at the address that problems give as `docs`. */

import type { FastifyInstance } from 'fastify'
import { PROBLEMS, type ProblemCode, ProblemError } from './problems.ts'

/** The page of a problem, in Markdown: the same text that is kept in docs/reference/problems. */
export function problemPage(code: ProblemCode): string {
  const { status, title, meaning, fix } = PROBLEMS[code]
  return `# ${title}\n\n\`${code}\` · HTTP ${status}\n\n## What happened\n\n${meaning}\n\n## What to do\n\n${fix}\n`
}

export async function problemPages(app: FastifyInstance): Promise<void> {
  app.get<{ Params: { code: string } }>('/problems/:code', { config: { access: 'public' }, schema: { hide: true } }, (request, reply) => {
    const { code } = request.params
    if (!Object.hasOwn(PROBLEMS, code)) throw new ProblemError('not_found', `There is no problem ${code.slice(0, 100)}.`)
    return reply.type('text/markdown; charset=utf-8').send(problemPage(code as ProblemCode))
  })
}
