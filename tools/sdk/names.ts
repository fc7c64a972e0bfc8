/** What the SDKs call things: the method of each operation, and shapes whose own name would say too little. */

import { pascal } from './words.ts'

/** What a method is called, in the words of openapi.json: `resource.method`, with `_` between words. */
export const METHODS: Readonly<Record<string, string>> = {
  getCredits: 'credits.get',
  getAccountCredits: 'accounts.credits',
  createAccount: 'accounts.create',
  listAccounts: 'accounts.list',
  getAccount: 'accounts.get',
  updateAccount: 'accounts.update',
  createKey: 'keys.create',
  listKeys: 'keys.list',
  getKey: 'keys.get',
  getOwnKey: 'keys.own',
  updateKey: 'keys.update',
  revokeKey: 'keys.revoke',
  rotateKey: 'keys.rotate',
  verifyKey: 'keys.verify',
  getUsage: 'usage.get',
  createCharge: 'charges.create',
  createCharges: 'charges.create_batch',
  listCharges: 'charges.list',
  getCharge: 'charges.get',
  explainCharge: 'charges.explain',
  refundCharge: 'charges.refund',
  createAdjustment: 'adjustments.create',
  createHold: 'holds.create',
  listHolds: 'holds.list',
  getHold: 'holds.get',
  captureHold: 'holds.capture',
  releaseHold: 'holds.release',
  extendHold: 'holds.extend',
  increaseHold: 'holds.increase',
  listJournal: 'journal.list',
  listEvents: 'events.list',
  getPrices: 'prices.get',
  createEstimate: 'estimates.create',
  publishPriceBook: 'price_books.publish',
  listPriceBooks: 'price_books.list',
  getPriceBook: 'price_books.get',
  tryPriceBook: 'price_books.try_out',
  createGrant: 'grants.create',
  listGrants: 'grants.list',
  getGrant: 'grants.get',
  voidGrant: 'grants.void',
  verifyLedger: 'audit.verify',
  signIn: 'auth.sign_in',
  refreshTokens: 'auth.refresh',
  signOut: 'auth.sign_out',
  acceptInvitation: 'auth.accept_invitation',
  resetPassword: 'auth.reset_password',
  getSigningKeys: 'auth.signing_keys',
  replaceSigningKeys: 'auth.replace_signing_keys',
  getMe: 'me.get',
  changePassword: 'me.change_password',
  inviteUser: 'users.invite',
  inviteFirstOperator: 'users.invite_first_operator',
  renewInvitation: 'users.renew_invitation',
  offerPasswordReset: 'users.offer_password_reset',
  listUsers: 'users.list',
  getUser: 'users.get',
  updateUser: 'users.update',
  setMembership: 'users.set_membership',
  endMembership: 'users.end_membership',
}

/** Posts that change nothing: they may be sent again like reads. Any other post without an idempotency key is sent once. */
export const READING_POSTS: ReadonlySet<string> = new Set(['createEstimate', 'verifyKey', 'tryPriceBook'])

/** Names of shapes inside others, where the name of the place (`UsageDataResult`) would not say what it is. */
export const SHAPES: Readonly<Record<string, string>> = {
  CreditsCreditType: 'CreditTypeCredits',
  CreditsGrant: 'OpenGrant',
  CreditsExpiringSoon: 'ExpiringCredits',
  CreditsKey: 'CreditsOfKey',
  CreditsOfKeyBudget: 'BudgetState',
  CreateKeyBudget: 'BudgetTerms',
  CreateKeyRateLimit: 'RateLimitTerms',
  UsageData: 'UsageBucket',
  UsageBucketResult: 'UsageGroup',
  ChargeBatchData: 'ChargeOutcome',
  ChargeOutcomeError: 'ProblemBody',
  ProblemBodyError: 'ProblemPlace',
  DetailedChargeLine: 'PriceLine',
  ChargeExplanationGrant: 'ExplainedGrant',
  PublishPriceBookPrice: 'PriceTerms',
  CreateEstimateItem: 'EstimateItemTerms',
  EstimateItemTermsQuantity: 'QuantityRange',
  PriceTrialTotal: 'PriceTrialSum',
  CreateGrantCost: 'GrantCostTerms',
  UserOfferMembership: 'Membership',
  MeAccount: 'AccountOfUser',
  GetSigningKeysAnswer: 'KeySet',
  KeySetKey: 'SigningKey',
}

/** Classes of codes whose own name is that of a family. */
const PROBLEMS: Readonly<Record<string, string>> = { not_found: 'AddressNotFoundError' }

/** The class of a problem's code, in both SDKs. */
export function problemClassName(code: string): string {
  return PROBLEMS[code] ?? `${pascal(code)}Error`
}
