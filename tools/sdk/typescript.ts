/** Writes the TypeScript SDK's part that follows from openapi.json: shapes, resources, error classes. */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { Problem } from '../../src/http/problem.ts'
import { MARK, type Page } from '../reference/page.ts'
import type { Contract, Operation, Resource } from './contract.ts'
import { familyOf } from './families.ts'
import { problemClassName } from './names.ts'
import { type Member, membersOf } from './problem-members.ts'
import type { Field, Shape, Value } from './values.ts'
import { camel, pascal, sentences } from './words.ts'

const FOLDER = 'sdk/typescript/src/api'
const BIOME = join(import.meta.dirname, '../../node_modules/.bin/biome')

/** The generated files of the TypeScript SDK. */
export function typescriptPages(contract: Contract, problems: Readonly<Record<string, Problem>>): readonly Page[] {
  return [page('shapes', shapesFile(contract)), page('resources', resourcesFile(contract)), page('problems', problemsFile(problems))]
}

function page(name: string, body: string): Page {
  const path = `${FOLDER}/${name}.ts`
  const text = execFileSync(BIOME, ['format', `--stdin-file-path=${path}`], { input: `// ${MARK}\n\n${body}`, encoding: 'utf8' })
  return { path, text }
}

function comment(...texts: readonly (string | null)[]): string {
  const text = texts.filter((one) => one !== null && one !== '').join('\n\n')
  if (text === '') return ''
  return text.includes('\n') ? `/**\n${text.replace(/^/gm, ' * ').replace(/ +$/gm, '')}\n */\n` : `/** ${text} */\n`
}

/** How a value is written as a type. */
export function typeOf(value: Value): string {
  const type = plainType(value)
  return value.isNullable ? `${type} | null` : type
}

function plainType(value: Value): string {
  switch (value.kind) {
    case 'text':
      return 'string'
    case 'integer':
    case 'number':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'nothing':
      return 'null'
    case 'anything':
      return 'unknown'
    case 'decimal':
      return 'Amount'
    case 'decimal_in':
      return value.isQuantity ? 'Quantity' : 'Amount'
    case 'time':
      return 'Time'
    case 'time_in':
      return 'Time | Date'
    case 'literals':
      return value.literals.map((one) => `'${one}'`).join(' | ')
    case 'list':
      return `readonly (${typeOf(value.of)})[]`
    case 'map':
      return `Readonly<Record<string, ${typeOf(value.of)}>>`
    case 'shape':
      return value.name
    case 'either':
      return value.of.map(typeOf).join(' | ')
  }
}

function fieldLine({ name, value, isRequired, description }: Field): string {
  return `${comment(description)}readonly ${/^\w+$/.test(name) ? name : `'${name}'`}${isRequired ? '' : '?'}: ${typeOf(value)}`
}

function interfaceOf(name: string, description: string | null, fields: readonly Field[], isOpen = false): string {
  const lines = [...fields.map(fieldLine), ...(isOpen ? ['readonly [member: string]: unknown'] : [])]
  return `${comment(description ?? sentences(name))}export interface ${name} {\n${lines.join('\n')}\n}\n`
}

function shapesFile({ shapes, operations }: Contract): string {
  const queries = operations
    .filter(({ query }) => query.length > 0)
    .map((one) => interfaceOf(queryName(one), `What \`${callOf(one)}\` is asked with.`, one.query))
  const interfaces = shapes.map((shape) => interfaceOf(shape.name, shapeText(shape, operations), shape.fields, shape.isOpen))
  const imports = `import type { Amount, Quantity, Time } from '../amounts.ts'\n`
  return [imports, ...interfaces, ...queries].join('\n')
}

function shapeText({ name, description }: Shape, operations: readonly Operation[]): string | null {
  const taker = operations.find(({ body }) => body?.name === name)
  return taker ? `What \`${callOf(taker)}\` takes.` : description
}

function queryName({ id }: Operation): string {
  return `${pascal(id)}Query`
}

/** `charges.createBatch`. */
function callOf({ resource, method }: Operation): string {
  return `${camel(resource)}.${camel(method)}`
}

function resourcesFile({ resources }: Contract): string {
  const classes = resources.map(resourceClass)
  const used = new Set([...classes.join('\n').matchAll(/\b[A-Z]\w+\b/g)].map(([name]) => name))
  const names = resources.flatMap(({ operations }) => operations.flatMap(namesIn)).filter((name) => used.has(name))
  const fields = resources.map(({ name, description }) => `${comment(description)}readonly ${camel(name)}: ${pascal(name)}Api`)
  const made = resources.map(({ name }) => `this.${camel(name)} = new ${pascal(name)}Api(call)`)
  return [
    `import { CsvPages } from '../csv.ts'`,
    `import { Pages } from '../pages.ts'`,
    `import { type Call, type CallOptions, type KeyedCallOptions, Resource, segment } from '../resource.ts'`,
    `import type { ${[...new Set(names)].sort(inOrder).join(', ')} } from './shapes.ts'\n`,
    ...classes,
    `/** Every resource of the API. */\nexport class Resources {\n${fields.join('\n')}\n\nconstructor(call: Call) {\n${made.join('\n')}\n}\n}\n`,
  ].join('\n')
}

