/** What a PDF says, as another reader than the one that wrote it reads it. */

import { extractText, getDocumentProxy } from 'unpdf'

/** The text of each page. */
export async function pagesOf(pdf: Uint8Array): Promise<readonly string[]> {
  const { text } = await extractText(await getDocumentProxy(new Uint8Array(pdf)), { mergePages: false })
  return text
}
