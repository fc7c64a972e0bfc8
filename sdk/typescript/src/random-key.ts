/** Idempotency keys that the SDK makes up. */

const UUID_BYTES = 16

/** A new UUID (version 4). Browsers have `randomUUID` on secure pages alone, and random bytes everywhere. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(UUID_BYTES))
  const hex = [...bytes].map((byte, index) => fixed(byte, index).toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Puts version and variant where RFC 9562 has them. */
function fixed(byte: number, index: number): number {
  if (index === 6) return (byte & 0x0f) | 0x40
  return index === 8 ? (byte & 0x3f) | 0x80 : byte
}