/** As imports are sorted: capitals count no more than small letters. */
function inOrder(a: string, b: string): number {
  return a.toLowerCase() < b.toLowerCase() ? -1 : 1
}

function namesIn(operation: Operation): readonly string[] {
  const { answer, body, query } = operation
  return [
    ...(answer.kind === 'nothing' ? [] : (typeOf(answer.of).match(/\b[A-Z]\w+/g) ?? [])),
    ...(body ? [body.name] : []),
    ...(query.length > 0 ? [queryName(operation)] : []),
  ]
}

function resourceClass({ name, description, operations }: Resource): string {
  const methods = operations.flatMap((one) => [methodOf(one), ...(one.hasCsv ? [csvMethodOf(one)] : [])])
  return `${comment(description)}export class ${pascal(name)}Api extends Resource {\n${methods.join('\n\n')}\n}\n`
}

function pathOf({ path, parameters }: Operation): string {
  if (parameters.length === 0) return `'${path}'`
  const filled = parameters.reduce((text, { name }) => text.replace(`{${name}}`, `\${segment('${name}', ${camel(name)})}`), path)
  return `\`${filled}\``
}

/** The parameters of a method, as they are declared. */
function declared(operation: Operation): readonly string[] {
  const { parameters, body, query } = operation
  const isOptional = (fields: readonly Field[]): boolean => fields.every(({ isRequired }) => !isRequired)
  return [
    ...parameters.map(({ name, value }) => `${camel(name)}: ${typeOf(value)}`),
    ...(body ? [`body: ${body.name}${isOptional(body.fields) ? ' = {}' : ''}`] : []),
    ...(query.length > 0 ? [`query: ${queryName(operation)}${isOptional(query) ? ' = {}' : ''}`] : []),
    `options?: ${operation.repeat === 'keyed' ? 'KeyedCallOptions' : 'CallOptions'}`,
  ]
}

function requestOf(operation: Operation): string {
  const { http, repeat, body, query, isPublic } = operation
  const parts = [`method: '${http}'`, `path: ${pathOf(operation)}`, `repeat: '${repeat}'`, ...(isPublic ? ['isPublic: true'] : [])]
  return `{ ${[...parts, ...(body ? ['body'] : []), ...(query.length > 0 ? ['query'] : [])].join(', ')} }`
}

function methodOf(operation: Operation): string {
  const { answer, method, summary, description } = operation
  const head = `${comment(`${summary}.`, description)}${camel(method)}(${declared(operation).join(', ')})`
  const request = requestOf(operation)
  if (answer.kind === 'page') return `${head}: Pages<${typeOf(answer.of)}> {\nreturn new Pages(this.call, ${request}, options)\n}`
  const type = answer.kind === 'nothing' ? 'null' : typeOf(answer.of)
  return `${head}: Promise<${type}> {\nreturn this.call(${request}, options)\n}`
}

function csvMethodOf(operation: Operation): string {
  const name = operation.method === 'get' || operation.method === 'list' ? 'csv' : `${camel(operation.method)}Csv`
  const head = `/** ${operation.summary}, as CSV. */\n${name}(${declared(operation).join(', ')})`
  return `${head}: CsvPages {\nreturn new CsvPages(this.call, ${requestOf(operation)}, options)\n}`
}

function problemsFile(problems: Readonly<Record<string, Problem>>): string {
  const codes = Object.keys(problems).sort()
  const families = [...new Set(codes.map((code) => familyOf(problems[code]?.status ?? 0)))].sort()
  const classes = codes.map((code) => problemClass(code, problems[code] as Problem))
  const table = codes.map((code) => `['${code}', ${problemClassName(code)}]`)
  return [
    `import type { Amount, Time } from '../amounts.ts'`,
    `import { type ApiErrorClass, ${families.join(', ')} } from '../errors.ts'\n`,
    ...classes,
    `/** The class of each code. */\nexport const PROBLEM_CLASSES: ReadonlyMap<string, ApiErrorClass> = new Map<string, ApiErrorClass>([\n${table.join(',\n')},\n])\n`,
  ].join('\n')
}

function problemClass(code: string, { meaning, fix, status }: Problem): string {
  const getters = membersOf(code).map(getterOf)
  return [
    `${comment(`${status} \`${code}\`: ${meaning}`, fix)}export class ${problemClassName(code)} extends ${familyOf(status)} {`,
    `override readonly name: string = '${problemClassName(code)}'`,
    `override readonly whatToDo: string = ${JSON.stringify(fix)}`,
    ...getters,
    '}\n',
  ].join('\n')
}

function getterOf({ name, value }: Member): string {
  const read = value.kind === 'integer' ? 'integerMember' : 'textMember'
  const nullable = value.isNullable ? `this.${read}('${name}')` : `this.${read}('${name}') ?? ${value.kind === 'integer' ? '0' : "''"}`
  return `\nget ${camel(name)}(): ${typeOf(value)} {\nreturn ${nullable}\n}`
}
