/** Writes the Python SDK's part that follows from openapi.json: shapes, resources for both clients, error classes. */

import type { Problem } from '../../src/http/problem.ts'
import { MARK, type Page } from '../reference/page.ts'
import type { Contract, Operation, Resource } from './contract.ts'
import { familyOf } from './families.ts'
import { problemClassName } from './names.ts'
import { type Member, membersOf } from './problem-members.ts'
import type { Field, Shape, Value } from './values.ts'
import { pascal, sentences } from './words.ts'

const FOLDER = 'sdk/python/obol'
const WIDTH = 110

/** The generated files of the Python SDK. */
export function pythonPages(contract: Contract, problems: Readonly<Record<string, Problem>>): readonly Page[] {
  return [
    page('_shapes', shapesFile(contract)),
    page('_resources', resourcesFile(contract, SYNC)),
    page('_async_resources', resourcesFile(contract, ASYNC)),
    page('_problems', problemsFile(problems)),
  ]
}

function page(name: string, lines: readonly string[]): Page {
  return { path: `${FOLDER}/${name}.py`, text: `# ${MARK}\n\n${lines.join('\n').trimEnd()}\n` }
}

/** A docstring, wrapped. */
function docstring(indent: string, ...texts: readonly (string | null)[]): readonly string[] {
  const paragraphs = texts
    .filter((one) => one !== null && one !== '')
    .map((one) => wrap(String(one).replaceAll('\\', '\\\\'), WIDTH - indent.length))
  const [first = [], ...rest] = paragraphs
  if (rest.length === 0 && first.length === 1 && first[0] !== undefined) return [`${indent}"""${first[0]}"""`]
  const body = paragraphs
    .map((lines) => lines.map((line) => `${indent}${line}`))
    .flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]))
  return [`${indent}"""${(body[0] ?? '').trimStart()}`, ...body.slice(1), `${indent}"""`]
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** How a value is written as a type. */
function typeOf(value: Value): string {
  const type = plainType(value)
  return value.isNullable && type !== 'Any' && type !== 'None' ? `${type} | None` : type
}

const PLAIN: Readonly<Record<string, string>> = {
  text: 'str',
  integer: 'int',
  number: 'float',
  boolean: 'bool',
  nothing: 'None',
  anything: 'Any',
  decimal: 'Decimal',
  time: 'datetime',
  time_in: 'TimeIn',
}

function plainType(value: Value): string {
  switch (value.kind) {
    case 'decimal_in':
      return value.isQuantity ? 'QuantityIn' : 'AmountIn'
    case 'literals':
      return `Literal[${value.literals.map((one) => `"${one}"`).join(', ')}]`
    case 'list':
      return `Sequence[${typeOf(value.of)}]`
    case 'map':
      return `Mapping[str, ${typeOf(value.of)}]`
    case 'shape':
      return value.name
    case 'either':
      return value.of.map(typeOf).join(' | ')
    default:
      return PLAIN[value.kind] ?? 'Any'
  }
}

/** Shapes that may have more fields than are known are dicts: a class would lose what it does not name. */
function withoutOpenShapes(shapes: readonly Shape[]): readonly Shape[] {
  const open = new Set(shapes.filter(({ isOpen }) => isOpen).map(({ name }) => name))
  const closedValue = (value: Value): Value => {
    if (value.kind === 'shape' && open.has(value.name))
      return { kind: 'map', of: { kind: 'anything', isNullable: false }, isNullable: value.isNullable }
    if (value.kind === 'list' || value.kind === 'map') return { ...value, of: closedValue(value.of) }
    return value.kind === 'either' ? { ...value, of: value.of.map(closedValue) } : value
  }
  return shapes
    .filter(({ isOpen }) => !isOpen)
    .map((shape) => ({ ...shape, fields: shape.fields.map((field) => ({ ...field, value: closedValue(field.value) })) }))
}

function shapesFile({ shapes: all, operations }: Contract): readonly string[] {
  const shapes = withoutOpenShapes(all)
  const bodies = new Set(operations.map(({ body }) => body?.name))
  const used = shapes.filter(({ name, direction }) => direction === 'out' || !bodies.has(name) || isNested(name, shapes))
  return [
    '"""What the API takes and gives. Amounts are Decimal, times are datetime."""',
    '',
    'from __future__ import annotations',
    '',
    'from collections.abc import Mapping, Sequence',
    'from dataclasses import dataclass',
    'from datetime import datetime',
    'from decimal import Decimal',
    'from typing import Any, Literal, TypedDict, Union',
    '',
    '#: Credits or a rate, as they are sent: exact, so no float.',
    'AmountIn = Union[Decimal, int, str]',
    '#: How much was used.',
    'QuantityIn = Union[Decimal, int, float, str]',
    '#: A moment: aware, or RFC 3339 text.',
    'TimeIn = Union[datetime, str]',
    '',
    ...allOf(['AmountIn', 'QuantityIn', 'TimeIn', ...used.map(({ name }) => name)]),
    ...used.flatMap((shape) => ['', '', ...(shape.direction === 'out' ? dataclassOf(shape) : typedDictOf(shape))]),
  ]
}

