/** Unpacks the browser that comes with `npm ci` into the folder that TMPDIR names, in a process of its own: nothing else writes there. */

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflate } from '@sparticuz/chromium'

const packed = fileURLToPath(new URL('../bin/', import.meta.resolve('@sparticuz/chromium')))
// The browser, letters to write with, and the libraries that a machine without a desktop lacks.
await Promise.all(['chromium.br', 'fonts.tar.br', 'al2023.tar.br'].map((name) => inflate(join(packed, name))))
