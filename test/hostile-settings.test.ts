import { inspect } from 'node:util'
import t from 'tap'
import { pgUrlFault } from '../src/client/config.js'
import { InvalidOptionsError } from '../src/errors.js'
import { ENGINE_OPTION_NAMES } from '../src/options.js'
import { readSettings } from '../src/settings.js'
import { Random } from './simulation/random.js'

const ROUNDS = 100_000
const SECRET = 'hunter2+s3cret/of@the:database'

/** Pieces that have broken parsers before. No paths: what a URL names as a file is read. */
const PIECES = [
  'postgres://',
  'postgresql://',
  'POSTGRES://',
  'http://',
  '//',
  '/',
  ':',
  '@',
  '?',
  '#',
  '&',
  '=',
  '%',
  '%00',
  '%zz',
  '%25',
  '\0',
  '\n',
  '\r\n',
  '\u2028',
  '\ud800',
  '💥',
  '[',
  ']',
  '[::1]',
  '127.0.0.1',
  'localhost',
  'h1,h2',
  ':0',
  ':5432',
  ':65536',
  ':-1',
  ':99999999999999999999',
  '..',
  '\\',
  ' ',
  '"',
  "'",
  '`',
  '$(id)',
  '$x',
  '{{',
  'sslmode=verify-full',
  'sslmode=',
  'sslmode=constructor',
  'host=',
  'port=x',
  'options=-c',
  'ssl=1',
  'ssl=',
  'uselibpqcompat=true',
  '__proto__=1',
  'constructor=1',
  'a'.repeat(500),
  '1e999',
  '-0',
  'NaN',
  'null'
]

const VALUES = [
  'null',
  'true',
  '{}',
  '[]',
  '""',
  '-1',
  '0',
  '1e400',
  '1e-400',
  '-0',
  '9007199254740993',
  '2147484',
  '"5"',
  '{"__proto__":{"x":1}}',
  '{"toString":null}',
  '[[[[]]]]',
  '"NullPool"',
  '"discard"',
  '\u0000',
  '{',
  '"',
  '\\',
  '"\\ud800"',
  `"${'x'.repeat(300)}"`,
  `{"password":"${SECRET}"}`,
  `"${SECRET}"`,
  SECRET
]

const KEYS = [
  ...ENGINE_OPTION_NAMES,
  '__proto__',
  'constructor',
  'toString',
  '',
  ' ',
  'pool_sizes',
  '\0',
  SECRET
]

function hostileUrl(random: Random): string {
  const url = Array.from({ length: random.below(8) }, () => random.pick(PIECES)).join('')
  const secret = random.chance(0.5) ? encodeURIComponent(SECRET) : SECRET
  return random.chance(0.7) ? `postgres://user:${secret}@${url}` : `${url}${secret}`
}

function hostileJson(random: Random): string {
  const members = Array.from(
    { length: random.below(4) },
    () => `${JSON.stringify(random.pick(KEYS))}:${random.pick(VALUES)}`
  )
  return random.chance(0.8) ? `{${members.join(',')}}` : members.join(',')
}

function hostileEnvironment(random: Random): Record<string, string> {
  const env: Record<string, string> = { DATABASE_URL: hostileUrl(random) }
  if (random.chance(0.7)) env.ENGINE_OPTIONS = hostileJson(random)
  for (let more = random.below(3); more > 0; more -= 1) {
    const path = [
      random.pick(KEYS).toUpperCase(),
      ...(random.chance(0.3) ? [random.pick(KEYS)] : [])
    ]
    env[`ENGINE_OPTIONS__${path.join('__')}`] = random.pick(VALUES)
  }
  return env
}

/** What a boot with these settings makes of them; only one kind of error may come out. */
function refusalOf(env: Record<string, string>): InvalidOptionsError | undefined {
  try {
    readSettings({ env }, [], pgUrlFault)
    return undefined
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error
    throw error
  }
}

function leaks(text: string): boolean {
  const known = [SECRET, encodeURIComponent(SECRET), JSON.stringify(SECRET).slice(1, -1)]
  return known.some(secret => text.toLowerCase().includes(secret.toLowerCase()))
}

t.test(
  `${ROUNDS} hostile settings: refused in our own words, or taken; never a crash or a leak`,
  t => {
    const seed = Number(process.env.HOSTILE_SEED ?? 7)
    const random = new Random(seed)
    let refused = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const env = hostileEnvironment(random)
      const where = `seed ${seed}, round ${round}`
      try {
        const refusal = refusalOf(env)
        if (refusal === undefined) continue
        refused += 1
        const told = round % 10 === 0 ? inspect(refusal, { depth: 9 }) : refusal.message
        if (leaks(told)) t.fail(`${where}: the secret is told`, { env, told })
      } catch (error) {
        t.fail(`${where}: ${error}`, { env })
      }
    }
    t.ok(refused > ROUNDS / 10 && refused < ROUNDS, `${refused} refused`)
    t.equal(Reflect.get({}, 'x'), undefined, 'no prototype was touched')
    t.end()
  }
)