/** What the module gives to those who import everything. */
function allOf(names: readonly string[]): readonly string[] {
  return ['__all__ = [', ...names.map((name) => `    "${name}",`), ']']
}

function isNested(name: string, shapes: readonly Shape[]): boolean {
  return shapes.some(({ fields }) => fields.some(({ value }) => JSON.stringify(value).includes(`"name":"${name}"`)))
}

function dataclassOf({ name, description, fields }: Shape): readonly string[] {
  return [
    '@dataclass(frozen=True, kw_only=True)',
    `class ${name}:`,
    ...docstring('    ', description ?? sentences(name)),
    '',
    ...fields.flatMap(({ name: field, value, isRequired, description: text }) => [
      ...(text === null ? [] : wrap(text, WIDTH - 8).map((line) => `    #: ${line}`)),
      `    ${identifier(field)}: ${typeOf(value)}${isRequired ? '' : value.isNullable ? ' = None' : ' | None = None'}`,
    ]),
  ]
}

/** A dict that is sent. Python 3.10 says which fields may be missing by a class of their own. */
function typedDictOf({ name, description, fields }: Shape): readonly string[] {
  const line = ({ name: field, value }: Field): string => `    ${identifier(field)}: ${typeOf(value)}`
  const needed = fields.filter(({ isRequired }) => isRequired)
  const optional = fields.filter(({ isRequired }) => !isRequired)
  const text = docstring('    ', description ?? sentences(name))
  if (needed.length === 0) return [`class ${name}(TypedDict, total=False):`, ...text, '', ...optional.map(line)]
  if (optional.length === 0) return [`class ${name}(TypedDict):`, ...text, '', ...needed.map(line)]
  return [
    `class _${name}Needed(TypedDict):`,
    ...needed.map(line),
    '',
    '',
    `class ${name}(_${name}Needed, total=False):`,
    ...text,
    '',
    ...optional.map(line),
  ]
}

const KEYWORDS = new Set(
  'False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield'.split(
    ' ',
  ),
)

function identifier(name: string): string {
  if (/^[a-z_]\w*$/.test(name) && !KEYWORDS.has(name)) return name
  throw new Error(`${name} is no name in Python: the SDK's decoder would have to learn another one`)
}

/** What differs between the two clients. */
interface Kind {
  readonly def: string
  readonly prefix: string
  readonly result: 'return await' | 'return'
  readonly call: string
  readonly text: string
}

const SYNC: Kind = { def: 'def', prefix: '', result: 'return', call: 'Call', text: 'The methods of the API.' }
const ASYNC: Kind = {
  def: 'async def',
  prefix: 'Async',
  result: 'return await',
  call: 'AsyncCall',
  text: 'The methods of the API, for asyncio.',
}

function resourcesFile({ resources, shapes }: Contract, kind: Kind): readonly string[] {
  const { prefix, call, text } = kind
  const classes = resources.flatMap((resource) => ['', '', ...resourceClass(resource, kind)])
  const body = classes.join('\n')
  const names = ['AmountIn', 'QuantityIn', 'TimeIn', ...shapes.map(({ name }) => name)].filter((name) =>
    new RegExp(`\\b${name}\\b(?!Api)`).test(body.replaceAll('"""', '')),
  )
  return [
    `"""${text}"""`,
    '',
    'from __future__ import annotations',
    '',
    ...importOf('collections.abc', ['Mapping', 'Sequence'], body),
    ...importOf('typing', ['Any', 'Literal'], body),
    '',
    `from ._pages import ${prefix}CsvPages, ${prefix}Pages`,
    `from ._request import NOT_GIVEN, ${call}, CallOptions, NotGiven, Request, segment`,
    'from ._shapes import (',
    ...names.sort().map((name) => `    ${name},`),
    ')',
    ...classes,
    '',
    '',
    `class ${prefix}Resources:`,
    '    """Every resource of the API."""',
    '',
    `    def __init__(self, call: ${call}) -> None:`,
    ...resources.flatMap(({ name, description }) => [
      `        #: ${description}`,
      `        self.${name} = ${prefix}${pascal(name)}Api(call)`,
    ]),
  ]
}

function importOf(module: string, names: readonly string[], body: string): readonly string[] {
  const used = names.filter((name) => new RegExp(`\\b${name}\\[|: ${name}\\b`).test(body))
  return used.length === 0 ? [] : [`from ${module} import ${used.join(', ')}`]
}

function resourceClass({ name, description, operations }: Resource, kind: Kind): readonly string[] {
  return [
    `class ${kind.prefix}${pascal(name)}Api:`,
    ...docstring('    ', description),
    '',
    `    def __init__(self, call: ${kind.call}) -> None:`,
    '        self._call = call',
    ...operations.flatMap((one) => ['', ...methodOf(one, kind), ...(one.hasCsv ? ['', ...csvMethodOf(one, kind)] : [])]),
  ]
}

