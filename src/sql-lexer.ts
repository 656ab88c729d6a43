/** The token after the last one. */
export const END = ''

/**
 * The token after which nothing can be said of a text: quotes or a comment do not end, a character begins nothing, a
 * number runs into a word (two tokens before PostgreSQL 15, since then an error). The server refuses such a text.
 */
export const UNREADABLE = '\\'

const STRING = "'"
const NUMBER = '0'
const PARAMETER = '$'

// Above ASCII everything is a letter to the server, also what JavaScript calls a space or a byte order mark.
const BLANKS = /[ \t\n\r\f\v]+/y
const LINE_COMMENT = /--[^\n\r]*/y
const COMMENT_BRACKET = /\/\*|\*\//g
const WORD = /[A-Za-z_\x80-\uffff][A-Za-z0-9_$\x80-\uffff]*/y
const NUMERAL = /(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[Ee][+-]?[0-9_]+)?/y
const POSITIONAL = /\$[0-9]+/y
const DOLLAR_QUOTE = /\$(?:[A-Za-z_\x80-\uffff][A-Za-z0-9_\x80-\uffff]*)?\$/y
const SYMBOL = /::|[()[\],;:]|\.(?![0-9])/y
const OPERATOR = /[~!@#^&|`?+\-*/%<>=]{1,64}/y
const QUOTE_OR_BACKSLASH = /['\\]/g

/** An operator this long is an error to the server; the bound keeps a run of them linear. */
const TOO_LONG = 64

/**
 * Keywords that without quotes and schema name neither a function nor a user's type: of the reserved ones, and of those
 * that "cannot be function or type" (https://www.postgresql.org/docs/current/sql-keywords-appendix.html), what stands
 * before a parenthesis or a string in a query.
 */
export const NEVER_NAMES = words(`
  all and any array as asymmetric both case cast current_time current_timestamp distinct else except for from group
  having in intersect lateral leading limit localtime localtimestamp not offset on only or placing select some symmetric
  then to trailing union using variadic when where between coalesce exists extract greatest grouping least nullif overlay
  position row substring trim values bit char character dec decimal float interval numeric time timestamp varchar`)

/**
 * Cuts a text as the server does (https://www.postgresql.org/docs/current/sql-syntax-lexical.html), in linear time.
 *
 * A token is a text that tells its sort by the first character: a word (identifier or keyword) folded to lower case,
 * `"name` for a quoted identifier, `'` for a string however quoted, `0` for a number, `$` for a parameter, and
 * operators and symbols as they are.
 */
export class SqlLexer {
  readonly #text: string
  #at = 0
  #ambiguous = false

  constructor(text: string) {
    this.#text = text
  }

  /**
   * A string so far had a backslash right before a quote. It was read as with `standard_conforming_strings` on (the
   * default); with it off, the string would go on.
   */
  get ambiguous(): boolean {
    return this.#ambiguous
  }

  next(): string {
    if (!this.#skipBlanks()) return UNREADABLE
    const char = this.#text.charAt(this.#at)
    switch (char) {
      case '':
        return END
      case "'":
        return this.#plainString()
      case '"':
        return this.#quotedName()
      case '$':
        return this.#parameterOrString()
    }

    const symbol = this.#match(SYMBOL)
    if (symbol !== '') return symbol
    const word = this.#match(WORD)
    if (word !== '') return this.#wordOrPrefix(foldCase(word))
    return this.#match(NUMERAL) === '' ? this.#operator() : this.#unlessWordFollows(NUMBER)
  }

  /** False if a comment does not end. */
  #skipBlanks(): boolean {
    for (;;) {
      this.#match(BLANKS)
      if (this.#text.startsWith('--', this.#at)) this.#match(LINE_COMMENT)
      else if (!this.#text.startsWith('/*', this.#at)) return true
      else if (!this.#skipBlockComment()) return false
    }
  }

  /** These comments nest, unlike those of C. */
  #skipBlockComment(): boolean {
    COMMENT_BRACKET.lastIndex = this.#at
    let depth = 0
    do {
      const bracket = COMMENT_BRACKET.exec(this.#text)
      if (bracket === null) return false
      depth += bracket[0] === '/*' ? 1 : -1
    } while (depth > 0)
    this.#at = COMMENT_BRACKET.lastIndex
    return true
  }

  /** Right before a quote some words are a prefix of it: `E'…'`, `U&"…"`. */
  #wordOrPrefix(word: string): string {
    const quote = this.#text[this.#at]
    if (quote === "'" && word === 'e') return this.#escapeString()
    if (quote === "'" && (word === 'b' || word === 'x')) return this.#plainString()
    if (word !== 'u' || !/^&['"]/.test(this.#text.slice(this.#at, this.#at + 2))) return word

    this.#at += 1
    if (this.#text[this.#at] === "'") return this.#plainString()
    // What its escapes spell is not worked out: it must not pass for a known name.
    return this.#quotedName() === UNREADABLE ? UNREADABLE : '"'
  }

  #unlessWordFollows(token: string): string {
    return this.#match(WORD) === '' ? token : UNREADABLE
  }

  #plainString(): string {
    let end = this.#text.indexOf("'", this.#at + 1)
    while (end !== -1) {
      if (this.#text[end - 1] === '\\') this.#ambiguous = true
      if (this.#text[end + 1] !== "'") break
      end = this.#text.indexOf("'", end + 2)
    }
    if (end === -1) return UNREADABLE
    this.#at = end + 1
    return STRING
  }

  #escapeString(): string {
    QUOTE_OR_BACKSLASH.lastIndex = this.#at + 1
    for (;;) {
      const found = QUOTE_OR_BACKSLASH.exec(this.#text)
      if (found === null) return UNREADABLE
      this.#at = found.index + 1
      if (found[0] === "'" && this.#text[this.#at] !== "'") {
        if (!this.#skipBlanks()) return UNREADABLE
        // After a line break a further quote continues it, backslashes and all; without one it is an error anyway.
        if (this.#text[this.#at] !== "'") return STRING
      }
      QUOTE_OR_BACKSLASH.lastIndex = this.#at + 1
    }
  }

  #quotedName(): string {
    const start = this.#at
    let end = this.#text.indexOf('"', start + 1)
    while (end !== -1 && this.#text[end + 1] === '"') end = this.#text.indexOf('"', end + 2)
    if (end === -1) return UNREADABLE
    this.#at = end + 1
    return `"${this.#text.slice(start + 1, end).replaceAll('""', '"')}`
  }

  #parameterOrString(): string {
    if (this.#match(POSITIONAL) !== '') return this.#unlessWordFollows(PARAMETER)
    const tag = this.#match(DOLLAR_QUOTE)
    const end = tag === '' ? -1 : this.#text.indexOf(tag, this.#at)
    if (end === -1) return UNREADABLE
    this.#at = end + tag.length
    return STRING
  }

  /** The longest run, but a comment ends it, and it ends in `+` or `-` only beside a character no SQL operator has. */
  #operator(): string {
    const start = this.#at
    let run = this.#match(OPERATOR)
    if (run === '' || run.length === TOO_LONG) return UNREADABLE
    const comment = run.search(/--|\/\*/)
    if (comment !== -1) run = run.slice(0, comment)
    if (!/[~!@#^&|`?%]/.test(run)) run = run.charAt(0) + run.slice(1).replace(/[+-]+$/, '')
    this.#at = start + run.length
    return run
  }

  /** What the sticky pattern matches here, and steps over it; an empty text if it does not match. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    if (!pattern.test(this.#text)) return ''
    const start = this.#at
    this.#at = pattern.lastIndex
    return this.#text.slice(start, this.#at)
  }
}

/** ASCII only, as the server folds UTF-8: the Kelvin sign is no `k`. */
function foldCase(word: string): string {
  return /[A-Z]/.test(word) ? word.replace(/[A-Z]+/g, letters => letters.toLowerCase()) : word
}

/** Identifier or keyword, without quotes. */
export function isWord(token: string): boolean {
  const first = token.charCodeAt(0)
  return (first > 0x60 && first < 0x7b) || first === 0x5f || first > 0x7f
}

/** Identifier, with quotes or without. */
export function isName(token: string): boolean {
  return token.startsWith('"') || isWord(token)
}

/** The words of a list with blanks between them. */
export function words(list: string): ReadonlySet<string> {
  return new Set(list.trim().split(/\s+/))
}
