/** Writes the reference of each SDK: every method with what it takes and gives, and every error with what to do. */

import type { Problem } from '../../src/http/problem.ts'
import { markdown, type Page, table } from '../reference/page.ts'
import type { Contract, Operation } from './contract.ts'
import { familyOf } from './families.ts'
import { problemClassName } from './names.ts'
import { membersOf } from './problem-members.ts'
import type { Value } from './values.ts'
import { camel } from './words.ts'

/** How a language writes what the reference shows. */
interface Language {
  readonly path: string
  readonly title: string
  readonly name: (name: string) => string
  /** How a call is written. */
  readonly call: (operation: Operation) => string
  readonly page: string
}

const TYPESCRIPT: Language = {
  path: 'sdk/typescript/REFERENCE.md',
  title: '@obol/sdk',
  name: camel,
  call: ({ resource, method, parameters, body, query }) => {
    const values = [...parameters.map(({ name }) => camel(name)), ...(body ? ['body'] : []), ...(query.length > 0 ? ['query'] : [])]
    return `${camel(resource)}.${camel(method)}(${values.join(', ')})`
  },
  page: 'Pages',
}

const PYTHON: Language = {
  path: 'sdk/python/REFERENCE.md',
  title: 'obol for Python',
  name: (name) => name,
  call: ({ resource, method, parameters, body, query }) => {
    const named = [...(body?.fields ?? []), ...query].map(({ name, isRequired }) => `${name}=${isRequired ? '…' : ''}`)
    return `${resource}.${method}(${[...parameters.map(({ name }) => name), ...named.map((name) => name.replace(/=$/, '?'))].join(', ')})`
  },
  page: 'Pages',
}

/** The reference pages. */
export function sdkReferencePages(contract: Contract, problems: Readonly<Record<string, Problem>>): readonly Page[] {
  return [TYPESCRIPT, PYTHON].map((language) => markdown(language.path, referenceOf(language, contract, problems)))
}

function referenceOf(language: Language, { resources }: Contract, problems: Readonly<Record<string, Problem>>): string {
  const sections = resources.map(({ name, description, operations }) => {
    const rows = operations.flatMap((one) => [rowOf(language, one), ...(one.hasCsv ? [csvRowOf(language, one)] : [])])
    return `## ${language.name(name)}\n\n${description}\n\n${table(['Call', 'Gives', 'What it does'], rows)}`
  })
  const codes = Object.entries(problems).toSorted(([, one], [, other]) => one.status - other.status)
  const errors = codes.map(([code, { status, meaning, fix }]) => [
    `\`${problemClassName(code)}\``,
    `\`${familyOf(status)}\``,
    membersOf(code)
      .map(({ name }) => `\`${language.name(name)}\``)
      .join(', '),
    `${meaning} ${fix}`,
  ])
  const head = `# Reference of ${language.title}\n\nEvery method, and every error that the server answers with. [README](README.md) says how calls are made.`
  return [head, ...sections, `## Errors\n\n${table(['Class', 'Family', 'Members', 'What happened, and what to do'], errors)}`].join('\n\n')
}

function rowOf(language: Language, operation: Operation): readonly string[] {
  const { answer, summary, repeat } = operation
  const gives =
    answer.kind === 'nothing' ? 'nothing' : answer.kind === 'page' ? `${language.page} of ${nameOf(answer.of)}` : nameOf(answer.of)
  return [`\`${language.call(operation)}\``, gives, `${summary}.${repeat === 'keyed' ? ' Takes an idempotency key.' : ''}`]
}

function csvRowOf(language: Language, operation: Operation): readonly string[] {
  return [`\`${language.call({ ...operation, method: 'csv' })}\``, 'CsvPages', `${operation.summary}, as CSV.`]
}

function nameOf(value: Value): string {
  return value.kind === 'shape' ? `\`${value.name}\`` : value.kind
}
