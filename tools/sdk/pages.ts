/** The generated files of both SDKs. */

import { PROBLEMS } from '../../src/http/problems.ts'
import type { Page } from '../reference/page.ts'
import { type OpenApi, readContract } from './contract.ts'
import { pythonPages } from './python.ts'
import { sdkReferencePages } from './reference.ts'
import { typescriptPages } from './typescript.ts'

/** Every file that follows from openapi.json. */
export function sdkPages(pages: readonly Page[]): readonly Page[] {
  const native = pages.find(({ path }) => path === 'openapi.json')
  if (!native) throw new Error('the SDKs are written from openapi.json')
  const contract = readContract(JSON.parse(native.text) as OpenApi)
  return [...typescriptPages(contract, PROBLEMS), ...pythonPages(contract, PROBLEMS), ...sdkReferencePages(contract, PROBLEMS)]
}
