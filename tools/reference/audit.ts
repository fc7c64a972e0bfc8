/** docs/reference/audit.md: what each check of an audit means, and what to do when it fails. */

import { AUDIT_CHECKS, type AuditCheck, MAX_DIFFERENCES } from '../../src/stores/store.ts'
import { markdown, type Page } from './page.ts'

const JOURNAL_IS_DAMAGED =
  'The journal itself is damaged. Stop the server, keep a copy of the store’s files as they are, and restore the last backup that verifies.'
const MADE_ANEW = 'The journal is right, and what is derived from it is not. [Make the derived tables anew](#make-the-derived-tables-anew).'

/** What to do when a check fails. The compiler asks for every check there is. */
const TO_DO: Readonly<Record<AuditCheck, string>> = {
  positions: `${JOURNAL_IS_DAMAGED} Records are missing at the end, in the middle or at the beginning of the file: most often a copy that was made without its \`-wal\` file.`,
  records: `${JOURNAL_IS_DAMAGED} If the store was written by a newer Obol, verify it with that one.`,
  sequence: JOURNAL_IS_DAMAGED,
  chain: `${JOURNAL_IS_DAMAGED} Somebody or something has changed a record without Obol; the detail names the first one of its account.`,
  decisions: `A record was written that does not follow from the records before it. If \`chain\` passes, Obol wrote it: report it, with the detail. If not, ${JOURNAL_IS_DAMAGED.charAt(0).toLowerCase()}${JOURNAL_IS_DAMAGED.slice(1)}`,
  balances:
    'The entries of a record are right and the balance that it states is not. Balances are never read from there, so nothing was charged wrongly because of it: report it, with the detail.',
  states: MADE_ANEW,
  history: MADE_ANEW,
  idempotency: `${MADE_ANEW} Until then a request with such a key might be carried out a second time.`,
  rollups: `${MADE_ANEW} Usage was shown wrongly; balances were not.`,
  grants: MADE_ANEW,
  holds: MADE_ANEW,
  refunds: `${MADE_ANEW} Until then a charge might be refunded beyond its amount.`,
  purchases: `If the detail says what the table has or lacks: ${MADE_ANEW} If it names a record: credits were given or taken that were not paid for. Look at the payment at the provider, correct the balance by an adjustment, and report it, with the detail.`,
  subscriptions: `${MADE_ANEW} Credits and payments of subscriptions are decided from the account's state, not from there.`,
  invoices:
    'Somebody has taken invoices away, or put some in, without Obol: they are final, and in nothing else. Restore the table `invoices` from a backup, and tell your tax adviser if you cannot.',
  auto_topups: `${MADE_ANEW} What was paid and tried is in the account's state: nothing is charged twice because of it.`,
  accounts:
    'The row of the account in `accounts` is not what its last `account_created` or `account_updated` record says. Set the profile again with `PATCH /v1/accounts/{account}`, and report it.',
  keys: 'The row of the key in `api_keys` is not what its records say. Rotate or revoke the key, and report it.',
  due: `${MADE_ANEW} Balances are right all the same: what is due is counted on every touch.`,
}

const INTRODUCTION = `
# Audit

\`obol verify\` and \`GET /v1/audit/verify\` read one moment of the store, fold every journal from its first record, and compare the result with
everything that Obol keeps besides. They change nothing, and a running server goes on answering. Each difference names its check, the account,
the record where it was found, and what was expected; the first ${MAX_DIFFERENCES} are listed.

Run it every day, and after every restore. When something differs, look at the journal's own checks first (\`positions\`, \`records\`,
\`sequence\`, \`chain\`, \`decisions\`): while one of them fails, the others cannot be believed.
`

const ANEW = `
## Make the derived tables anew

For checks that say so, and only when \`positions\`, \`records\`, \`sequence\`, \`chain\` and \`decisions\` pass. Stop the server, back up the
store, run this with the \`sqlite3\` command line on the store's file, and start the server again: it folds the whole journal in memory and
writes the tables anew. Then verify.

\`\`\`sql
begin;
delete from account_states;
delete from due_accounts;
delete from account_records;
delete from idempotency_keys;
delete from rollups;
delete from grants;
delete from holds;
delete from refunds;
delete from purchases;
delete from subscriptions;
delete from auto_topups;
delete from settings where name = 'low_water';
commit;
\`\`\`
`

/** The page. */
export function auditPage(): Page {
  const checks = (Object.keys(AUDIT_CHECKS) as AuditCheck[]).map(
    (check) => `## \`${check}\`\n\n${AUDIT_CHECKS[check]}\n\n**When it fails:** ${TO_DO[check]}`,
  )
  return markdown('docs/reference/audit.md', `${INTRODUCTION}\n${checks.join('\n\n')}\n${ANEW}`)
}
