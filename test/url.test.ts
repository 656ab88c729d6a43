import t from 'tap'
import { readUrl } from '../src/url.js'

const URL = 'postgres://notes_user:hunter2@db.internal:5432/notes'

/** What is said of a value from a source. */
function faultOf(value: unknown, source = 'DATABASE_URL'): string | undefined {
  const faults: string[] = []
  const url = readUrl({ value, source }, 'DATABASE_URL', faults)
  t.equal(url === undefined, faults.length === 1, 'it is a URL, or a fault')
  return faults[0]
}

t.test('a URL is taken as it is', async t => {
  for (const url of [URL, 'postgresql://db/notes', 'POSTGRES://db/notes', 'postgres:///notes']) {
    t.equal(readUrl({ value: url, source: 'options.url' }, 'DATABASE_URL', []), url)
  }
})

t.test('F07: no URL is a fault that says where to put one', async t => {
  for (const value of [undefined, '']) {
    t.match(
      faultOf(value),
      /^url: expected a URL .*, got nothing; set DATABASE_URL or pass options\.url$/
    )
  }
})

t.test('F06: what is no URL of PostgreSQL is a fault, without the text', async t => {
  for (const url of [URL.replace('postgres', 'mysql'), 'notes_user:hunter2@db', ` ${URL}`]) {
    t.match(faultOf(url), /does not start with postgres:\/\/ \(from DATABASE_URL\)$/)
    t.match(faultOf(url, 'options.url'), /\(from options\.url\)$/)
    t.notMatch(faultOf(url), /hunter2/)
  }
  for (const value of [null, 5, {}, () => URL]) {
    t.match(faultOf(value), /^url: .*, got \w+ \(from DATABASE_URL\)$/)
  }
})

t.test('a password that ends the URL it stands in is a fault that says what to write', async t => {
  const urls = [
    'postgres://user:hun#ter2@host/db',
    'postgres://user:hun/ter2@host/db',
    'postgres://user:hun/ter2@host',
    'postgres://user:hun?ter2@host/db',
    'postgres://user:#hunter2@host/db',
    'postgres://us#er:hunter2@host/db',
    'postgres://user:hun@ter#2@host/db',
    'postgres://user:12#hunter2@host/db',
    'postgres://user:12/hunter2@host/db',
    'postgres://user:12?hunter2@host/db'
  ]
  for (const url of urls) {
    t.match(
      faultOf(url),
      /holds a # \/ or \? as it is: write %23 %2F or %3F \(from DATABASE_URL\)$/,
      url
    )
    t.notMatch(faultOf(url), /hun|ter2/)
  }
})

t.test('nor is an @ or another odd character where it does no harm', async t => {
  const urls = [
    'postgres://user:p@ss@host/db',
    'postgres://user:p:s[s% @host/db',
    'postgres://user:p%23%2F%3F@host/db',
    'postgres:///db?host=/tmp&user=me@azure',
    'postgres://host:5432/db?user=me@azure',
    'postgres://host/my@db',
    'postgres://host:/my@db',
    'postgres://[::1]:5432/db?user=me@azure',
    'postgres://alpha:1,beta:2/db?user=me@azure',
    'postgres://user:password@host/db?options=-c%20a=b#'
  ]
  for (const url of urls) t.equal(faultOf(url), undefined, url)
})
