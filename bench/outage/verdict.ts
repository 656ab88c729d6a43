import pg from 'pg'
import type { Answer } from './load.js'

export const SCHEMA = 'drop table if exists note; create table note (id int)'

export function answersByStatus(answers: readonly Answer[]) {
  const of = (status: string) => answers.filter(answer => answer.status === status).length
  return {
    'HTTP 200': of('200'),
    'HTTP 500': of('500'),
    'HTTP 503': of('503'),
    none: of('none'),
    hung: of('hung'),
    'longest (ms)': Math.round(Math.max(...answers.map(({ ms }) => ms)))
  }
}

/** Answers against what is in the table. */
export async function verdictsOn(answers: readonly Answer[], url: string) {
  const found = await query<{ id: number; count: number }>(
    url,
    'select id, count(*)::int from note group by id'
  )
  const rows = new Map(found.map(({ id, count }) => [id, count]))
  const writes = answers.filter(({ id }) => id !== undefined)
  const isThere = ({ id = 0 }: Answer) => rows.has(id)
  return {
    lost: writes.filter(write => write.status === '200' && !isThere(write)).length,
    doubled: [...rows.values()].filter(count => count > 1).length,
    'wrongly told to repeat': writes.filter(write => write.mayRepeat && isThere(write)).length
  }
}

export async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string
): Promise<Row[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

/** Milliseconds, as text. */
export function quantile(times: readonly number[], part: number): string {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length * part)]?.toFixed(1) ?? '-'
}
