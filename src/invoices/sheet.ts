/** Paper: text, rows and tables one below the other, on as many pages as they take. The font is embedded, so that every name prints right. */

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import PDFDocument from 'pdfkit'

const MARGIN = 50
const SIZE = 9
const SMALL = 7.5
const GAP = 4
const INK = '#1a1a1a'
const FAINT = '#666666'
const RULE = '#cccccc'

/** What is said of the file itself. */
export interface SheetInfo {
  readonly title: string
  readonly author: string
  readonly createdAtMs: number
  /** At the foot of every page, before its number. */
  readonly foot: string
}

/** A column of a table: its share of the width, and where its text stands. */
export interface Column {
  readonly title: string
  readonly share: number
  readonly align?: 'left' | 'right'
}

interface Fonts {
  readonly regular: Buffer
  readonly bold: Buffer
}

const REGULAR = import.meta.resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf')
const BOLD = import.meta.resolve('dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf')

let fonts: Promise<Fonts> | undefined

/** Both faces, read once. */
function readFonts(): Promise<Fonts> {
  fonts ??= Promise.all([readFile(fileURLToPath(REGULAR)), readFile(fileURLToPath(BOLD))]).then(([regular, bold]) => ({ regular, bold }))
  return fonts
}

/** Starts a sheet. The same things on it make the same bytes. */
export async function startSheet(info: SheetInfo): Promise<Sheet> {
  return new Sheet(info, await readFonts())
}

/** A sheet that is being written. */
export class Sheet {
  readonly #pdf: PDFKit.PDFDocument
  readonly #chunks: Buffer[] = []
  readonly #foot: string

  constructor({ title, author, createdAtMs, foot }: SheetInfo, { regular, bold }: Fonts) {
    const at = new Date(createdAtMs)
    this.#foot = foot
    this.#pdf = new PDFDocument({
      size: 'A4',
      margins: { top: MARGIN, left: MARGIN, right: MARGIN, bottom: MARGIN + 20 },
      pdfVersion: '1.7',
      lang: 'en',
      displayTitle: true,
      bufferPages: true,
      info: { Title: title, Author: author, CreationDate: at, ModDate: at },
    })
    this.#pdf.registerFont('regular', regular).registerFont('bold', bold)
    this.#pdf.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    this.#pdf.font('regular').fontSize(SIZE).fillColor(INK)
  }

  get #width(): number {
    return this.#pdf.page.width - 2 * MARGIN
  }

  get #bottom(): number {
    return this.#pdf.page.height - this.#pdf.page.margins.bottom
  }

  /** A title, and what stands across from it. */
  title(title: string, across: readonly string[]): this {
    const top = this.#pdf.y
    this.#pdf.font('bold').fontSize(20).text(title, MARGIN, top)
    this.#pdf.font('regular').fontSize(SIZE)
    this.#pdf.text(across.join('\n'), MARGIN + this.#width / 2, top + 2, { width: this.#width / 2, align: 'right', lineGap: 2 })
    return this.space(18)
  }

  /** Words that nobody should miss. */
  warning(text: string): this {
    const options = { width: this.#width - 16 }
    const height = this.#pdf.font('bold').heightOfString(text, options) + 12
    const top = this.#pdf.y
    this.#pdf.rect(MARGIN, top, this.#width, height).fillAndStroke('#fff3d6', '#d9a441')
    this.#pdf.fillColor(INK).text(text, MARGIN + 8, top + 6, options)
    this.#pdf.font('regular').y = top + height
    return this.space(12)
  }

  /** Two blocks side by side, each with a line above it. */
  sides(...sides: readonly (readonly [title: string, lines: readonly string[]])[]): this {
    const width = this.#width / sides.length
    const top = this.#pdf.y
    const ends = sides.map(([title, lines], index) => {
      const left = MARGIN + index * width
      this.#pdf.fillColor(FAINT).fontSize(SMALL).text(title, left, top, { width })
      this.#pdf.fillColor(INK).fontSize(SIZE)
      for (const line of lines) this.#pdf.text(line, left, this.#pdf.y + 1, { width: width - 12 })
      return this.#pdf.y
    })
    this.#pdf.y = Math.max(...ends)
    return this.space(16)
  }

  heading(text: string): this {
    this.#room(60)
    this.#pdf.font('bold').fontSize(11).text(text, MARGIN, this.#pdf.y).font('regular').fontSize(SIZE)
    return this.space(6)
  }

  text(text: string): this {
    this.#pdf.text(text, MARGIN, this.#pdf.y, { width: this.#width, lineGap: 2 })
    return this.space(8)
  }

  /** A table; its head is repeated on each page. Rows that are told so stand out. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[], isStrong: (index: number) => boolean = () => false): this {
    const head = (): void => {
      this.#pdf.fillColor(FAINT).fontSize(SMALL)
      this.#row(
        columns,
        columns.map(({ title }) => title),
      )
      this.#pdf.fillColor(INK).fontSize(SIZE)
    }
    head()
    for (const [index, cells] of rows.entries()) {
      this.#pdf.font(isStrong(index) ? 'bold' : 'regular')
      if (this.#room(this.#heightOf(columns, cells))) head()
      this.#row(columns, cells)
    }
    this.#pdf.font('regular')
    return this.space(12)
  }

  #widths(columns: readonly Column[]): readonly number[] {
    const all = columns.reduce((sum, { share }) => sum + share, 0)
    return columns.map(({ share }) => (share / all) * this.#width)
  }

  #heightOf(columns: readonly Column[], cells: readonly string[]): number {
    const widths = this.#widths(columns)
    const heights = cells.map((cell, index) => this.#pdf.heightOfString(cell, { width: (widths[index] ?? 0) - GAP }))
    return Math.max(...heights) + 2 * GAP
  }

  #row(columns: readonly Column[], cells: readonly string[]): void {
    const widths = this.#widths(columns)
    const height = this.#heightOf(columns, cells)
    const top = this.#pdf.y
    let left = MARGIN
    for (const [index, cell] of cells.entries()) {
      const width = widths[index] ?? 0
      this.#pdf.text(cell, left, top + GAP, { width: width - GAP, align: columns[index]?.align ?? 'left' })
      left += width
    }
    this.#pdf.y = top + height
    this.#pdf
      .moveTo(MARGIN, this.#pdf.y)
      .lineTo(MARGIN + this.#width, this.#pdf.y)
      .lineWidth(0.5)
      .strokeColor(RULE)
      .stroke()
  }

  /** Goes on with a new page if what comes does not fit; true: it does not. */
  #room(height: number): boolean {
    if (this.#pdf.y + height <= this.#bottom) return false
    this.#pdf.addPage()
    return true
  }

  space(height: number): this {
    this.#pdf.y += height
    this.#pdf.x = MARGIN
    return this
  }

  /** The file. */
  end(): Promise<Buffer> {
    const { start, count } = this.#pdf.bufferedPageRange()
    for (let page = start; page < start + count; page++) {
      this.#pdf.switchToPage(page)
      // Below the margin, where text would otherwise go on to another page.
      this.#pdf.page.margins.bottom = 0
      const text = `${this.#foot} · ${page + 1} / ${count}`
      this.#pdf
        .fillColor(FAINT)
        .fontSize(SMALL)
        .text(text, MARGIN, this.#pdf.page.height - MARGIN, { width: this.#width, lineBreak: false })
    }
    const done = new Promise<Buffer>((resolve, reject) => {
      this.#pdf.on('end', () => resolve(Buffer.concat(this.#chunks)))
      this.#pdf.on('error', reject)
    })
    this.#pdf.end()
    return done
  }
}
