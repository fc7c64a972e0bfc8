/** What errors of one status have in common: the class that each error of a code extends, in both SDKs. */

const FAMILIES: Readonly<Record<number, string>> = {
  401: 'AuthenticationError',
  402: 'PaymentRequiredError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  409: 'ConflictError',
  429: 'TryLaterError',
  503: 'TryLaterError',
}

/** The family of a status. */
export function familyOf(status: number): string {
  return FAMILIES[status] ?? (status >= 500 ? 'ServerFaultError' : 'BadRequestError')
}
