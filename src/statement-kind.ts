import { END, isName, isWord, NEVER_NAMES, SqlLexer, UNREADABLE, words } from './sql-lexer.js'

/** What a control statement does, by its first words (https://www.postgresql.org/docs/current/sql-commands.html). */
const CONTROL = [
  [/^(begin|start transaction) /, 'begin'],
  [/^commit prepared /, 'commit_prepared'],
  [/^(commit|end) /, 'commit'],
  [/^rollback prepared /, 'rollback_prepared'],
  [/^(rollback|abort) ((work|transaction) )?to /, 'rollback_to'],
  [/^(rollback|abort) /, 'rollback'],
  [/^savepoint /, 'savepoint'],
  [/^release /, 'release'],
  [/^prepare transaction ' /, 'prepare_transaction'], // without a string it prepares a statement of that name
  [/^set ((local|session) )?transaction /, 'set_transaction']
] as const
const AND_CHAIN = /^(commit|end|rollback|abort) ((work|transaction) )?and chain /
/** They change or show the session alone, which ends with its connection. Not SET CONSTRAINTS: it may run triggers. */
const OF_SESSION = /^(set (?!constraints )|reset |show |discard |listen |unlisten |deallocate )/
const OPENING = 40 // characters, as many as these patterns may need

/** PostgreSQL's transaction commands; `begin` is START TRANSACTION too, `commit` END, `rollback` ABORT. */
export type ControlCommand = (typeof CONTROL)[number][1]

/** What a text is, for whoever verifies, replays or accounts for it. */
export interface StatementKind {
  /**
   * - `read`, a plain read: one query with no function outside a short list, no row lock, no INTO, no write in its WITH
   * - `write`, plain DML: one INSERT, UPDATE, DELETE or MERGE, or a WITH that holds some
   * - `control`: begins, ends or shapes a transaction
   * - `other`: the rest, several statements in one text, and whatever is not understood
   */
  readonly kind: 'read' | 'write' | 'control' | 'other'
  readonly control?: ControlCommand
  /** Its AND CHAIN begins the next transaction. */
  readonly chain?: boolean
  /** One SELECT, VALUES, TABLE, WITH or SHOW: none can lift READ ONLY, and under it the server refuses their writes. */
  readonly readOnlyShape: boolean
  /** Nothing outside the session is changed: SET, RESET, SHOW, LISTEN … */
  readonly ofSession?: boolean
  /** More than one statement: only the simple query protocol takes it. */
  readonly several: boolean
}

/** Stable or immutable, and in pg_catalog of every supported server: a name that is not there would be a user's. */
const PURE_FUNCTIONS = words(`
  count sum min max avg array_agg string_agg bool_and bool_or every json_agg jsonb_agg json_object_agg jsonb_object_agg
  row_number rank dense_rank ntile lag lead first_value last_value lower upper initcap length char_length octet_length
  btrim ltrim rtrim left right replace split_part concat concat_ws strpos substr reverse format md5 regexp_replace
  regexp_match abs round ceil ceiling floor trunc mod power sqrt sign now date date_trunc date_part age to_char to_date
  to_timestamp json_build_object json_build_array jsonb_build_object jsonb_build_array to_json to_jsonb row_to_json
  array_to_json json_array_elements json_array_elements_text jsonb_array_elements jsonb_array_elements_text json_each
  json_each_text jsonb_each jsonb_each_text json_object_keys jsonb_object_keys json_array_length jsonb_array_length
  json_typeof jsonb_typeof generate_series unnest cardinality array_length array_to_string string_to_array`)

/** Their effect outlives a rollback, or they answer from the session: a repetition elsewhere is not the same. */
const BOUND_TO_SESSION = /^"?(currval|lastval|setseed|set_config|dblink.*|pg_(try_)?advisory_.*)$/

/** Types of pg_catalog, whose input and casts run nothing of a user's; `double` is one with `precision` only. */
const TYPES = words(`
  bool boolean smallint int integer bigint int2 int4 int8 real float float4 float8 numeric decimal dec text varchar char
  character bpchar name bytea date time timetz timestamp timestamptz interval uuid json jsonb jsonpath inet cidr macaddr
  oid regclass regtype point tsvector tsquery bit varbit int4range int8range numrange daterange tsrange tstzrange`)

/** Words that could name a type before a string, but that people use as the keywords they are. */
const BEFORE_STRINGS = words('like ilike escape zone precision')
const OPERATORS = words(`= <> != < > <= >= + - * / % ^ || ~ ~* !~ !~* ~~ ~~* !~~ !~~* & | # << >>
  -> ->> #> #>> #- @> <@ ? ?| ?& && @? @@ => -|-`)
const QUERIES = words('select values table with')
const ROW_CHANGES = words('insert update delete merge')

const MAX_DEPTH = 10_000 // deeper, the server's parser runs out of memory
const CACHED_TEXTS = 1000
const LONGEST_CACHED = 4096
const cache = new Map<string, StatementKind>()

/**
 * What a text does, as far as the text can tell. It cannot tell that a view, a policy, a domain, an overloaded operator,
 * cast or listed function, or a function written as a column (`row.f`) runs code of a user's; and the functions in a
 * plain DML may do anything. Whoever must be sure takes a READ ONLY transaction.
 */
export function statementKind(text: string): StatementKind {
  if (text.length > LONGEST_CACHED) return recognise(text)
  const known = cache.get(text)
  if (known !== undefined) return known

  const kind = recognise(text)
  if (cache.size >= CACHED_TEXTS) cache.clear()
  cache.set(text, kind)
  return kind
}

function recognise(text: string): StatementKind {
  const other: StatementKind = { kind: 'other', readOnlyShape: false, several: false }
  if (text.includes('\0')) return other // it would end the text on the wire
  const lexer = new SqlLexer(text)
  const scan = new StatementScan()
  let ended = false
  for (let token = lexer.next(); token !== END; token = lexer.next()) {
    if (token === UNREADABLE || scan.depth < 0 || scan.depth > MAX_DEPTH) return other
    if (token === ';' && scan.depth === 0) ended = scan.opening !== ''
    else if (ended) return { ...other, several: true }
    else scan.take(token)
  }
  if (scan.depth !== 0) return other
  scan.take(END) // it may have waited for more of a type

  const isQuery = QUERIES.has(scan.first)
  const shape = { readOnlyShape: isQuery || scan.first === 'show', several: false }
  const control = CONTROL.find(([pattern]) => pattern.test(scan.opening))?.[1]
  if (control !== undefined) {
    return { kind: 'control', control, chain: AND_CHAIN.test(scan.opening), ...shape }
  }
  // If its strings end elsewhere it is several statements: those the extended query protocol refuses.
  if (lexer.ambiguous) return { kind: 'other', ...shape }
  if (isQuery && scan.plain) return { kind: 'read', ...shape }
  if (OF_SESSION.test(scan.opening)) return { kind: 'other', ofSession: true, ...shape }
  const writes = ROW_CHANGES.has(scan.first) || (isQuery && scan.writesInWith)
  return { kind: writes && !scan.bound ? 'write' : 'other', ...shape }
}

interface Frame {
  /** The word before the parenthesis. */
  readonly opener: string
  readonly parent: Frame | undefined
  /** Between WITH and the statement it belongs to, where names are those of common table expressions. */
  inWith: boolean
}

/** Reads one statement, token by token; what is not known to be harmless takes `plain` away. */
class StatementScan {
  opening = ''
  /** The first token, parentheses aside. */
  first = ''
  depth = 0
  plain = true
  /** It has a WITH, and an INSERT, UPDATE, DELETE or MERGE in it or behind it. */
  writesInWith = false
  /** It does more than plain DML. */
  bound = false
  #frame: Frame = { opener: '', parent: undefined, inWith: false }
  #last = ''
  #before = ''
  #schema = ''
  #closed = ''
  #awaitsQuery = false

  take(lexed: string): void {
    const last = this.#last
    // After a dot or AS a word is a name, whatever it spells.
    const token = (last === '.' || last === 'as') && isWord(lexed) ? `"${lexed}` : lexed
    if (this.plain && !this.#isHarmless(token)) this.plain = false
    this.#awaitsQuery = false
    if (token === '(') this.#open()
    if (token === ')') this.#close()
    if (token === '.') this.#schema = this.#before === '.' ? '' : last
    if (isWord(token)) this.#takeWord(token)

    if (token !== '(') this.first ||= token
    if (this.opening.length < OPENING) this.opening += `${token} `
    this.#before = last
    // CAST (x AS type) is x::type.
    this.#last = token === 'as' && this.#frame.opener === 'cast' ? '::' : token
  }

  #isHarmless(token: string): boolean {
    const last = this.#last
    if (this.#awaitsQuery && token !== 'select' && token !== 'with') return false
    if (last === '::') return TYPES.has(token) || token === 'double'
    if (this.#before === '::' && last === 'double') return token === 'precision'
    if (token === '.') return this.#before !== '::' && isName(last) // `$1.f` may be a function
    if (/^[~!@#^&|`?+\-*/%<>=]/.test(token)) return OPERATORS.has(token)
    if (token !== "'") return true
    // `type 'literal'` runs what belongs to the type.
    if (isWord(last)) return NEVER_NAMES.has(last) || TYPES.has(last) || BEFORE_STRINGS.has(last)
    return last !== ')' && !last.startsWith('"')
  }

  #takeWord(word: string): void {
    if (word === 'for' && !/^(substring|overlay)$/.test(this.#frame.opener)) this.plain = false
    if (word === 'into' || ROW_CHANGES.has(word)) this.plain = false
    if (word === 'into') this.bound ||= this.#last !== 'insert' && this.#last !== 'merge'
    if (ROW_CHANGES.has(word)) this.writesInWith ||= this.#isInWith()
    if (QUERIES.has(word) || ROW_CHANGES.has(word)) {
      this.#frame.inWith = word === 'with' && (this.#last === '' || this.#last === '(')
    }
  }

  /** The next word begins the statement of a WITH, or one of its common table expressions. */
  #isInWith(): boolean {
    const { opener, parent, inWith } = this.#frame
    if (this.#last === ')') return inWith && parent === undefined
    return this.#last === '(' && /^as$|materialized$/.test(opener) && parent?.inWith === true
  }

  #open(): void {
    const name = this.#last
    const isNamed = isName(name)
    if (BOUND_TO_SESSION.test(name)) this.bound = true
    // A function takes no bare query: `name (select` is a keyword and a subquery.
    this.#awaitsQuery = isNamed && this.#isCall(name)
    this.#frame = { opener: isNamed ? name : '', parent: this.#frame, inWith: false }
    this.depth += 1
  }

  #close(): void {
    this.#closed = this.#frame.opener
    this.#frame = this.#frame.parent ?? this.#frame
    this.depth -= 1
  }

  /** Whether the name before a parenthesis can be that of a function that is not listed. */
  #isCall(name: string): boolean {
    const before = this.#before
    const isListed = PURE_FUNCTIONS.has(name.replace(/^"/, ''))
    if (before === '.') return !isListed || !/^"?pg_catalog$/.test(this.#schema)
    if (name === 'operator') return true
    // Two operands do not touch: it is an alias with its columns or a keyword, as in `) over (`. Not after DISTINCT ON (…).
    if (/^['"0$\]]/.test(before) || (before === ')' && this.#closed !== 'on')) return false
    if (before === 'as' || isListed || NEVER_NAMES.has(name)) return false
    if (this.#frame.inWith && /^(with|recursive|,)$/.test(before)) return false
    return !/^(order|group|partition) by$|^char(acter)? varying$|^grouping sets$/.test(
      `${before} ${name}`
    )
  }
}
