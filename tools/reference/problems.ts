/** docs/reference/problems: the page of each problem, as the server gives it at `/problems/<code>`, and their list. */

import { problemPage } from '../../src/http/problem-pages.ts'
import { PROBLEMS, type ProblemCode } from '../../src/http/problems.ts'
import { markdown, type Page, table } from './page.ts'

const INTRODUCTION = `
# Problems

Every error is \`application/problem+json\` (RFC 9457). Switch on \`code\`: codes are never given another meaning. \`detail\` is for people,
\`request_id\` finds the request in the server's log, and \`docs\` leads to the page below on the server that answered.

\`\`\`json
{
  "type": "urn:obol:problem:insufficient_credits",
  "title": "Insufficient credits",
  "status": 402,
  "detail": "Needs 990 credits, available 12.5.",
  "code": "insufficient_credits",
  "instance": "/v1/charges",
  "request_id": "req_…",
  "docs": "http://127.0.0.1:4000/problems/insufficient_credits",
  "top_up_url": null,
  "credit_type": "credits",
  "required": "990",
  "available": "12.5",
  "settled": "12.5",
  "held": "0",
  "shortfall": "977.5"
}
\`\`\`

402 ends when someone pays or grants. 429 and 503 end by themselves: wait for \`Retry-After\` seconds and send the same request with the same
\`Idempotency-Key\`. \`invalid_request\` lists in \`errors\` each place that is wrong: \`#/amount\` in the body, \`query/limit\`, \`path/hold\`.
`

/** The pages. */
export function problemPages(): readonly Page[] {
  const codes = (Object.keys(PROBLEMS) as ProblemCode[]).sort()
  const byStatus = codes.toSorted((a, b) => PROBLEMS[a].status - PROBLEMS[b].status)
  const rows = byStatus.map((code) => [String(PROBLEMS[code].status), `[\`${code}\`](${code}.md)`, PROBLEMS[code].meaning])
  const list = `${INTRODUCTION}\n${table(['Status', 'Code', 'What happened'], rows)}`
  return [
    markdown('docs/reference/problems/README.md', list),
    ...codes.map((code) => markdown(`docs/reference/problems/${code}.md`, problemPage(code))),
  ]
}