/** The parameters of a method: ids by place, all others by name. */
function parametersOf({ parameters, body, query, repeat }: Operation): readonly string[] {
  const named = [...(body?.fields ?? []), ...query]
  const declared = ({ name, value, isRequired }: Field): string =>
    `        ${identifier(name)}: ${typeOf(value)}${isRequired ? '' : ' | NotGiven = NOT_GIVEN'},`
  return [
    '        self,',
    ...parameters.map(({ name, value }) => `        ${identifier(name)}: ${typeOf(value)},`),
    '        *,',
    ...named.map(declared),
    ...(repeat === 'keyed' ? ['        idempotency_key: str | None = None,'] : []),
    '        options: CallOptions | None = None,',
  ]
}

function documentation(operation: Operation): readonly string[] {
  const { summary, description, body, query } = operation
  const named = [...(body?.fields ?? []), ...query].flatMap(({ name, description: text }) => (text === null ? [] : [`${name}: ${text}`]))
  return docstring('        ', `${summary}.`, description, ...named)
}

function requestLines({ http, path, parameters, body, query, repeat, isPublic }: Operation, more: readonly string[]): readonly string[] {
  const filled = parameters.reduce((text, { name }) => text.replace(`{${name}}`, `{segment('${name}', ${identifier(name)})}`), path)
  const given = (fields: readonly Field[]): string => `{${fields.map(({ name }) => `"${name}": ${identifier(name)}`).join(', ')}}`
  return [
    '        request = Request(',
    `            method="${http}",`,
    `            path=${parameters.length === 0 ? '' : 'f'}"${filled}",`,
    `            repeat="${repeat}",`,
    ...(isPublic ? ['            is_public=True,'] : []),
    ...(body ? [`            body=${given(body.fields)},`] : []),
    ...(query.length > 0 ? [`            query=${given(query)},`] : []),
    ...(repeat === 'keyed' ? ['            idempotency_key=idempotency_key,'] : []),
    ...more,
    '        )',
  ]
}

function methodOf(operation: Operation, { def, prefix, result }: Kind): readonly string[] {
  const { answer, method } = operation
  const isPage = answer.kind === 'page'
  const type = answer.kind === 'nothing' ? 'None' : typeOf(answer.of)
  const gives = isPage ? `${prefix}Pages[${type}]` : type
  return [
    `    ${isPage ? 'def' : def} ${identifier(method)}(`,
    ...parametersOf(operation),
    `    ) -> ${gives}:`,
    ...documentation(operation),
    ...requestLines(operation, []),
    isPage
      ? `        return ${prefix}Pages(self._call, request, ${type}, options)`
      : `        ${result} self._call(request, ${type}, options)`,
  ]
}

function csvMethodOf(operation: Operation, { prefix }: Kind): readonly string[] {
  const name = operation.method === 'get' || operation.method === 'list' ? 'csv' : `${operation.method}_csv`
  return [
    `    def ${name}(`,
    ...parametersOf(operation),
    `    ) -> ${prefix}CsvPages:`,
    ...docstring('        ', `${operation.summary}, as CSV.`),
    ...requestLines(operation, ['            is_export=True,']),
    `        return ${prefix}CsvPages(self._call, request, options)`,
  ]
}

function problemsFile(problems: Readonly<Record<string, Problem>>): readonly string[] {
  const codes = Object.keys(problems).sort()
  const families = [...new Set(codes.map((code) => familyOf(problems[code]?.status ?? 0)))].sort()
  return [
    '"""The error of each problem that the server answers with."""',
    '',
    'from __future__ import annotations',
    '',
    'from datetime import datetime',
    'from decimal import Decimal',
    '',
    'from ._errors import (',
    ...['ApiError', ...families].map((name) => `    ${name},`),
    ')',
    '',
    ...allOf(['PROBLEM_CLASSES', ...codes.map(problemClassName)]),
    ...codes.flatMap((code) => ['', '', ...problemClass(code, problems[code] as Problem)]),
    '',
    '',
    '#: The class of each code.',
    'PROBLEM_CLASSES: dict[str, type[ApiError]] = {',
    ...codes.map((code) => `    "${code}": ${problemClassName(code)},`),
    '}',
  ]
}

function problemClass(code: string, { meaning, fix, status }: Problem): readonly string[] {
  return [
    `class ${problemClassName(code)}(${familyOf(status)}):`,
    ...docstring('    ', `${status} \`${code}\`: ${meaning}`),
    '',
    `    what_to_do = ${JSON.stringify(fix)}`,
    ...membersOf(code).flatMap(memberLines),
  ]
}

const READERS: Readonly<Record<string, string>> = { decimal: '_decimal', time: '_time', integer: '_integer', text: '_text' }

function memberLines({ name, value }: Member): readonly string[] {
  const type = typeOf(value)
  return [
    '',
    '    @property',
    `    def ${identifier(name)}(self) -> ${type.includes('None') ? type : `${type} | None`}:`,
    `        return self.${READERS[value.kind]}("${name}")`,
  ]
}
